"""Texts of recordings that could be taken for something else: units, separators, names, headings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dvta.errors import DataError, OptionError
from dvta.skeleton import SkeletonError, acclaim
from dvta.skeleton.clips import read_clip_classes
from dvta.skeleton.json_frames import joints_of
from dvta.skeleton.motion import Reading, read_clip
from dvta.skeleton.ntu import NtuName
from dvta.skeleton.pku import read_pku
from dvta.skeleton.prepare import prepare
from tests.people import write_person
from tests.skeleton_files import walking

WALK = walking(40).astype(np.float32)
ASF = """:version 1.10
:units
 mass 1.0
 length 0.45
 angle deg
:root
 order TX TY TZ RX RY RZ
 axis XYZ
 position 0 0 0
 orientation 0 0 0
:bonedata
 begin
 name a
 direction 0 1 0
 length 2
 axis 0 0 20 XYZ
 dof rx ry rz
 end
:hierarchy
 begin
 root a
 end
"""
AMC = ":DEGREES\n1\nroot 0 1 2 3 4 5\na 1 2 3\n2\nroot 0 1 2 3 4 6\na 1 2 4\n"


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        ([{"x": 1, "z": 2}] * 25, "joint 1 is [1, None, 2]"),
        ([{"x": 1, "Y": 2, "z": 3}] * 25, "joint 1 is [1, None, 3]"),
        ([[1, 2, 3]] * 24 + [[1, 2]], "joint 25 has 2 numbers, those before 3"),
        ([{"x": 1, "y": 2, "z": 3}] * 24 + [{"x": 1, "y": 2}], "joint 25 has 2 numbers"),
    ],
)
def test_a_coordinate_that_json_lacks_is_not_zero(joints, message) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        joints_of(json.dumps(joints).encode())
    assert joints_of(json.dumps([{"y": 2, "x": 1}] * 25).encode())[0, 0].tolist() == [1, 2, 0]


def test_a_key_of_json_stands_once() -> None:
    body = json.dumps([[1, 2, 3]] * 25)
    with pytest.raises(DataError, match="has 'joints' twice in one object"):
        joints_of(f'{{"joints": null, "joints": {body}}}'.encode())


@pytest.mark.parametrize(
    ("seconds", "fps"), [("8.3333", "120"), ("4.1667", "240"), ("1.5", "666.7"), ("30", "30")]
)
def test_a_frame_time_in_milliseconds_is_not_read_as_seconds(tmp_path: Path, seconds, fps) -> None:
    path = write_person(tmp_path / "a.bvh", "mixamo", fps=120, frames=20)
    right = read_clip(path).joints
    path.write_text(re.sub("Frame Time: .*", f"Frame Time: {seconds}", path.read_text()))
    with pytest.raises(SkeletonError, match=rf"the frame time is {seconds} seconds; .* such as --fps {fps}$"):
        read_clip(path)
    assert np.array_equal(read_clip(path, Reading(fps=120)).joints, right)


@pytest.mark.parametrize("blank", [" ", "\t", "  "])
def test_decimal_commas_of_one_person_are_not_the_numbers_of_two(tmp_path: Path, blank) -> None:
    rows = [blank.join(f"{x:.3f}".replace(".", ",") for x in row) for row in WALK.reshape(40, 75)]
    path = tmp_path / "0002-L.txt"
    path.write_text("\n".join(rows))
    with pytest.raises(SkeletonError, match="line 1: commas and blanks both part the numbers"):
        read_pku(path)
    for parted in (", ", ",", " ,\t"):
        path.write_text("\n".join(parted.join(f"{x:.3f}" for x in row) + "," for row in WALK.reshape(40, 75)))
        np.testing.assert_allclose(read_pku(path)[:, 0], WALK, atol=6e-4)
    path.write_text(path.read_text().replace(",", ",,", 1))
    with pytest.raises(SkeletonError, match="line 1: a value is missing between two commas"):
        read_pku(path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("S001C004P001R001A001", "camera 4; allowed: 1 to 3"),
        ("S001C000P001R001A001", "camera 0"),
        ("S033C001P001R001A001", "setup 33; allowed: 1 to 32"),
        ("S001C001P107R001A001", "performer 107; allowed: 1 to 106"),
        ("S001C001P001R003A001", "repetition 3"),
        ("S001C001P001R001A121", "action 121; allowed: 1 to 120"),
        ("S\u0660\u0660\u0661C001P001R001A001", "not of the form"),
    ],
)
def test_a_name_that_ntu_has_not_is_in_no_part(name, said) -> None:
    with pytest.raises(SkeletonError, match=re.escape(said)):
        NtuName.parse(f"{name}.skeleton")


@pytest.mark.parametrize("first", ["w1.bvh", "w1", "takes/walk", "walk.amc"])
def test_a_first_recording_of_a_misspelled_class_is_no_header(tmp_path: Path, first) -> None:
    path = tmp_path / "classes.csv"
    path.write_text(f"{first},wlk\nb.bvh,walk\n")
    with pytest.raises(SkeletonError, match=r"line 1: class 'wlk' is unknown \(did you mean 'walk'"):
        read_clip_classes(path, ("walk", "run"))
    path.write_text("Datei,Klasse\nb.bvh,walk\n")
    assert read_clip_classes(path, ("walk", "run")) == {"b": 0}


def _acclaim(folder: Path, asf: str, amc: str = AMC) -> Path:
    (folder / "walk.asf").write_text(asf)
    (folder / "walk.amc").write_text(amc)
    return folder / "walk.amc"


def _read(path: Path) -> dict[str, np.ndarray]:
    return acclaim.read_amc(path, acclaim.read_asf(path.with_suffix(".asf")))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("length 0.45", "length 0.45\n length 1", r"walk\.asf, line 5: length stands twice in :units"),
        ("order TX", "order RX RY RZ TX TY TZ\n order TX", "order stands twice in :root"),
        (" length 2\n", " length 2\n length 9\n", "length stands twice in a bone"),
        (" end\n:hier", "begin\n name b\n end\n:hier", "a bone begins before the one above it ends"),
        ("angle deg", "angle radish", "the angle unit is 'radish'; allowed: deg, rad"),
        ("direction 0 1 0", "direction 0 0 0", "a has a length and no direction"),
    ],
)
def test_acclaim_skeletons_say_everything_once(tmp_path: Path, old, new, message) -> None:
    with pytest.raises(SkeletonError, match=message):
        _read(_acclaim(tmp_path, ASF.replace(old, new)))


def test_acclaim_words_in_any_case_and_units_in_any_form_are_read(tmp_path: Path) -> None:
    right = _read(_acclaim(tmp_path, ASF))
    for asf in (ASF.replace(" end\n", " End\n"), ASF.replace("deg", "Degrees"), ASF.replace("deg", "deg.")):
        found = _read(_acclaim(tmp_path, asf))
        assert all(np.array_equal(found[name], right[name]) for name in right)
    found = _read(_acclaim(tmp_path, ASF, AMC.replace(":DEGREES", ":radian")))
    np.testing.assert_allclose(found["a"], np.rad2deg(right["a"]))
    for header, message in (
        (":DEGREES\n:RADIANS", "both stated"),
        (":DEGRES", "':DEGRES' is no unit of angles"),
    ):
        with pytest.raises(SkeletonError, match=message):
            _read(_acclaim(tmp_path, ASF, AMC.replace(":DEGREES", header)))


@pytest.mark.parametrize("processes", [0, -3])
def test_no_processes_are_not_one_or_all(tmp_path: Path, processes) -> None:
    with pytest.raises(OptionError, match=f"processes: {processes} is impossible; allowed: 1 or more"):
        prepare("ntu", tmp_path, tmp_path / "data", processes=processes)
