"""Arrays whose axes or unit could be others: read as what they are, or refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from dvta.errors import DataError
from dvta.importers.recordings import read_pyskl
from dvta.skeleton.read import read_any
from tests.skeleton_files import walking

WALK = walking(40).astype(np.float32)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.stack([WALK, WALK], 1), r"40 recordings of 2 frames, .* written as \(1, 2, 40, 25, 3\)"),
        (WALK[:, None], r"40 recordings of 1 frames, .* written as \(1, 1, 40, 25, 3\)"),
        (np.stack([WALK, WALK])[None, ..., :2], "coordinates or bodies in the second axis"),
    ],
)
def test_axes_that_could_be_others_are_refused(tmp_path: Path, array, message) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=message):
        read_any(tmp_path / "x.npy")


@pytest.mark.parametrize("unit", [1000, 100, 1 / 0.0254, 1e36, 1e-30])
def test_ntus_joints_in_another_unit_are_a_humans_size(tmp_path: Path, unit) -> None:
    np.save(tmp_path / "x.npy", WALK)
    right = read_any(tmp_path / "x.npy")
    torso = np.median(np.linalg.norm(WALK[:, 20] - WALK[:, 0], axis=1))
    np.save(tmp_path / "x.npy", (WALK * unit).astype(np.float32))
    # the turn's angle has a small constant in it, in metres
    np.testing.assert_allclose(read_any(tmp_path / "x.npy"), right * (0.5 / torso), rtol=0.02, atol=5e-3)


@pytest.mark.parametrize("bodies", [1, 2, 3])
def test_bodies_of_pyskl_are_not_coordinates(tmp_path: Path, bodies) -> None:
    keypoint = np.random.default_rng(0).normal(size=(bodies, 40, 17, 2)).astype(np.float32)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([{"frame_dir": "a", "label": 0, "keypoint": keypoint}]))
    (part,) = read_pyskl(tmp_path / "a.pkl", None, None).values()
    assert np.array_equal(next(part.rows()), keypoint)
