"""Every recording of the cases beside the project has its right outcome: numbers, or what its refusal says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from dvta.errors import DataError
from dvta.skeleton import SkeletonError
from dvta.skeleton.bodies import clean
from dvta.skeleton.clips import read_clip_classes
from dvta.skeleton.motion import Reading, read_clip
from dvta.skeleton.ntu import read_ntu
from dvta.skeleton.pku import Instance, read_labels, read_lists, read_pku
from dvta.skeleton.prepare import prepare
from dvta.skeleton.preprocess import cmu_windows
from dvta.skeleton.read import read_any
from dvta.skeleton.splits import read_names

PLAIN_HEIGHT = 1.4111  # metres, of 25 units of CMU

# as bvh_plain; "joints" in the table below: how far the joints may lie from the plain file's
AS_PLAIN = (
    *("plain", "bom", "channels_lower", "cm_scale", "cr_only", "crlf", "end_site_lower", "end_site_named"),
    *("end_site_upper", "endsite_oneword", "frames_float", "frames_nospace", "frames_space_colon"),
    *("frames_upper", "frametime_nospace", "frametime_two_spaces", "prefix", "scientific", "tabs"),
)
REFUSED = {
    "comma_decimal": r"line 149: frame 2 has a value that is no number: '0,1'; write decimals with a point",
    "fps_as_time": "the frame time is 120 seconds; .*--fps 120",
    "frames_too_few_stated": "line 187: text after the last of 39 frames",
    "frames_too_many_stated": "line 188: the file ends before frame 41 of 41",
    "ftime_zero": "the frame time is 0 seconds; .*--fps 30",
    "mixed_orders": "no shipped map fits.*--joints FILE",
    "nan": "line 148: frame 1 has a value that is not finite: 'nan'",
    "one_frame": "0 frames of motion are too few",
    "two_frames": "1 frames of motion are too few",
    "scale_channels": "scale channels that are not 1",
    "twice_name": "has LThumb_end more than once",
    "twice_neck": "has Neck more than once",
}
#: frames after the added T-pose at 60 a second, and the height in metres
OTHERWISE = {
    "root_rotation_only": (20, PLAIN_HEIGHT),
    "six_all": (20, 1.0),
    "slow": (2281, PLAIN_HEIGHT),
    "three_frames": (1, PLAIN_HEIGHT),
}
AS_BASE = (
    *("amc_cut_from_100_01", "amc_from_zero_01", "asf_axis_lower_01", "asf_axis_zyx_01", "asf_base_01"),
    *("asf_bom_01", "asf_crlf_01", "asf_dof_l_01", "asf_dof_upper_01", "asf_radians_01", "asf_root_order_01"),
    "walk",
)


@pytest.fixture(scope="module")
def cases(shared: Path) -> Path:
    return shared / "cases/recordings"


def height(joints: np.ndarray) -> float:
    """Return the vertical extent of the first frame."""
    return float(np.ptp(joints[0, :, 1]))


def test_the_table_names_every_file(cases: Path) -> None:
    assert {p.stem for p in cases.glob("*.bvh")} == {f"bvh_{n}" for n in (*AS_PLAIN, *REFUSED, *OTHERWISE)}
    others = {"asf_metric_01", "asf_root_position_01"}
    assert {p.stem for p in cases.glob("*.amc")} == {*AS_BASE, *others}
    assert {p.name for p in cases.glob("*.skeleton")} == {
        f"S001C001P001R001A00{n}.skeleton" for n in range(1, 5)
    }


@pytest.mark.parametrize("name", AS_PLAIN)
def test_layouts_read_as_the_plain_file(cases: Path, name: str) -> None:
    plain, found = read_clip(cases / "bvh_plain.bvh").joints, read_clip(cases / f"bvh_{name}.bvh").joints
    assert found.shape == (20, 25, 3)
    np.testing.assert_allclose(found, plain, atol=1e-6)
    assert height(found) == pytest.approx(PLAIN_HEIGHT, abs=1e-4)
    np.testing.assert_allclose(
        read_any(cases / f"bvh_{name}.bvh"), read_any(cases / "bvh_plain.bvh"), atol=1e-6
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_with_what_to_do(cases: Path, name: str) -> None:
    with pytest.raises(SkeletonError, match=REFUSED[name]) as caught:
        cmu_windows(read_clip(cases / f"bvh_{name}.bvh").joints)
    assert f"bvh_{name}.bvh" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", OTHERWISE)
def test_other_files_have_their_own_values(cases: Path, name: str) -> None:
    frames, tall = OTHERWISE[name]
    found = read_clip(cases / f"bvh_{name}.bvh").joints
    assert len(found) == frames
    assert height(found) == pytest.approx(tall, abs=1e-4)


def test_a_frame_rate_given_mends_a_wrong_frame_time(cases: Path) -> None:
    plain = read_clip(cases / "bvh_plain.bvh").joints
    for name in ("fps_as_time", "ftime_zero", "slow"):
        found = read_clip(cases / f"bvh_{name}.bvh", Reading(fps=120)).joints
        np.testing.assert_allclose(found, plain, atol=1e-9)


@pytest.mark.parametrize("name", AS_BASE)
def test_acclaim_files_read_as_the_base_file(cases: Path, name: str) -> None:
    base, found = read_clip(cases / "asf_base_01.amc").joints, read_clip(cases / f"{name}.amc").joints
    assert found.shape == (10, 25, 3)
    np.testing.assert_allclose(found, base, atol=1e-7)
    assert height(found) == pytest.approx(1.6225, abs=1e-4)


def test_acclaim_units_and_positions_count(cases: Path) -> None:
    base = read_clip(cases / "asf_base_01.amc").joints
    inches = read_clip(cases / "asf_metric_01.amc").joints
    np.testing.assert_allclose(inches, base * 0.45, atol=1e-5)
    moved = read_clip(cases / "asf_root_position_01.amc").joints
    wanted = np.broadcast_to([0, 5 * 0.0254 / 0.45, 0], base.shape)
    np.testing.assert_allclose(moved - base, wanted, atol=1e-9)


def test_ntu_bodies(cases: Path) -> None:
    read = {n: read_ntu(cases / f"S001C001P001R001A00{n}.skeleton") for n in range(1, 5)}
    wanted = read[3].positions[:, 0]
    assert wanted.shape == (30, 25, 3)
    for number in (2, 3, 4):
        found = clean(read[number])
        assert found.shape == (30, 2, 25, 3)
        assert not found[:, 1].any()
    # 002 shows the last thirty frames of the recording that 001 shows whole
    np.testing.assert_array_equal(clean(read[4])[:, 0], wanted)
    np.testing.assert_array_equal(clean(read[1])[:, 0], read[1].positions[:, 0])
    published = {n: read_any(cases / f"S001C001P001R001A00{n}.skeleton") for n in (2, 3, 4)}
    mended = {n: read_any(cases / f"S001C001P001R001A00{n}.skeleton", "clean") for n in (2, 3, 4)}
    np.testing.assert_array_equal(mended[3], published[3])
    np.testing.assert_array_equal(mended[4], published[3])
    assert np.abs(published[4] - published[3]).max() > 0.1
    assert np.abs(published[2] - mended[2]).max() > 0.1


def test_pku_layouts(cases: Path) -> None:
    blank = read_pku(cases / "pku_blank_end.txt")
    assert blank.shape == (60, 2, 25, 3)
    for name in ("comma", "crlf", "tabs"):
        np.testing.assert_array_equal(read_pku(cases / f"pku_{name}.txt"), blank)
    one = read_pku(cases / "pku_one_person.txt")
    np.testing.assert_array_equal(one[:, 0], blank[:, 0])
    assert not one[:, 1].any()
    for name in ("bom", "spaces"):
        assert read_labels(cases / f"lab_{name}.txt") == [Instance(1, 2, 30, 2.0, 1)]
    with pytest.raises(SkeletonError, match="line 1: the last frame is '2'; allowed: 30 to"):
        read_labels(cases / "lab_swapped.txt")
    with pytest.raises(SkeletonError, match="line 1: expected class,start,end,confidence"):
        read_labels(cases / "lab_three.txt")
    assert read_lists(cases / "list_ext.txt") == ({"0002-L"}, {"0003-M"})
    for name in ("trailing_comma", "wrapped"):
        assert read_lists(cases / f"list_{name}.txt") == ({"0002-L", "0003-M"}, {"0004-R"})


def test_pku_ignores_and_never_replaces_ntu(cases: Path, tmp_path: Path) -> None:
    whole = prepare("pku", cases / "pku_mini", tmp_path, processes=1)
    assert whole.samples == {"train": 2, "val": 2}
    less = prepare("pku", cases / "pku_mini", tmp_path, ignore=cases / "pku_mini/missing.txt", processes=1)
    assert less.samples == {"train": 1, "val": 2}
    assert (less.ignored, less.replaced) == (1, {"train": 2, "val": 2})
    with pytest.raises(DataError, match="0002-L|no name|left out"):
        prepare("pku", cases / "pku_mini", tmp_path, ignore=cases / "bvh_plain.bvh", processes=1)


NAMES = ("wave hello", "kick a ball", "jump")
TABLES = {
    "plain": {"wave": 0, "kick": 1, "Jump High": 2},
    "bom": {"wave": 0, "kick": 1, "Jump High": 2},
    "upper": {"Wave": 0, "KICK": 1, "Jump High": 2},
    "header": {"wave": 0},
    "semicolon": {"wave": 0, "kick": 1},
    "ending": {"wave": 0, "kick": 1},
    "names": {"wave": 0, "kick": 1},
}


@pytest.mark.parametrize("name", TABLES)
def test_class_tables(cases: Path, tmp_path: Path, name: str) -> None:
    table = cases / f"bvh_csv/{name}.csv"
    assert read_clip_classes(table, NAMES) == TABLES[name]
    if name == "names":
        with pytest.raises(SkeletonError, match="names.csv, line 1: class 'wave hello' is no id; names need"):
            read_clip_classes(table)
        return
    done = prepare("bvh", cases / "bvh_csv", tmp_path, dataset="own", classes=table, processes=1)
    names = read_names(done.folder / "all_name.txt", done.samples["all"])
    assert {n.rpartition(":")[0] for n in names} == set(TABLES[name])
    assert len(done.unlisted) == 3 - len(TABLES[name])
    assert done.absent == ()


def test_the_same_name_in_two_folders(cases: Path, tmp_path: Path) -> None:
    folder = cases / "bvh_folders"
    with pytest.raises(DataError, match=r"clip 'take1' is the name of .*run/take1.bvh and .*walk/take1.bvh"):
        prepare("bvh", folder, tmp_path, dataset="own", classes=folder / "classes.csv", processes=1)
    assert not (tmp_path / "own/skeletons/clips").exists()
    done = prepare("bvh", folder, tmp_path, dataset="own", classes=folder / "classes_path.csv", processes=1)
    names = read_names(done.folder / "all_name.txt", done.samples["all"])
    assert {n.rpartition(":")[0] for n in names} == {"walk/take1", "run/take1"}


def test_recordings_beside_those_of_cmu(cases: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"clip '09_01' is the name of .*a/09_01.bvh and .*b/09_01.bvh"):
        prepare("bvh", cases / "bvh_cmu", tmp_path, processes=1)
    shutil.copytree(cases / "bvh_cmu/b", tmp_path / "b")
    done = prepare("bvh", tmp_path / "b", tmp_path / "root", processes=1)
    assert done.unlisted == ("my_own_run",)
    assert len(done.absent) == 260


def test_bombs_are_refused(shared: Path) -> None:
    with pytest.raises(
        SkeletonError, match="201 joints one below the other; allowed: at most 200, or more with DVTA_"
    ):
        read_clip(shared / "cases/bombs/nodes.bvh")
    with pytest.raises(SkeletonError, match="no joint has channels"):
        read_clip(shared / "cases/bombs/slow.bvh")
