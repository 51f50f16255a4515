"""Preparing folders, the arrays written, and the partings of zero-shot splits."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from dvta.datasets.describe import describe
from dvta.errors import DataError, OptionError
from dvta.files import RowWriter
from dvta.importers.cmu import import_cmu_skeletons
from dvta.importers.ctr_gcn import CtrGcnArchive, import_ctr_gcn
from dvta.skeleton import SkeletonError
from dvta.skeleton.arrays import open_positions, read_labels
from dvta.skeleton.clips import cmu_classes, evenly, part_by_clip, read_clip_classes
from dvta.skeleton.prepare import prepare
from dvta.skeleton.preprocess import frames50
from dvta.skeleton.splits import available, load, read_names
from tests.skeleton_files import walking, write_ntu, write_pku, write_split_list


def _ntu_folder(folder: Path) -> None:
    for action in (1, 5, 20, 60):
        for performer in (1, 3):
            name = f"S001C001P{performer:03d}R001A{action:03d}.skeleton"
            write_ntu(folder / "deep" / name, [[b] for b in walking(6, action + performer)])


def test_ntu_folder_becomes_position_arrays(tmp_path: Path) -> None:
    _ntu_folder(tmp_path / "raw")
    (tmp_path / "ignore.txt").write_text("S001C001P001R001A005\n")
    seen: list[tuple[int, int, str]] = []
    done = prepare(
        "ntu",
        tmp_path / "raw",
        tmp_path / "root",
        ignore=tmp_path / "ignore.txt",
        processes=1,
        progress=lambda *step: seen.append(step),
    )
    assert done.samples == {"train": 3, "val": 4}
    assert done.folder == tmp_path / "root/ntu60/skeletons/xsub"
    assert [step[:2] for step in seen] == [(n, 7) for n in range(1, 8)]
    train = open_positions(done.folder / "train_position.npy")
    assert isinstance(train, np.memmap)
    raw = np.stack([walking(6, 2)[:, None]])[0]
    np.testing.assert_array_equal(train[0], frames50(raw.astype(np.float32)))
    assert read_labels(done.folder / "val_label.npy", 4).tolist() == [0, 4, 19, 59]
    assert read_names(done.folder / "train_name.txt", 3)[0] == "S001C001P001R001A001"
    assert sorted(p.name for p in done.folder.parent.iterdir()) == ["xsub"]


def test_worker_processes_change_nothing(tmp_path: Path) -> None:
    _ntu_folder(tmp_path / "raw")
    one = prepare("ntu", tmp_path / "raw", tmp_path / "a", recipe="frames300", processes=1)
    two = prepare("ntu", tmp_path / "raw", tmp_path / "b", recipe="frames300", processes=2)
    assert one.folder.name == "xsub_300"
    for file in sorted(one.folder.iterdir()):
        assert file.read_bytes() == (two.folder / file.name).read_bytes()
    assert open_positions(one.folder / "val_position.npy").shape == (4, 3, 300, 25, 2)


def test_a_broken_file_stops_or_is_named_and_skipped(tmp_path: Path) -> None:
    _ntu_folder(tmp_path / "raw")
    broken = tmp_path / "raw/deep/S001C001P001R001A020.skeleton"
    broken.write_text(broken.read_text()[:700])
    with pytest.raises(SkeletonError, match="S001C001P001R001A020.skeleton, line"):
        prepare("ntu", tmp_path / "raw", tmp_path / "root", processes=1)
    assert available(tmp_path / "root", "ntu60") == []
    assert list((tmp_path / "root/ntu60/skeletons").iterdir()) == []
    nobody = tmp_path / "raw/deep/S001C001P001R001A060.skeleton"
    write_ntu(nobody, [[], []])
    broken.rename(tmp_path / "broken")
    # a recording that shows nobody is no broken file
    assert [
        Path(p).name for p, _ in prepare("ntu", tmp_path / "raw", tmp_path / "root", processes=1).skipped
    ] == [nobody.name]
    (tmp_path / "broken").rename(broken)
    done = prepare("ntu", tmp_path / "raw", tmp_path / "root", on_error="skip", processes=1)
    assert [Path(path).name for path, _ in done.skipped] == [broken.name, "S001C001P001R001A060.skeleton"]
    assert "no frame shows a person" in done.skipped[1][1]
    assert done.samples == {"train": 2, "val": 4}


def test_pku_folder_becomes_instances(tmp_path: Path) -> None:
    positions = np.zeros((60, 2, 25, 3), np.float32)
    positions[:, 0] = walking(60)
    positions[30:40] = 0
    write_pku(tmp_path / "raw", "0002-L", positions, [(1, 1, 20), (9, 31, 40), (2, 45, 60)])
    write_pku(tmp_path / "raw", "0291-R", positions, [(3, 1, 20)])
    with pytest.raises(DataError, match=r"no cross-subject.txt"):
        prepare("pku", tmp_path / "raw", tmp_path / "root", processes=1)
    write_split_list(tmp_path / "raw/cross-subject.txt", ["0002-L"], ["0291-R"])
    done = prepare("pku", tmp_path / "raw", tmp_path / "root", processes=1)
    assert done.samples == {"train": 2, "val": 1}
    assert read_labels(done.folder / "train_label.npy", 2, 51).tolist() == [0, 1]
    assert read_names(done.folder / "val_name.txt", 1) == ["F291V003C003L001"]


def test_pku_names_of_the_list_without_a_file_are_said_and_labels_stand_once(tmp_path: Path) -> None:
    raw, positions = tmp_path / "raw", np.zeros((20, 2, 25, 3), np.float32)
    positions[:, 0] = walking(20)
    write_pku(raw, "0002-L", positions, [(1, 1, 20)])
    write_split_list(raw / "cross-subject.txt", ["0002-L", "0004-L", "0006-M"], ["0291-R"])
    (raw / "ignore.txt").write_text("0006-M\n")
    done = prepare("pku", raw, tmp_path / "root", ignore=raw / "ignore.txt", processes=1)
    assert done.absent == ("0004-L", "0291-R")
    other = raw / "Label_of_others"
    other.mkdir()
    (other / "0003-L.txt").write_text("1,1,5,1\n")  # no recording of the list
    prepare("pku", raw, tmp_path / "root", processes=1)
    (other / "0002-L.txt").write_text("9,1,20,1\n")
    with pytest.raises(
        DataError, match=r"Label_of_others/0002-L.txt and .*Train_Label.* have the same name; keep"
    ):
        prepare("pku", raw, tmp_path / "root", processes=1)


def test_clips_become_windows_and_a_class_keeps_150(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvta.skeleton.prepare.MOST_WINDOWS", 3)
    done = prepare("bvh", shared / "data/cmu/raw", tmp_path, processes=1)
    assert done.samples == {"all": 6}
    assert done.folder == tmp_path / "cmu/skeletons/clips"
    names = read_names(done.folder / "all_name.txt", 6)
    assert names == ["07_12:0", "07_12:6", "07_12:12", "09_01:0", "09_01:4", "09_01:8"]
    with np.load(shared / "data/cmu/skeletons.npz") as archive:
        wanted = archive["x"][archive["clip"] == "09_01"][:3].astype(np.float32)
    found = open_positions(done.folder / "all_position.npy")
    np.testing.assert_allclose(found[3:, ..., 0], wanted.transpose(0, 3, 1, 2), atol=2.5e-3)


def test_clips_are_added_to_those_prepared_earlier(shared: Path, tmp_path: Path) -> None:
    target = import_cmu_skeletons(shared / "data/cmu/skeletons.npz", tmp_path)
    count = len(open_positions(target / "all_position.npy"))
    names = read_names(target / "all_name.txt", count)
    before = dict(zip(names, open_positions(target / "all_position.npy").copy(), strict=True))
    labels = dict(zip(names, read_labels(target / "all_label.npy", count), strict=True))
    done = prepare("bvh", shared / "data/cmu/raw", tmp_path, add=True, processes=1)
    assert len(done.absent) == 259
    assert done.samples == {"all": count}
    after = read_names(target / "all_name.txt", count)
    assert sorted(after) == sorted(names)
    assert read_labels(target / "all_label.npy", count).tolist() == [labels[n] for n in after]
    changed = set()
    for name, window in zip(after, open_positions(target / "all_position.npy"), strict=True):
        np.testing.assert_allclose(window, before[name], atol=2.5e-3)
        if not np.array_equal(window, before[name]):
            changed.add(name.partition(":")[0])
    # the archive is of half precision, the recordings are not
    assert changed == {"07_12", "09_01"}
    with pytest.raises(OptionError, match="add: has no effect for ntu; ntu takes protocol, recipe, ignore"):
        prepare("ntu", tmp_path, tmp_path, add=True)


def test_a_window_of_another_length_cannot_be_joined(shared: Path, tmp_path: Path) -> None:
    target = tmp_path / "cmu/skeletons/clips"
    target.mkdir(parents=True)
    np.save(target / "all_position.npy", np.zeros((1, 3, 64, 25, 1), np.float32))
    np.save(target / "all_label.npy", np.zeros(1, np.int64))
    (target / "all_name.txt").write_text("own:0\n")
    with pytest.raises(SkeletonError, match="cannot be joined"):
        prepare("bvh", shared / "data/cmu/raw", tmp_path, add=True, processes=1)
    assert open_positions(target / "all_position.npy").shape == (1, 3, 64, 25, 1)


def test_impossible_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="did you mean 'ntu'"):
        prepare("ntuu", tmp_path, tmp_path)
    with pytest.raises(OptionError, match="on_error: 'ignore' is unknown"):
        prepare("ntu", tmp_path, tmp_path, on_error="ignore")
    with pytest.raises(OptionError, match="protocol: 'xset' is unknown for pku"):
        prepare("pku", tmp_path, tmp_path, protocol="xset")
    with pytest.raises(DataError, match="no ntu recording of ntu120"):
        prepare("ntu", tmp_path, tmp_path, dataset="ntu120")
    with pytest.raises(DataError, match="no such folder"):
        prepare("ntu", tmp_path / "absent", tmp_path)


def test_the_parting_by_clip_is_that_of_the_published_features(shared: Path, tmp_path: Path) -> None:
    import_cmu_skeletons(shared / "data/cmu/skeletons.npz", tmp_path)
    assert available(tmp_path, "cmu") == ["clips"]
    sizes = {}
    for split in ("split_1", "split_2", "hard"):
        found = load(tmp_path, "cmu", split)
        folder = shared / "data/cmu/features" / split
        for samples, file in (
            (found.train, "train_label"),
            (found.ztest, "z_label"),
            (found.gtest, "g_label"),
        ):
            np.testing.assert_array_equal(samples.labels, np.load(folder / f"{file}.npy"))
        sizes[split] = len(found.train), len(found.ztest), len(found.gtest)
        assert len(found.seen_test()) == len(found.gtest) - len(found.ztest)
    assert sizes["split_1"] == (1972, 426, 1127)
    assert len({load(tmp_path, "cmu", split).digest for split in sizes}) == 3
    batch = load(tmp_path, "cmu", "split_1").ztest.batch(np.array([5, 0, 3]))
    assert batch.shape == (3, 3, 50, 25, 1)
    with np.load(shared / "data/cmu/skeletons.npz") as archive:
        unseen = archive["x"][np.isin(archive["y"], found_unseen(tmp_path))]
    np.testing.assert_array_equal(batch[0, ..., 0], unseen[5].transpose(2, 0, 1).astype(np.float32))


def found_unseen(root: Path) -> list[int]:
    return list(load(root, "cmu", "split_1").unseen)


def test_no_clip_is_on_both_sides() -> None:
    assert len(cmu_classes()) == 261
    clips = np.array(["a", "a", "b", "c", "d", "e", "e", "x", "y"])
    labels = np.array([0, 0, 0, 0, 0, 0, 0, 1, 2])
    test = part_by_clip(clips, labels, [0, 1])
    assert not test[7:].any()  # a single clip is never test, an unseen class is not parted here
    assert len(set(clips[test])) == 1
    assert not set(clips[test]) & set(clips[~test])
    assert evenly(np.arange(10), 4).tolist() == [0, 2, 5, 7]


def test_ntu_splits_take_unseen_from_the_test_part_only(tmp_path: Path) -> None:
    _ntu_folder(tmp_path / "raw")
    prepare("ntu", tmp_path / "raw", tmp_path / "root", processes=1)
    found = load(tmp_path / "root", "ntu60", "55/5")
    unseen = set(found.unseen)
    assert set(found.train.labels) == {0, 4, 19, 59} - unseen
    assert set(found.ztest.labels) == {0, 4, 19, 59} & unseen
    assert sorted(found.gtest.labels) == [0, 4, 19, 59]
    with pytest.raises(DataError, match="no prepared skeletons"):
        load(tmp_path / "root", "ntu60", "55/5", protocol="xview")


def test_own_clip_tables(tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("09_01, 4\n\n07_12,0\n")
    assert read_clip_classes(table) == {"09_01": 4, "07_12": 0}
    table.write_text("09_01,4\n09_01,5\n")
    with pytest.raises(SkeletonError, match="line 2"):
        read_clip_classes(table)


@pytest.mark.parametrize(
    "text",
    [
        "clip,class\na.bvh,walk\nb.bvh,wave\n",
        "clip,label\na.bvh,walk\nb.bvh,wave\n",
        "File_Name;Action\na.bvh;walk\nb.bvh;wave\n",
        '\n"a.bvh",walk\n"b.bvh", "wave"\n',
        "a.bvh\twalk\nb.bvh\twave\n",
        "a.bvh,walk,,\r b.bvh ,wave,\r",
        "walk,walk\nwave,wave\n",
    ],
)
def test_a_new_data_set_has_the_classes_that_preparing_finds(tmp_path: Path, text: str) -> None:
    table = tmp_path / "clips.csv"
    table.write_bytes(text.encode())
    names = describe(table)["class_names"]
    assert names == ["walk", "wave"]
    assert list(read_clip_classes(table, names).values()) == [0, 1]


def test_commas_in_quotes_are_part_of_a_name(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    for text in ('"take 1, left.bvh",wave\nb,walk\n', "take 1, left.bvh;wave\nb;walk\n"):
        table.write_text(text)
        assert describe(table) == {"class_names": ["wave", "walk"]}
        assert read_clip_classes(table, ["wave", "walk"]) == {"take 1, left": 0, "b": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clip,class,note\na,walk,x\nb,wave,y\n", "line 1: expected clip,class; found 'clip, class, note'"),
        ("a,walk\nb,wave,y\n", "line 2: expected clip,class; found 'b, wave, y'"),
        ("a,walk\nb,,wave\n", "line 2: expected clip,class"),
        ("clip,class\na,\n", "line 2: expected clip,class; found 'a'"),
        ("clip,class\n", "holds no recording"),
        (f"a,walk\nb,{'x' * 200_000}\n", "cannot be read .field larger"),
    ],
)
def test_wrong_tables_of_clips_name_the_line(tmp_path: Path, text: str, words: str) -> None:
    table = tmp_path / "clips.csv"
    table.write_text(text)
    for read in (describe, lambda path: read_clip_classes(path, ["walk", "wave"])):
        with pytest.raises(DataError, match=f"clips.csv[,:] ?{words}"):
            read(table)


def test_position_files_are_checked_before_they_are_mapped(tmp_path: Path) -> None:
    path = tmp_path / "train_position.npy"
    np.save(path, np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="objects are never loaded"):
        open_positions(path)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (333_333, 3, 50, 25, 2)}
        )
    with pytest.raises(DataError, match=r"9999990128 bytes\), the file has 128 bytes"):
        open_positions(path)
    np.save(path, np.zeros((2, 3, 50, 20, 2), np.float32))
    with pytest.raises(SkeletonError, match="allowed: .samples, 3, frames, 25, 1 or 2"):
        open_positions(path)
    np.save(path, np.zeros((2, 3, 50, 25, 2), np.int64))
    with pytest.raises(SkeletonError, match="floating"):
        open_positions(path)


def test_rows_are_appended_under_a_header_that_fits(tmp_path: Path) -> None:
    with RowWriter(tmp_path / "a.npy", (2,), "<f4") as writer:
        for i in range(1200):
            writer.append(np.array([i, -i]))
        with pytest.raises(ValueError, match="expected"):
            writer.append(np.zeros(3))
    found = np.load(tmp_path / "a.npy", allow_pickle=False)
    np.testing.assert_array_equal(found[:, 0], np.arange(1200))


def test_label_pickles_hold_plain_values_only(tmp_path: Path) -> None:
    path = tmp_path / "train_label.pkl"
    path.write_bytes(pickle.dumps((["a", "b"], [3, 1])))
    assert read_labels(path, 2).tolist() == [3, 1]
    path.write_bytes(b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")
    with pytest.raises(SkeletonError, match=r"wants to load os\.system"):
        read_labels(path, 2)
    path.write_bytes(pickle.dumps((["a"], ["x"])))
    with pytest.raises(SkeletonError, match="whole numbers"):
        read_labels(path, 1)
    path.write_bytes(pickle.dumps((["a"], [1, 2])))
    with pytest.raises(SkeletonError, match="1 names for 2 labels"):
        read_labels(path, 1)


def test_ctr_gcn_archives_become_position_arrays(tmp_path: Path) -> None:
    x = np.zeros((4, 300, 150), np.float32)
    for i in range(4):
        x[i, :20, :75] = walking(20, i + 1).reshape(20, 75)
    y = np.eye(60, dtype=np.float32)[[0, 9, 59, 10]]
    (tmp_path / "npz").mkdir()
    path = tmp_path / "npz/NTU60_CV.npz"
    np.savez_compressed(path, x_train=x[:3], y_train=y[:3], x_test=x[3:], y_test=y[3:])
    (folder,) = import_ctr_gcn(tmp_path / "npz", tmp_path / "root")
    assert folder == tmp_path / "root/ntu60/skeletons/xview"
    train = open_positions(folder / "train_position.npy")
    raw = np.stack([walking(20, 2), np.zeros((20, 25, 3))], axis=1)
    np.testing.assert_array_equal(train[1], frames50(raw.astype(np.float32)))
    assert read_labels(folder / "train_label.npy", 3, 60).tolist() == [0, 9, 59]
    (longer,) = import_ctr_gcn(path, tmp_path / "root", recipe="frames300")
    assert longer.name == "xview_300"
    assert open_positions(longer / "val_position.npy").shape == (1, 3, 300, 25, 2)
    found = load(tmp_path / "root", "ntu60", "55/5", protocol="xview_300")
    assert (found.protocol, len(found.train), found.ztest.labels.tolist()) == ("xview_300", 3, [10])
    x[2] = 0
    np.savez_compressed(path, x_train=x[:3], y_train=y[:3], x_test=x[3:], y_test=y[3:])
    with pytest.raises(DataError, match="x_train row 2: no frame shows a person"):
        import_ctr_gcn(path, tmp_path / "root")
    assert len(open_positions(folder / "train_position.npy")) == 3
    with pytest.raises(DataError, match="expected NTU60_CS, NTU60_CV"):
        import_ctr_gcn(tmp_path / "root", tmp_path / "root")
    with pytest.raises(OptionError, match="did you mean 'frames50'"):
        import_ctr_gcn(path, tmp_path / "root", recipe="frame50")


def test_ctr_gcn_archives_are_streamed(tmp_path: Path) -> None:
    path = tmp_path / "NTU60_CS.npz"
    x = np.random.default_rng(0).normal(size=(4, 7, 150)).astype(np.float32)
    y = np.eye(60, dtype=np.float32)[[3, 0, 59, 1]]
    np.savez_compressed(path, x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    archive = CtrGcnArchive(path)
    assert archive.sizes == {"train": 4, "test": 1}
    rows = list(archive.rows("train"))
    assert [label for _, label in rows] == [3, 0, 59, 1]
    np.testing.assert_array_equal(rows[2][0], x[2].reshape(7, 2, 25, 3))
    np.savez(path, x_train=x, y_train=y)
    with pytest.raises(DataError, match="has no x_test"):
        CtrGcnArchive(path)
    np.savez(path, x_train=np.array([None]), y_train=y, x_test=x, y_test=y)
    with pytest.raises(DataError, match="x_train: holds Python objects"):
        CtrGcnArchive(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="not a readable"):
        CtrGcnArchive(path)
