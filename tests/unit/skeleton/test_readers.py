"""Readers: real clips against the prepared windows, and round trips of generated files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dvta.errors import OptionError
from dvta.skeleton import SkeletonError
from dvta.skeleton.bvh import read_bvh
from dvta.skeleton.motion import read_clip
from dvta.skeleton.ntu import NtuName, missing_skeletons, read_ntu
from dvta.skeleton.pku import instances, read_labels, read_lists, read_pku
from dvta.skeleton.preprocess import cmu_windows, frames300
from dvta.skeleton.read import read_any
from tests.skeleton_files import walking, write_bvh, write_ntu, write_pku, write_split_list


def _published(shared: Path, clip: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(shared / "data/cmu/skeletons.npz") as archive:
        rows = archive["clip"] == clip
        return archive["x"][rows].astype(np.float32), archive["start"][rows]


@pytest.mark.parametrize(("file", "clip"), [("07_12.bvh", "07_12"), ("09_01.amc", "09_01")])
def test_real_clips_reproduce_the_published_windows(shared: Path, file: str, clip: str) -> None:
    path = shared / "data/cmu/raw" / file
    windows, starts = cmu_windows(read_clip(path).joints)
    wanted, wanted_starts = _published(shared, clip)
    np.testing.assert_array_equal(starts, wanted_starts)
    assert len(wanted) == 4
    np.testing.assert_allclose(windows, wanted, atol=2.5e-3)
    np.testing.assert_array_equal(read_any(path)[..., 0], windows.transpose(0, 3, 1, 2))


def test_the_bvh_conversion_agrees_with_the_native_file_below_the_shoulders(shared: Path) -> None:
    native = read_clip(shared / "data/cmu/raw/09_01.amc").joints
    converted = read_clip(shared / "data/cmu/raw/09_01.bvh").joints
    assert native.shape == converted.shape == (74, 25, 3)
    below = [0, 1, *range(12, 20)]
    np.testing.assert_allclose(converted[:, below], native[:, below], atol=5e-3)
    # the conversion hangs neck and shoulders a bone lower in this subject
    gap = np.linalg.norm(converted[:, 20] - native[:, 20], axis=-1)
    assert 0.05 < gap.mean() < 0.15


def test_bvh_forward_kinematics(tmp_path: Path) -> None:
    motion = np.zeros((3, 9))
    motion[1, :6] = (1, 2, 3, 90, 0, 0)  # root moved, turned a quarter about z
    motion[2, 6:] = (0, 90, 0)  # the joint turned a quarter about y
    bvh = read_bvh(write_bvh(tmp_path / "a.bvh", motion))
    assert [node.name for node in bvh.nodes] == ["Hips", "Spine", "Spine_end"]
    np.testing.assert_allclose(bvh.positions()[0], [[0, 0, 0], [0, 2, 0], [1, 2, 0]], atol=1e-12)
    np.testing.assert_allclose(bvh.positions()[1], [[1, 2, 3], [-1, 2, 3], [-1, 3, 3]], atol=1e-12)
    np.testing.assert_allclose(bvh.positions()[2], [[0, 0, 0], [0, 2, 0], [0, 2, -1]], atol=1e-12)
    with pytest.raises(
        SkeletonError, match="no shipped map fits.*finds nothing for .*the hierarchy has Hips, Spine"
    ):
        read_clip(tmp_path / "a.bvh")


def test_other_frame_rates_are_interpolated(shared: Path, tmp_path: Path) -> None:
    text = (shared / "data/cmu/raw/09_01.bvh").read_text()
    slower = tmp_path / "09_01.bvh"
    slower.write_text(text.replace("Frame Time: .0083333", "Frame Time: 0.02"))
    joints = read_clip(slower).joints
    native = read_clip(shared / "data/cmu/raw/09_01.bvh", rate=120).joints
    assert len(joints) == int(147 * 0.02 * 60) + 1
    np.testing.assert_allclose(joints[6], native[5], atol=1e-9)


def test_ntu_round_trip_with_two_bodies_empty_frames_and_17_digit_ids(tmp_path: Path) -> None:
    a, b = walking(4, 1), walking(4, 2)
    frames = [[a[0]], [], [a[2], b[2]], [a[3], b[3], a[0], b[0]]]
    for newline in (True, False):
        found = read_ntu(write_ntu(tmp_path / "S001C001P001R001A001.skeleton", frames, newline=newline))
        assert found.positions.shape == (4, 4, 25, 3)
        assert found.body_ids[2].tolist() == [72057594037931101, 72057594037931102, 0, 0]
        np.testing.assert_allclose(found.positions[2, :2], np.stack([a[2], b[2]]), rtol=1e-6)
        assert not found.positions[1].any()
    empty = read_ntu(write_ntu(tmp_path / "S001C001P001R001A002.skeleton", [[], []]))
    assert empty.positions.shape == (2, 0, 25, 3)


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (lambda lines: ["9" * 30, *lines[1:]], 1, "the number of frames"),
        (lambda lines: ["99999", *lines[1:]], 1, "do not fit"),
        (lambda lines: ["-1", *lines[1:]], 1, "allowed: 0 to"),
        (lambda lines: [lines[0], "4000000000", *lines[2:]], 2, "the number of bodies"),
        (lambda lines: [*lines[:2], "7.2e16" + lines[2][17:], *lines[3:]], 3, "the body id"),
        (lambda lines: [*lines[:3], "20", *lines[4:]], 4, "expected 25"),
        (lambda lines: [*lines[:4], "nan " + lines[4].split(" ", 1)[1], *lines[5:]], 5, "metres"),
        (lambda lines: [*lines[:4], "1 2 3", *lines[5:]], 5, "expected 12"),
        *(
            (
                lambda lines, w=w: [*lines[:4], f"0.1 {w} 0.3 " + lines[4].split(" ", 3)[3], *lines[5:]],
                5,
                said,
            )
            for w, said in (
                ("abc", "joint 1 has a value that is no number: 'abc'"),
                ("1_0", "joint 1 has a value that is no number: '1_0'"),
                ("0,2", "no number: '0,2'; write decimals with a point"),
            )
        ),
        (lambda lines: lines[:20], 21, "the file ends before joint"),
        (lambda lines: [*lines, "1"], 58, "text after the last"),
    ],
)
def test_broken_ntu_files_name_file_and_line(tmp_path: Path, change: object, line: int, words: str) -> None:
    path = write_ntu(tmp_path / "S001C001P001R001A001.skeleton", [[b] for b in walking(2)])
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change(lines)) + "\n")  # type: ignore[operator]
    with pytest.raises(SkeletonError, match=words) as caught:
        read_ntu(path)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert caught.value.line == line


@pytest.mark.parametrize("unit", [1.0, 100.0])
def test_a_camera_s_positions_in_centimetres_are_refused(tmp_path: Path, unit: float) -> None:
    body = walking(4) * unit
    rows = np.concatenate([body.reshape(4, 75), np.zeros((4, 75))], axis=1)
    ntu, pku = tmp_path / "S001C001P001R001A001.skeleton", tmp_path / "0002-L.txt"
    write_ntu(ntu, [[frame] for frame in body])
    np.savetxt(pku, rows)
    for read, path in ((read_ntu, ntu), (read_pku, pku)):
        if unit == 1:
            read(path)
            continue
        with pytest.raises(SkeletonError, match="m from head to ankles; allowed: metres") as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_ntu_names_and_protocols() -> None:
    name = NtuName.parse("folder/S018C003P045R002A120.skeleton")
    assert name == NtuName(18, 3, 45, 2, 120)
    assert name.label == 119
    assert name.belongs_to("ntu120")
    assert not name.belongs_to("ntu60")
    assert name.trains("ntu120", "xsub")
    assert name.trains("ntu120", "xsetup")
    assert NtuName.parse("S001C002P003R001A001").trains("ntu60", "xview")
    assert not NtuName.parse("S001C001P003R001A001").trains("ntu60", "xview")
    train = [p for p in range(1, 107) if NtuName(1, 1, p, 1, 1).trains("ntu120", "xsub")]
    assert len(train) == 53
    assert sum(p <= 40 for p in train) == 20
    with pytest.raises(OptionError, match="allowed: xsub, xview"):
        name.trains("ntu60", "xsetup")
    with pytest.raises(SkeletonError, match="not of the form"):
        NtuName.parse("S001C001P001R001.skeleton")


def test_missing_skeleton_lists_skip_their_header(tmp_path: Path) -> None:
    path = tmp_path / "missing.txt"
    path.write_text("The following are missing:\n\nS001C002P005R002A008\nS001C002P006R001A008")
    assert missing_skeletons(path) == {"S001C002P005R002A008", "S001C002P006R001A008"}
    path.write_text("nothing here\n")
    with pytest.raises(SkeletonError, match="holds no name"):
        missing_skeletons(path)


def test_pku_instances_are_cut_named_and_centred(tmp_path: Path) -> None:
    positions = np.zeros((500, 2, 25, 3), np.float32)
    positions[:, 0] = walking(500)
    path = write_pku(tmp_path, "0007-M", positions, [(3, 1, 10), (51, 101, 500)])
    table = tmp_path / "Train_Label_PKU_final/0007-M.txt"
    np.testing.assert_allclose(read_pku(path), positions, rtol=1e-6)
    found = list(instances(path, table))
    assert [(name, label, len(cut)) for name, label, cut in found] == [
        ("F007V002C003L001", 2, 10),
        ("F007V002C051L002", 50, 300),
    ]
    np.testing.assert_allclose(found[1][2], positions[150:450], rtol=1e-6)
    table.write_text("52,1,10,2\n")
    with pytest.raises(SkeletonError, match="line 1: the class is '52'; allowed: 1 to 51"):
        read_labels(table)
    table.write_text("\n5,1,10,2\n\n6,401,600,2\n")
    assert [(name[-3:], len(cut)) for name, _, cut in instances(path, table)] == [("001", 10), ("002", 100)]
    for last in ("5,600,610,2", "5,401,601,2", "5,1,1500,2"):
        table.write_text(f"5,1,10,2\n\n{last}\n")
        with pytest.raises(
            SkeletonError, match=r"line 3: most of an instance .* lies beyond the 500 frames of"
        ):
            list(instances(path, table))


def test_pku_lists(tmp_path: Path) -> None:
    path = write_split_list(tmp_path / "cross-subject.txt", ["0002-L", "0002-M"], ["0291-R"])
    assert read_lists(path) == ({"0002-L", "0002-M"}, {"0291-R"})
    write_split_list(path, ["0002-L"], ["0002-L"])
    with pytest.raises(SkeletonError, match="both a training and a test"):
        read_lists(path)


def test_any_recording_becomes_network_input(tmp_path: Path) -> None:
    ntu = write_ntu(tmp_path / "S001C001P001R001A001.skeleton", [[b] for b in walking(30)])
    assert read_any(ntu).shape == (1, 3, 50, 25, 2)
    positions = np.zeros((30, 2, 25, 3), np.float32)
    positions[:, 0] = walking(30)
    np.testing.assert_allclose(
        read_any(write_pku(tmp_path, "0001-L", positions, [])), read_any(ntu), atol=1e-6
    )
    longer = read_any(ntu, "frames300")
    np.testing.assert_array_equal(longer[0], frames300(walking(30)[:, None].astype(np.float32)))
    # 30 frames at 30 a second are a clip of one second: four windows of 25 frames
    windows = read_any(ntu, "windows")
    assert windows.shape == (4, 3, 50, 25, 1)
    expected = cmu_windows(walking(30).astype(np.float32), 30)[0]
    np.testing.assert_allclose(windows[..., 0].transpose(0, 2, 3, 1), expected, atol=1e-6)
    with pytest.raises(OptionError, match="recipe: 'frames40' is unknown"):
        read_any(ntu, "frames40")
    with pytest.raises(SkeletonError, match=r"did you mean '\.skeleton'"):
        read_any(tmp_path / "x.skelton")
    with pytest.raises(SkeletonError, match="cannot be read"):
        read_any(tmp_path / "absent.skeleton")
