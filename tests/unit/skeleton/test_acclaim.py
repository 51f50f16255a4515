"""Acclaim files as their header says, against a forward kinematics of another hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dvta.skeleton import SkeletonError
from dvta.skeleton.acclaim import positions, read_amc, read_asf, skeleton_of
from dvta.skeleton.bvh import read_bvh
from tests.independent_kinematics import acclaim_positions, bvh_positions

_BONES = ("spine", "neck", "arm", "hand")


def _write(folder: Path, *, angle: str = "deg", order: str = "TX TY TZ RX RY RZ", axis: str = "XYZ",
           bone_axis: str = "XYZ", dof: str = "rx ry rz", moving: str = ":DEGREES", first: int = 1) -> tuple[Path, Path]:  # fmt: skip
    rng = np.random.default_rng(sum(map(ord, angle + order + axis + bone_axis + dof)))
    turn = 1.0 if angle == "deg" else np.pi / 180
    lines = [":version 1.10", ":units", "  length 0.45", f"  angle {angle}", ":root", f"  order {order}"]
    start = rng.uniform(-90, 90, 3) * turn
    lines += [
        f"  axis {axis}",
        "  position 1 2 3",
        f"  orientation {' '.join(map(repr, start.tolist()))}",
        ":bonedata",
    ]
    for name in _BONES:
        direction, angles = rng.normal(size=3), rng.uniform(-180, 180, 3) * turn
        lines += [
            "  begin",
            f"    name {name}",
            f"    direction {' '.join(map(repr, direction.tolist()))}",
            "    length 2.5",
        ]
        lines += [f"    axis {' '.join(map(repr, angles.tolist()))} {bone_axis}", f"    dof {dof}", "  end"]
    lines += [":hierarchy", "  begin", "  root spine arm", "  spine neck", "  arm hand", "  end"]
    asf = folder / "walk.asf"
    asf.write_text("\n".join(lines) + "\n")
    moving_turn = np.pi / 180 if moving == ":RADIANS" else 1.0
    frames = [":FULLY-SPECIFIED", moving]
    for frame in range(first, first + 5):
        root = [
            rng.normal() if o[0].upper() == "T" else rng.uniform(-180, 180) * moving_turn
            for o in order.split()
        ]
        frames += [str(frame), f"root {' '.join(map(repr, root))}"]
        frames += [
            f"{name} {' '.join(repr(rng.uniform(-180, 180) * moving_turn) for _ in dof.split())}"
            for name in _BONES
        ]
    amc = folder / "walk.amc"
    amc.write_text("\n".join(frames) + "\n")
    return asf, amc


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"angle": "rad", "moving": ":RADIANS"},
        {"angle": "rad"},
        {"moving": ":RADIANS"},
        {"order": "RX RY RZ TX TY TZ"},
        {"order": "TZ RY TX RZ TY RX"},
        {"axis": "ZYX", "bone_axis": "YZX"},
        {"bone_axis": "ZXY", "dof": "rz rx"},
        {"dof": "ry", "first": 100},
    ],
)
def test_headers_are_followed(tmp_path: Path, header: dict[str, str]) -> None:
    asf, amc = _write(tmp_path, **header)  # type: ignore[arg-type]
    skeleton = read_asf(asf)
    found = positions(skeleton, read_amc(amc, skeleton))
    wanted = acclaim_positions(asf, amc)
    assert skeleton.names == ["root", "spine", "arm", "neck", "hand"]
    assert set(wanted) == set(skeleton.names)
    for index, name in enumerate(skeleton.names):
        np.testing.assert_allclose(found[:, index], wanted[name], atol=1e-12)
    assert np.ptp(found[:, 4], axis=0).min() > 0.1


def test_the_real_recording_agrees(shared: Path) -> None:
    raw = shared / "data/cmu/raw"
    skeleton = read_asf(raw / "09.asf")
    found = positions(skeleton, read_amc(raw / "09_01.amc", skeleton))
    assert found.shape == (148, 31, 3)
    wanted = acclaim_positions(raw / "09.asf", raw / "09_01.amc")
    for index, name in enumerate(skeleton.names):
        np.testing.assert_allclose(found[:, index], wanted[name], atol=1e-10)


def test_bvh_agrees_with_another_hand(shared: Path) -> None:
    for path in (shared / "data/cmu/raw/09_01.bvh", shared / "cases/recordings/bvh_mixed_orders.bvh"):
        bvh = read_bvh(path)
        wanted = bvh_positions(path)
        assert set(wanted) == set(bvh.names)
        found = bvh.positions()
        for index, name in enumerate(bvh.names):
            np.testing.assert_allclose(found[:, index], wanted[name], atol=1e-10)


def test_the_skeleton_beside_a_motion(tmp_path: Path) -> None:
    motion = tmp_path / "09_01.amc"
    with pytest.raises(SkeletonError, match=r"no skeleton beside it; expected 09_01\.asf or 09\.asf"):
        skeleton_of(motion)
    (tmp_path / "other.asf").touch()
    assert skeleton_of(motion).name == "other.asf"
    (tmp_path / "second.asf").touch()
    (tmp_path / "09.ASF").touch()
    assert skeleton_of(motion).name == "09.ASF"
    (tmp_path / "09_01.asf").touch()
    assert skeleton_of(motion).name == "09_01.asf"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("angle deg", "angle turns", "the angle unit is 'turns'; allowed: deg, rad"),
        ("order TX TY TZ", "order TX TX TZ", "allowed, once each: TX TY TZ RX RY RZ"),
        ("  axis XYZ", "  axis XYY", "allowed: three angles and an order such as XYZ"),
        ("dof rx ry rz", "dof rx rq", "dof of spine: rx rq; allowed, once each"),
        ("arm hand", "arm hand spine", "has two parents"),
        ("  position 1 2 3", "  position 1 x 3", "position of the root has a value that is no number: 'x'"),
        ("  orientation ", "  orientation 0 ", "axis and orientation of the root has 4 values, expected 3"),
        ("    direction ", "    direction abc ", "direction of spine has 4 values, expected 3"),
        ("    length 2.5", "    length two", "length of spine has a value that is no number: 'two'"),
        ("    axis ", "    axis nan ", "axis of spine has 4 values, expected 3"),
    ],
)
def test_wrong_headers_are_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    asf, _ = _write(tmp_path)
    text = asf.read_text()
    asf.write_text(text.replace(old, new, 1))
    with pytest.raises(SkeletonError, match=words) as caught:
        read_asf(asf)
    assert caught.value.line == text[: text.index(old)].count("\n") + 1


def test_a_stretching_bone_is_refused(tmp_path: Path) -> None:
    asf, amc = _write(tmp_path, dof="rx l")
    with pytest.raises(SkeletonError, match="bone spine moves or stretches"):
        read_amc(amc, read_asf(asf))
