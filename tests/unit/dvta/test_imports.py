"""What people have, each with its right outcome: features, labels, skeletons, texts and archives."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from dvta import datasets
from dvta.archives import Archive
from dvta.arrays import finite
from dvta.data_ref import locate
from dvta.encoders.text import encode_dataset, read_sentences
from dvta.errors import DataError, OptionError
from dvta.importers.arrays import import_arrays
from dvta.importers.cmu import import_cmu_skeletons
from dvta.importers.features import Choice, import_features
from dvta.importers.texts import import_text
from dvta.labels import as_ids, raw_labels
from dvta.pickles import read_pickle
from dvta.skeleton import splits
from dvta.skeleton.arrays import open_positions, read_labels
from dvta.skeleton.prepare import prepare
from dvta.skeleton.preprocess import cmu_windows, frames50, frames300
from dvta.skeleton.read import read_any
from dvta.skeleton.sequences import COCO17, MEDIAPIPE33, read_sequences, to_ntu

SPLIT = datasets.get("ntu60").split("55/5")

#: folder of features -> what is said, or the refusal
FEATURES = {
    "plain": "",
    "fortran": "",
    "float16": "",
    "int32": "",
    "uint8": "",
    "stgcn": "",
    "float_labels": "train_label.npy: labels of type float64 and shape (165,), written as ids (N,)",
    "labels_2d": "train_label.npy: labels of type int64 and shape (165, 1), written as ids (N,)",
    "one_based": "labels count from 1; written from 0",
    "no_gtest": "no gtest.npy: no generalised evaluation",
}
REFUSED = {
    "msg3d": "msg3d_5_r: train.npy missing",
    "object": "train_label.npy: holds Python objects (objects are never loaded)",
    "remapped": "they seem to be positions among the 55 seen and 5 unseen classes of split 55/5",
    "twice": "the same features as",
    "val_only": "shift_val_5_r: features of the validation phase",
}


def features(shared, name):
    folder = shared / "cases/recordings/features" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder


def test_every_folder_of_features_has_its_row(shared):
    folders = {p.name for p in features(shared, "plain").parent.iterdir()}
    assert folders == FEATURES.keys() | REFUSED.keys()
    assert len(folders) == 15


@pytest.mark.parametrize("name", FEATURES)
def test_features_of_any_layout_come_to_the_same_ids(tmp_path, shared, name):
    folder = features(shared, name)
    done = import_features("synse", folder, tmp_path)
    assert FEATURES[name] in "\n".join(done.notes)
    assert bool(done.notes) == bool(FEATURES[name])
    visual = "st_gcn" if name == "stgcn" else "shift_gcn"
    loaded = locate(tmp_path, "ntu60", "55/5", visual, "sbert", source="real").load()
    assert loaded.train.shape == (165, 256)
    assert sorted(set(loaded.train_label.tolist())) == list(SPLIT.seen)
    assert sorted(set(loaded.z_label.tolist())) == list(SPLIT.unseen)
    (source,) = folder.glob("*_r")
    np.testing.assert_array_equal(loaded.ztest, np.load(source / "ztest.npy").astype(np.float32))
    assert loaded.train_label[3] == int(np.load(source / "train_label.npy").ravel()[3]) - (
        name == "one_based"
    )
    assert (loaded.gtest is None) == (name == "no_gtest")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused_by_the_name_of_its_file(tmp_path, shared, name):
    folder = features(shared, name)
    with pytest.raises(DataError) as caught:
        import_features("synse", folder, tmp_path / "data")
    assert REFUSED[name] in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "/tmp/tmp" not in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_renumbered_labels_are_taken_where_a_person_says_so(tmp_path, shared):
    folder = features(shared, "remapped")
    done = import_features("synse", folder, tmp_path, Choice(labels="renumbered"))
    assert "taken as positions" in done.notes[0]
    loaded = locate(tmp_path, "ntu60", "55/5", "shift_gcn", "sbert", source="real").load()
    given = np.load(folder / "shift_5_r/train_label.npy")
    assert loaded.train_label.tolist() == [SPLIT.seen[i] for i in given]
    with pytest.raises(DataError, match="--labels 'remapped' is unknown.*allowed: auto, global, renumbered"):
        Choice(labels="remapped")


def test_what_an_import_replaces_is_said_and_nothing_of_the_old_is_left(tmp_path, shared):
    import_features("synse", features(shared, "plain"), tmp_path)
    again = import_features("synse", features(shared, "plain"), tmp_path)
    assert again.notes == []
    done = import_features("synse", features(shared, "no_gtest"), tmp_path)
    said = "\n".join(done.notes)
    assert said.count("replaced ") == 2
    assert "train.npy, which had other content" in said
    assert "gtest.npy, which belonged to the features that are replaced" in said
    assert locate(tmp_path, "ntu60", "55/5", "shift_gcn", "sbert", source="real").load().gtest is None


def six(unseen, seen, width=8, per=2):
    """Return arrays of Flora's six keys: the first value of each row is its class."""
    parts = {"train": seen, "zsl": unseen, "gzsl": sorted((*seen, *unseen))}
    arrays = {}
    for part, ids in parts.items():
        labels = np.repeat(ids, per)
        arrays |= {
            f"{part}_data": np.tile(labels[:, None], (1, width)).astype(np.float32),
            f"{part}_label": labels,
        }
    return arrays


@pytest.mark.parametrize(
    ("folder", "name", "dataset", "split", "visual"),
    [
        ("synse_features", "ntu60_seen55_unseen5", "ntu60", "55/5", "shift_gcn"),
        ("synse_features", "ntu120_seen96_unseen24", "ntu120", "96/24", "shift_gcn"),
        ("star_features", "ntu60_xsub_seen48_unseen12", "ntu60", "48/12", "shift_gcn_1s"),
        ("star_features", "ntu60_xview_seen48_unseen12", "ntu60", "48/12", "shift_gcn_1s_xview"),
        ("starsmie_features", "ntu60_xsub_seen55_unseen5_spli1", "ntu60", "smie_1", "shift_gcn_1s"),
        ("starsmie_features", "pku51_xsub_seen46_unseen5_split2", "pku", "smie_8", "shift_gcn_1s"),
        ("flora_features", "ntu120_xsub_seen60_unseen60", "ntu120", "60/60", "shift_gcn_1s"),
    ],
)
def test_combined_archives_find_their_split_by_their_classes(tmp_path, folder, name, dataset, split, visual):
    known = datasets.get(dataset).split(split)
    (tmp_path / folder).mkdir()
    np.savez(tmp_path / folder / f"{name}.npz", **six(known.unseen, known.seen))
    done = import_features("flora", tmp_path, tmp_path / "data")
    assert len(done) == 6
    loaded = locate(tmp_path / "data", dataset, split, visual, "sbert", source="real").load()
    assert loaded.unseen == known.unseen
    assert loaded.ztest[:, 0].tolist() == loaded.z_label.tolist()
    assert len(loaded.gtest) == 2 * len(datasets.get(dataset).class_names)


def test_an_archive_of_a_split_that_nobody_knows_needs_its_name(tmp_path):
    unseen = (1, 2, 3, 4, 6)
    seen = tuple(c for c in range(60) if c not in unseen)
    folder = tmp_path / "sadave_features"
    folder.mkdir()
    np.savez(folder / "ntu60_seen55_unseen5_split1.npz", **six(unseen, seen))
    with pytest.raises(DataError, match="--split NAME --unseen 1,2,3,4,6"):
        import_features("flora", tmp_path, tmp_path / "data")
    import_features("flora", tmp_path, tmp_path / "data", Choice(split="mine", unseen=unseen))
    found = locate(tmp_path / "data", "ntu60", "mine", "st_gcn", "sbert", source="real", unseen=unseen)
    assert found.load().unseen == unseen
    (folder / "other.npz").write_bytes(b"PK")
    done = import_features("flora", tmp_path, tmp_path / "data", Choice(split="mine", unseen=unseen))
    assert "left out" in done.notes[0]
    with pytest.raises(DataError, match="give --visual"):
        import_features(
            "flora",
            (folder / "ntu60_seen55_unseen5_split1.npz").rename(tmp_path / "ntu60_seen55_unseen5.npz"),
            tmp_path / "x",
        )


def test_the_folders_of_sa_dvae_name_encoder_data_set_and_split(tmp_path):
    pku = datasets.get("pku").split("smie_9")
    ntu = datasets.get("ntu120").split("110/10")
    for name, split in (("stgcn_pku51_split3_5_r", pku), ("shift_ntu120_10_r", ntu)):
        folder = tmp_path / "sk_feats" / name
        folder.mkdir(parents=True)
        for array, label, ids in (("train", "train_label", split.seen), ("ztest", "z_label", split.unseen)):
            np.save(folder / f"{array}.npy", np.ones((len(ids), 4), np.float32))
            np.save(folder / f"{label}.npy", np.array(ids))
    (tmp_path / "sk_feats/stgcn_pku51_val_5_r").mkdir()
    done = import_features("synse", tmp_path, tmp_path / "data")
    folders = {str(p.parent.relative_to(tmp_path / "data")) for p in done}
    assert folders == {"pku/features/st_gcn/smie_9", "ntu120/features/shift_gcn/110-10"}
    assert any("stgcn_pku51_val_5_r: features of the validation phase" in note for note in done.notes)


# --- arrays of one's own ------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path):
    """Return the data root of a data set of four classes."""
    folder = tmp_path / "data/waves"
    folder.mkdir(parents=True)
    description = {"class_names": ["wave", "walk", "run", "jump"], "splits": {"one": ["run"]}}
    (folder / "dataset.yaml").write_text(json.dumps(description))
    return tmp_path / "data"


Y = np.repeat(np.arange(4), 8)
X = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
CLIPS = np.array([f"c{i // 2}" for i in range(32)])
CHOICE = Choice(dataset="waves", split="one", visual="mine")


def written(tmp_path, form):
    """Write the same features in one of the known forms; returns path and labels."""
    names = np.array(["wave", "Walk", "run", "jump"])[Y]
    labels = None
    path = tmp_path / f"{form}.npz"
    if form == "names":
        np.savez(path, x=X, y=names, clip=CLIPS)
    elif form == "one_hot":
        np.savez_compressed(path, features=X.astype(np.float64), labels=np.eye(4)[Y], clip=CLIPS)
    elif form == "column":
        np.savez(path, data=np.asfortranarray(X), label=Y[:, None].astype(np.uint8), clip=CLIPS[:, None])
    else:
        path = tmp_path / form
        path.mkdir()
        np.save(path / "x.npy", X)
        np.save(path / "y.npy", Y)
        np.save(path / "clip.npy", CLIPS)
    return path, labels


@pytest.mark.parametrize("form", ["names", "one_hot", "column", "folder"])
def test_own_features_are_parted_by_class_and_recording(tmp_path, own, form):
    path, labels = written(tmp_path, form)
    done = import_arrays(path, own, CHOICE, labels=labels)
    assert done.notes == []
    read = {p.stem: np.load(p) for p in done}
    assert read["z_label"].tolist() == [2] * 8
    np.testing.assert_array_equal(read["ztest"], X[Y == 2])
    # one of the four recordings of every seen class is test
    assert len(read["train"]) == 18
    assert sorted(read["g_label"].tolist()) == [0] * 2 + [1] * 2 + [2] * 8 + [3] * 2
    rows = [int(np.flatnonzero((row == X).all(1))[0]) for row in read["train"]]
    assert not set(CLIPS[rows]) & {CLIPS[int(np.flatnonzero((r == X).all(1))[0])] for r in read["gtest"]}
    assert Y[rows].tolist() == read["train_label"].tolist()


@pytest.mark.parametrize("kind", ["ids.txt", "names.csv", "labels.npy", "labels.pkl"])
def test_an_array_that_stands_alone_has_its_labels_beside_it(tmp_path, own, kind):
    path, labels = tmp_path / "x.npy", tmp_path / kind
    np.save(path, X)
    names = np.array(["wave", "walk", "run", "jump"])[Y].tolist()
    contents = {
        "ids.txt": lambda: labels.write_text("\n".join(map(str, Y))),
        "names.csv": lambda: labels.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(names).encode()),
        "labels.npy": lambda: np.save(labels, Y.astype(np.float32)),
        "labels.pkl": lambda: labels.write_bytes(pickle.dumps((names, Y))),
    }
    contents[kind]()
    done = import_arrays(path, own, CHOICE, labels=labels)
    assert done.notes == [
        f"{path}: no array of recordings (clip); each row is taken for a recording of its own"
    ]
    assert np.load(own / "waves/features/mine/one/z_label.npy").tolist() == [2] * 8


def test_own_parts_stay_as_they_are(tmp_path, own):
    np.savez(tmp_path / "f.npz", x_train=X, y_train=Y, x_test=X + 1, y_test=Y)
    read = {p.stem: np.load(p) for p in import_arrays(tmp_path / "f.npz", own, CHOICE)}
    assert (len(read["train"]), len(read["ztest"]), len(read["gtest"])) == (24, 8, 32)
    np.testing.assert_array_equal(read["gtest"], X + 1)


@pytest.mark.parametrize(
    ("arrays", "choice", "message"),
    [
        ({"x": X, "y": Y[:-1]}, CHOICE, "32 of x, 31 of labels"),
        ({"x": X, "y": Y + 1}, CHOICE, "label 4, allowed: 0 to 3; they seem to count from 1"),
        ({"x": X, "y": np.array(["wave", "jmp"])[Y % 2]}, CHOICE, "'jmp' is no class (did you mean 'jump'?)"),
        ({"x": X, "y": Y, "clip": np.stack([CLIPS, CLIPS], 1)}, CHOICE, "clip: shape (32, 2), allowed: (N,)"),
        ({"x": X, "y": Y, "clip": CLIPS[1:]}, CHOICE, "32 of x, 32 of labels, 31 of clip"),
        ({"x": X, "y": Y + 0.5}, CHOICE, "row 0: label 0.5 is no whole number"),
        ({"x": X * np.nan, "y": Y}, CHOICE, "row 0 has a value that is not finite"),
        ({"x": X.astype(complex), "y": Y}, CHOICE, "holds complex128, allowed: numbers"),
        ({"x": X.astype(str), "y": Y}, CHOICE, "holds <U32"),
        ({"x": X[Y != 2], "y": Y[Y != 2]}, CHOICE, "has no samples of the unseen classes of split one"),
        ({"x": X, "data": X, "y": Y}, CHOICE, "x and data: only one of them is expected"),
        ({"x": X}, CHOICE, "has no labels"),
        ({"q": X}, CHOICE, "has q; expected x and y"),
        ({}, CHOICE, "has no arrays; expected x and y"),
        ({"x": X, "y": Y}, Choice(dataset="waves", split="one"), "--visual is missing"),
        (
            {"x": X, "y": Y},
            Choice(dataset="waves", visual="mine"),
            "--split is missing; allowed: one, random/U/k",
        ),
        ({"x": X, "y": Y}, Choice(split="one", visual="mine"), "--dataset is missing"),
        ({"x": X[:, :, None, None], "y": Y}, CHOICE, "shape (32, 6, 1, 1); known: (T, V, C)"),
    ],
)
def test_own_arrays_that_cannot_be_right_are_refused(tmp_path, own, arrays, choice, message):
    path = tmp_path / "f.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError) as caught:
        import_arrays(path, own, choice)
    assert message in str(caught.value)
    assert sorted(p.name for p in own.rglob("*")) == ["dataset.yaml", "waves"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"recipe": "frames51"},
            r"recipe: 'frames51' is unknown \(did you mean 'frames50'\?\); allowed: frames50",
        ),
        ({"recipe": "windows"}, "recipe: 'windows' is unknown; allowed: frames50, frames300"),
        ({"fps": 0.0}, "fps: 0.0 is impossible; allowed: 0.1 to 10000"),
        ({"fps": float("nan")}, "fps: nan is impossible"),
        ({"fps": float("inf")}, "fps: inf is impossible"),
    ],
)
@pytest.mark.parametrize("parts", [False, True])
def test_own_arrays_with_impossible_options_are_refused(tmp_path, own, options, message, parts):
    path, skeletons = tmp_path / "s.npz", np.repeat(person()[None], 4, 0)
    one = {"x": skeletons, "y": Y[:4]}
    np.savez(path, **({f"{k}_{p}": v for k, v in one.items() for p in ("train", "test")} if parts else one))
    with pytest.raises(OptionError, match=message):
        import_arrays(path, own, Choice(dataset="waves"), **options)
    assert sorted(p.name for p in own.rglob("*")) == ["dataset.yaml", "waves"]


# --- joint positions ----------------------------------------------------------------------------


def person(frames=40, joints=25):
    """Return (T, V, 3) of a standing person in metres who sways, of NTU's joints or others' like them."""
    height = np.linspace(0.9, 1.6, joints) if joints == 25 else np.linspace(1.6, 0.1, joints)
    base = np.stack([np.linspace(-0.2, 0.2, joints), height, np.full(joints, 3.0)], 1)
    sway = 0.1 * np.sin(np.linspace(0, 6, frames))[:, None, None] * np.linspace(0, 1, joints)[None, :, None]
    return (base + sway).astype(np.float32)


def test_every_array_for_predict_becomes_network_input(shared):
    folder = shared / "cases/recordings"
    if not (folder / "joints_TVC.npy").is_file():
        pytest.skip("the cases are absent")
    plain = np.load(folder / "joints_TVC.npy")
    expected = frames50(plain[:, None])
    np.testing.assert_array_equal(read_any(folder / "joints_TVC.npy")[0], expected)
    bodies = read_sequences(folder / "ntu_dict.npy")
    assert bodies.shape == (1, 1, 60, 25, 3)
    assert read_any(folder / "ntu_dict.npy").shape == (1, 3, 50, 25, 2)
    raw = np.load(folder / "position_raw_metres.npy")
    np.testing.assert_array_equal(
        read_any(folder / "position_raw_metres.npy")[0], frames50(raw[0].transpose(1, 3, 2, 0))
    )
    long = np.load(folder / "position_100frames.npy")
    found = read_any(folder / "position_100frames.npy")
    np.testing.assert_array_equal(found[0], frames50(long[0].transpose(1, 3, 2, 0)))
    coco = read_any(folder / "joints_N3T17M.npy")
    assert coco.shape == (1, 3, 50, 25, 2)
    np.testing.assert_allclose(coco[0, :, :, 20, 0], 0, atol=1e-6)


@pytest.mark.parametrize("origin", ["root", "first frame"])
def test_arrays_around_their_own_root_are_those_of_a_camera(tmp_path, own, origin):
    far = np.stack([person(60), person(60) + 0.1])
    near = far - (far[:, :, :1] if origin == "root" else far[:, :1, :1])
    expected = [frames50(f[:, None]) for f in far]
    np.save(tmp_path / "a.npy", near)
    np.testing.assert_allclose(read_any(tmp_path / "a.npy"), expected, atol=1e-5)
    np.savez(tmp_path / "a.npz", x_train=near, y_train=[0, 1], x_test=near, y_test=[0, 1])
    import_arrays(tmp_path / "a.npz", own, Choice(dataset="waves"))
    written = open_positions(own / "waves/skeletons/xsub/train_position.npy")
    np.testing.assert_allclose(written, expected, atol=1e-5)


def test_what_is_prepared_is_taken_as_it_is(tmp_path):
    made = frames50(person()[:, None])[None]
    np.save(tmp_path / "a.npy", made)
    np.testing.assert_array_equal(read_any(tmp_path / "a.npy"), made)
    with pytest.raises(OptionError, match=r"recipe: 'framez50' is unknown.*allowed: .*windows, clean"):
        read_any(tmp_path / "a.npy", "framez50")


def test_one_prepared_sample_is_one_and_what_may_be_three_recordings_is_asked_about(tmp_path):
    path = tmp_path / "a.npy"
    for recipe, shape in (("frames50", frames50), ("frames300", frames300)):
        made = shape(person()[:, None])
        np.save(path, made)
        np.testing.assert_array_equal(read_any(path, recipe), made[None])
    windows = cmu_windows(person())[0].transpose(0, 3, 1, 2)[..., None]
    np.save(path, windows[0])
    np.testing.assert_array_equal(read_any(path, "windows"), windows[:1])
    flat = np.stack([person()] * 3)[..., :2]
    np.save(path, flat)
    with pytest.raises(
        DataError, match=r"write the first as \(1, 3, 40, 25, 2\), the second as \(3, 1, 40, 25"
    ):
        read_any(path)
    np.save(path, flat[:, None])
    assert read_any(path).shape == (3, 3, 50, 25, 2)
    np.save(path, person(joints=17)[None, ..., :2].repeat(3, 0))  # 17 joints are never prepared
    assert read_any(path).shape == (3, 3, 50, 25, 2)


@pytest.mark.parametrize("form", ["TVC", "NTVC", "NCTV", "NCTVM", "NMTVC"])
def test_every_order_of_axes_means_the_same(tmp_path, form):
    one = person()
    arrays = {
        "TVC": one, "NTVC": one[None], "NCTV": one.transpose(2, 0, 1)[None],
        "NCTVM": one.transpose(2, 0, 1)[None, ..., None], "NMTVC": one[None, None],
    }  # fmt: skip
    np.save(tmp_path / "a.npy", arrays[form])
    np.testing.assert_array_equal(read_sequences(tmp_path / "a.npy")[0, 0], one)


def test_the_joints_of_pose_estimators_come_to_their_places():
    coco = person(joints=17)
    found, notes = to_ntu(coco[None])
    assert "COCO-17" in notes[0]
    np.testing.assert_allclose(found[:, 0, 4], coco[:, 5], atol=1e-6)  # left shoulder
    np.testing.assert_allclose(found[:, 0, 18], coco[:, 16], atol=1e-6)  # right ankle
    np.testing.assert_allclose(found[:, 0, 0], (coco[:, 11] + coco[:, 12]) / 2, atol=1e-6)
    assert (len(COCO17), len(MEDIAPIPE33)) == (25, 25)
    mediapipe = person(joints=33)
    found, notes = to_ntu(mediapipe[None])
    np.testing.assert_allclose(found[:, 0, 15], mediapipe[:, 31], atol=1e-6)  # left foot
    np.testing.assert_allclose(found[:, 0, 21], mediapipe[:, 19], atol=1e-6)  # left hand tip


def test_pixels_become_a_standing_person_in_metres():
    coco = person(joints=17)
    upright, _ = to_ntu(coco[None, :, :, :2])
    pixels = np.stack([300 + 200 * coco[..., 0], 500 - 200 * coco[..., 1]], -1)
    found, notes = to_ntu(pixels[None])
    assert notes[-2:] == [
        "y pointed down: turned up",
        "no human's size in metres: each recording is scaled to a torso of 0.5 m",
    ]
    torso = np.median(np.linalg.norm(found[:, 0, 20] - found[:, 0, 0], axis=1))
    assert torso == pytest.approx(0.5, abs=1e-5)
    factor = torso / np.median(np.linalg.norm(upright[:, 0, 20] - upright[:, 0, 0], axis=1))
    np.testing.assert_allclose(
        found[:, 0] - found[:, 0, :1], factor * (upright[:, 0] - upright[:, 0, :1]), atol=1e-4
    )


@pytest.mark.parametrize("joints", [17, 25])
def test_pyskl_pickles_become_both_parts(tmp_path, own, joints):
    entries = [
        {
            "frame_dir": f"S{i}", "label": i % 4, "total_frames": 40, "img_shape": (1080, 1920),
            "keypoint": person(joints=joints)[None].astype(np.float16),
        }
        for i in range(8)
    ]  # fmt: skip
    split = {
        "xsub_train": [f"S{i}" for i in range(6)],
        "xsub_val": ["S6", "S7"],
        "xview_train": [],
        "xview_val": [],
    }
    path = tmp_path / "ntu60_3danno.pkl"
    path.write_bytes(pickle.dumps({"split": split, "annotations": entries}))
    done = import_arrays(path, own, Choice(dataset="waves"))
    assert ("COCO-17" in "".join(done.notes)) == (joints == 17)
    folder = own / "waves/skeletons/xsub"
    positions = open_positions(folder / "train_position.npy")
    assert positions.shape == (6, 3, 50, 25, 2)
    assert read_labels(folder / "val_label.npy", 2).tolist() == [2, 3]
    assert positions[0].any()
    loaded = splits.load(own, "waves", "one")
    assert (len(loaded.train), len(loaded.ztest), loaded.unseen) == (5, 1, (2,))
    path.write_bytes(pickle.dumps(entries))
    import_arrays(path, own, Choice(dataset="waves"))
    assert splits.available(own, "waves") == ["clips", "xsub"]
    del entries[2]["label"]
    path.write_bytes(pickle.dumps(entries))
    with pytest.raises(DataError, match="annotation 2: keypoint and label are expected"):
        import_arrays(path, own, Choice(dataset="waves"))


ONE, TWO = ({"frame_dir": n, "label": i, "keypoint": person()[None]} for i, n in enumerate("ab"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": [ONE, TWO], "split": {"xsub_train": [0], "xsub_val": ["b"]}}, "split xsub_train: '0' is"),
        ({"annotations": [ONE, TWO], "split": {"xsub_train": ["c"], "xsub_val": ["b"]}}, "split xsub_train: 'c' is"),
        (
            {"annotations": [ONE, TWO], "split": {0: ["a"], "xsub_train": ["a"], "xsub_val": ["b"]}},
            "split: 0, xsub_train, xsub_val; allowed: names such as xsub_train",
        ),
        ([{**ONE, "label": 2**70}], "annotation 0: a label of 71 bits; allowed: a class id"),
        ([{**ONE, "label": -(2**70)}], "annotation 0: a label of 71 bits"),
        ([{**ONE, "frame_dir": 5}], "annotation 0: frame_dir 5 is no text"),
        ([ONE, TWO, {**ONE, "label": 3}], "annotation 2: 'a' stands twice, with other positions or label"),
        ([ONE, {**ONE, "keypoint": ONE["keypoint"] + 1}], "annotation 1: 'a' stands twice"),
    ],
)  # fmt: skip
def test_pyskl_pickles_that_contradict_themselves_are_refused(tmp_path, own, content, message):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(DataError) as caught:
        import_arrays(path, own, Choice(dataset="waves"))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert sorted(p.name for p in own.rglob("*")) == ["dataset.yaml", "waves"]


def test_a_recording_of_pyskl_that_stands_twice_counts_once(tmp_path, own):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([ONE, TWO, ONE]))
    import_arrays(tmp_path / "a.pkl", own, Choice(dataset="waves"))
    names = splits.read_names(own / "waves/skeletons/clips/all_name.txt", 8)
    assert {n.partition(":")[0] for n in names} == {"a", "b"}


def test_files_of_ntu_as_mappings_are_parted_by_their_names(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("S001C001P001R001A001", "S001C001P003R001A002", "S001C001P003R001A011"):
        values = {"file_name": name, "nbodys": [1] * 40, "skel_body0": person().astype(np.float64)}
        np.save(source / f"{name}.skeleton.npy", values, allow_pickle=True)
    done = import_arrays(source, tmp_path / "data", Choice(dataset="ntu60"), protocol="xsub")
    folder = tmp_path / "data/ntu60/skeletons/xsub"
    assert done.files == [folder]
    assert read_labels(folder / "train_label.npy", 1).tolist() == [0]
    assert read_labels(folder / "val_label.npy", 2).tolist() == [1, 10]
    np.testing.assert_allclose(
        open_positions(folder / "train_position.npy")[0], frames50(person()[:, None]), atol=1e-6
    )


# --- labels, texts, archives --------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ((["a", "b"], [3, 1]), [3, 1]),
        ([["a", "b"], [3, 1]], [3, 1]),
        ((["a", "b"], np.array([3, 1], np.uint8)), [3, 1]),
        ((["a", "b"], [np.int64(3), np.int32(1)]), [3, 1]),
        ((["a", "b"], np.asfortranarray([[3], [1]])), [3, 1]),
        ([3, 1], [3, 1]),
        (np.array([3.0, 1.0]), [3, 1]),
        ((["a"], ["x"]), "whole numbers"),
        ((["a", "b"], [3.5, 1.0]), "no whole number"),
        ({"label": [3, 1]}, "expected a pickle of"),
        ((["a", "b"], [2**70, 1]), "whole numbers"),
    ],
)
def test_label_pickles_of_every_protocol(tmp_path, protocol, content, expected):
    path = tmp_path / "train_label.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    if isinstance(expected, list):
        assert read_labels(path, 2).tolist() == expected
        return
    with pytest.raises(DataError, match=expected) as caught:
        read_labels(path, 2)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\n--5\n2\n", "expected whole numbers as labels, found '--5'"),
        ("1\n-\n", "found '-'"),
        ("-1\n2\n", None),
    ],
)
def test_labels_written_as_text(tmp_path, content, message):
    path = tmp_path / "y.txt"
    path.write_text(content)
    if message is None:
        assert as_ids(str(path), raw_labels(path)).tolist() == [-1, 2]
        return
    with pytest.raises(DataError, match=message):
        as_ids(str(path), raw_labels(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02)" + b"\x85" * 3_000_000 + b".", "201 levels of nested values"),
        (b"\x80\x02})" + b"\x85" * 3_000_000 + b"K\x01s.", "201 levels of nested values"),
        (b"\x80\x02})K\x01s.", "neither texts nor numbers"),
        (b"\x80\x04\x8f.", "a set"),
        (b"\x80\x02" + b"]" * 300 + b"a" * 299 + b".", "201 levels of nested values"),
        (b"cos\nsystem\n(S'true'\ntR.", "wants to load os.system"),
        (b"", "not a safe"),
    ],
)
def test_pickles_that_would_end_the_process_are_refused(tmp_path, content, message):
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_pickle(path)


def test_pickles_that_hold_themselves_do_no_harm(tmp_path):
    rows = []
    rows.append(rows)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(rows))
    assert read_pickle(tmp_path / "a.pkl") == [None]
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02)" + b"2\x86" * 190 + b".")
    assert isinstance(read_pickle(tmp_path / "a.pkl"), tuple)


@pytest.mark.parametrize("name", ["plain", "excel_bom", "semicolon", "latin1", "cased"])
def test_tables_of_spreadsheets_are_read(shared, name):
    path = shared / f"cases/recordings/classes_{name}.csv"
    if not path.is_file():
        pytest.skip("the cases are absent")
    texts = read_sentences(path, datasets.get("ntu60"))
    first = "Eine Person trinkt Wasser für sich" if name == "latin1" else "A person does: drink water"
    assert texts["contexts"][0] == first
    assert texts["labels"] == list(datasets.get("ntu60").class_names)
    assert len(texts["contexts"]) == 60


def test_numbered_tables_of_msf_are_read_by_their_names(tmp_path):
    lines = ["idx,label", *(f'{i + 1},"text, {i}"' for i in range(34))]
    for name, part in (("lb_34.csv", "labels"), ("ad_34.csv", "contexts"), ("md_34.csv", "motions")):
        (tmp_path / name).write_text("\n".join(lines))
        assert read_sentences(tmp_path / name, datasets.get("cmu")) == {
            part: [f"text, {i}" for i in range(34)]
        }
    (tmp_path / "lb_34.csv").write_text("\n".join([*lines[:2], *lines[3:], "35,x"]))
    with pytest.raises(DataError, match="line 3: idx '3', allowed here: 2"):
        read_sentences(tmp_path / "lb_34.csv", datasets.get("cmu"))


def test_texts_of_a_class_are_joined(tmp_path):
    arrays = {}
    for name in ("lb", "ad", "md"):
        arrays[name] = np.random.default_rng(len(arrays)).random((120, 4), dtype=np.float32)
        np.save(tmp_path / f"{name}_120.npy", arrays[name])
    parts = ["labels", "contexts", "motions"]
    done = import_text(tmp_path, tmp_path / "data", "ntu120", "msf", join=parts)
    assert [str(p.relative_to(tmp_path / "data")) for p in done] == [
        "ntu120/text/msf_labels.npy", "ntu60/text/msf_labels.npy",
    ]  # fmt: skip
    np.testing.assert_array_equal(np.load(done.files[0]), np.concatenate(list(arrays.values()), 1))
    with pytest.raises(DataError, match="no features of nouns"):
        import_text(tmp_path, tmp_path / "x", "ntu120", "msf", join=["labels", "nouns"])


@pytest.mark.parametrize("name", ["../../../out", "..", "a/b", "/out", ".hidden", "", "a" * 65, "a\nb"])
def test_names_of_features_and_skeletons_stay_in_the_data_root(tmp_path, own, name):
    np.save(tmp_path / "cmu_labels.npy", np.ones((34, 8), np.float32))
    parts = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}
    np.savez(tmp_path / "parts.npz", **parts)
    before = sorted(tmp_path.rglob("*"))
    cmu = datasets.get("cmu")
    for option, call in {
        "--encoder": lambda: import_text(tmp_path, own, "cmu", name),
        "--name": lambda: encode_dataset(cmu, own, name=name),
        "--visual": lambda: Choice(dataset="waves", split="one", visual=name),
        "--split": lambda: Choice(split=name if name != "a/b" else "a/../b"),
        "--protocol": lambda: import_arrays(tmp_path / "parts.npz", own, CHOICE, protocol=name),
        "dataset": lambda: prepare("bvh", tmp_path, own, dataset=name or "/"),
    }.items():
        if option == "--split" and len(name) == 65:
            continue  # of a split, a hundred letters are allowed
        with pytest.raises(DataError, match=f"^{option}: .* is no name .*; allowed: "):
            call()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_rule_of_splits_takes_no_classes():
    assert Choice(split="random/5/1").split == "random/5/1"
    with pytest.raises(DataError, match="--split: 'random/5/1': random/U/k are drawn by a rule"):
        Choice(split="random/5/1", unseen=("walk",))


#: an archive of CMU's windows -> the refusal
CMU = {
    "cmu_clipnl": "clip 'a\\nb' is no name of one line",
    "cmu_empty": "x (0, 50, 25, 3); allowed: (N, frames, 25, 3), with one sample",
    "cmu_nan": "x row 0 has a value that is not finite",
    "cmu_obj": "x: holds Python objects",
    "cmu_scalar": "y: shape ()",
    "cmu_xstr": "x: holds <U1, allowed: numbers",
    "cmu_y2d": "y: shape (4, 2), which is neither (N,), (N, 1) nor one-hot",
    "cmu_yfloat": "y: row 0: label 0.5 is no whole number",
}
NPY = {
    "all_label": "shape (4,), allowed: (samples, 3, frames, 25, 1 or 2)",
    "all_position": "shape (4, 3, 0, 25, 1), allowed",
    "n_bool": "impossible shape (True, 3, 1, 25, 1)",
    "n_deep": "not a NumPy array file",
    "n_descrlong": "not a valid dtype descriptor",
    "n_emptyf": "not a NumPy array file",
    "n_f16": "holds float128, allowed: numbers",
    "n_huge": "its header promises shape (999999999999, 3, 50, 25, 1)",
    "n_obj": "holds Python objects",
    "n_overflow": "its header promises shape (4294967296, 3, 4294967296, 25, 1)",
    "n_subd": "allowed: numbers",
    "n_swap": None,
    "n_v3": "not a NumPy array file",
    "n_v9": "not a NumPy array file",
    "n_void": "allowed: numbers",
    "n_zero": "is impossible",
}


def bomb(shared, name):
    path = shared / "cases/bombs" / name
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return path


def test_every_bomb_of_arrays_has_its_row(shared):
    names = {p.stem for p in bomb(shared, "n_huge.npy").parent.glob("*.np[yz]")}
    assert names == CMU.keys() | NPY.keys()
    assert len(names) == 24


@pytest.mark.parametrize("name", CMU)
def test_archives_of_windows_are_checked_like_every_import(tmp_path, shared, name):
    path = bomb(shared, f"{name}.npz")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/skeletons.npz").write_bytes(path.read_bytes())
    with pytest.raises(DataError) as caught:
        import_features("cmu", tmp_path / "in", tmp_path / "data")
    assert CMU[name] in str(caught.value)
    assert str(tmp_path / "in/skeletons.npz") in str(caught.value)
    assert not list(tmp_path.glob("data/**/*.npy"))


@pytest.mark.parametrize("name", NPY)
def test_headers_are_checked_before_memory_is_asked_for(shared, name):
    path = bomb(shared, f"{name}.npy")
    if NPY[name] is None:
        assert open_positions(path).shape == (1, 3, 1, 25, 1)
        return
    with pytest.raises(DataError) as caught:
        open_positions(path)
    assert NPY[name] in str(caught.value)


@pytest.mark.parametrize("value", [1e300, -1e39, np.inf])
@pytest.mark.filterwarnings("error")
def test_windows_that_float32_cannot_hold_are_refused(tmp_path, value):
    x = np.zeros((2, 50, 25, 3))
    x[1, 3, 2, 1] = value
    np.savez(tmp_path / "skeletons.npz", x=x, y=[0, 1], clip=["a", "b"], start=[0, 0])
    with pytest.raises(DataError, match="x row 1 has a value that is not finite as float32"):
        import_cmu_skeletons(tmp_path / "skeletons.npz", tmp_path / "data")
    assert not list(tmp_path.glob("data/**/*.npy"))
    with pytest.raises(DataError, match="row 1 has a value that is not finite"):
        finite("x", x)


@pytest.mark.parametrize("byte", [200, 500, 900])
def test_damage_of_any_compression_is_a_refusal(tmp_path, byte):
    content, path = io.BytesIO(), tmp_path / "a.npz"
    np.save(content, np.random.default_rng(0).random(200))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", content.getvalue())
    raw = bytearray(path.read_bytes())
    raw[byte] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(DataError, match="not a readable .npz archive"):
        Archive(path).read("x")


def test_members_of_archives_are_measured_before_they_are_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (30_000, 50, 25, 3)}
    )
    small = io.BytesIO()
    np.save(small, np.zeros(30_000, np.int64))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(1 << 20))
        for name in ("y", "start", "clip"):
            archive.writestr(f"{name}.npy", small.getvalue())
    with pytest.raises(DataError, match=r"x: its header promises shape \(30000, 50, 25, 3\)"):
        import_cmu_skeletons(path, tmp_path / "data")
    monkeypatch.setenv("DVTA_MAX_ARRAY_BYTES", "1000")
    np.savez(path, x=np.zeros((1, 50, 25, 3), np.float32), y=[0], clip=["a"], start=[0])
    with pytest.raises(
        DataError, match="15,128 bytes in one array; allowed: at most 1,000, or more with DVTA_MAX"
    ):
        import_cmu_skeletons(path, tmp_path / "data")
    monkeypatch.setenv("DVTA_MAX_ARRAY_BYTES", "100000")
    assert import_cmu_skeletons(path, tmp_path / "data").name == "clips"
