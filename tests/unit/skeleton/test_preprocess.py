"""The three recipes against plain, slow forms of their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvta.errors import DataError
from dvta.skeleton.preprocess import cmu_windows, frames50, frames300, resize_time, valid_frames
from tests.skeleton_files import walking


def _plain_frames50(raw: np.ndarray) -> np.ndarray:
    """Section 5.1, one person and frame at a time."""
    length = sum(1 for frame in raw if frame[0, 0].any())
    relative = raw[:length] - raw[:length, :, 20:21]
    out = np.zeros((3, 50, 25, 2))
    for person in range(2):
        image = torch.from_numpy(relative[:, person].copy()).permute(2, 0, 1)[None]  # (1, 3, L, 25)
        small = torch.nn.functional.interpolate(image, size=(50, 25), mode="bilinear", align_corners=False)
        frames = small[0].permute(1, 2, 0).numpy()
        across = frames[:, 8] - frames[:, 4]
        sign = -1 if across[:, 2].sum() >= 0 else 1
        for t, frame in enumerate(frames):
            vx, vz = across[t, 0], across[t, 2]
            angle = sign * math.acos(vx / (math.hypot(vx, vz) + 1e-4))
            c, s = math.cos(angle), math.sin(angle)
            out[:, t, :, person] = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) @ frame.T
    return out


@pytest.mark.parametrize("frames", [1, 2, 37, 50, 103])
def test_50_frames_equal_the_plain_form(frames: int) -> None:
    raw = np.zeros((frames + 4, 2, 25, 3))
    raw[:frames, 0] = walking(frames, 1)
    raw[: frames // 2, 1] = walking(frames, 2)[: frames // 2]
    found = frames50(raw)
    assert found.shape == (3, 50, 25, 2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, _plain_frames50(raw), atol=2e-4)


def test_50_frames_lay_the_shoulders_along_x() -> None:
    raw = walking(40, 3)[:, None]
    raw[:, 0, 4], raw[:, 0, 8] = (-0.2, 0.5, 3.0), (0.15, 0.5, 3.2)
    found = frames50(raw)
    across = found[:, :, 8, 0] - found[:, :, 4, 0]
    assert np.abs(across[2]).max() < 2e-3
    assert across[0].min() > 0.4
    assert not found[..., 1].any()


def test_a_recording_without_anybody_is_refused() -> None:
    for shape in (frames50, frames300):
        with pytest.raises(DataError, match="no frame shows a person"):
            shape(np.zeros((10, 2, 25, 3)))
    with pytest.raises(DataError, match="expected"):
        frames50(np.zeros((10, 2, 24, 3)))


def test_a_body_around_its_own_origin_is_there() -> None:
    raw = np.zeros((44, 2, 25, 3), np.float32)
    raw[:40, 0] = walking(40)
    far = frames50(raw)
    for origin in (raw[:, :, :1], raw[:1, :, :1]):
        moved = raw.copy()
        moved[:40] -= origin[:40]
        # relative to the root of every frame, or of the first
        np.testing.assert_allclose(frames50(moved, centred=True), far, atol=1e-5)
        assert valid_frames(moved, centred=True) == 40
    assert valid_frames(raw) == 40
    with pytest.raises(DataError, match="no frame shows a person"):
        frames50(np.zeros_like(raw), centred=True)
    # of a camera's recordings joint 1 alone says whether somebody is there
    raw[10:20, 0, 0] = 0
    assert (valid_frames(raw), valid_frames(raw, centred=True)) == (30, 40)


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 90), frames=st.integers(1, 70))
def test_resizing_equals_bilinear_image_resizing(length: int, frames: int) -> None:
    values = np.random.default_rng(length).normal(size=(length, 25, 3))
    image = torch.from_numpy(values).permute(2, 0, 1)[None]
    wanted = torch.nn.functional.interpolate(image, size=(frames, 25), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(resize_time(values, frames), wanted[0].permute(1, 2, 0), atol=1e-9)


def test_300_frames_repeat_centre_and_turn() -> None:
    raw = np.zeros((40, 3, 25, 3))
    raw[:, 0] = walking(40, 1)
    raw[:, 1] = walking(1, 2)  # stands still: no spread
    raw[:, 2] = walking(40, 3) * 1.5
    found = frames300(raw)
    assert found.shape == (3, 300, 25, 2)
    np.testing.assert_allclose(found[:, 40:80], found[:, :40])
    np.testing.assert_allclose(found[:, :, 1, 0], 0, atol=1e-6)
    spine = -found[:, 0, 0, 0]
    # turning the shoulders afterwards may tilt the spine again, so its length is what is left
    centred = raw[0, 2, 1] - raw[0, 2, 0]
    assert np.linalg.norm(spine) == pytest.approx(np.linalg.norm(centred), rel=1e-5)
    across = found[:, 0, 8, 0] - found[:, 0, 4, 0]
    np.testing.assert_allclose(across[1:], 0, atol=1e-5)
    assert across[0] > 0


def test_300_frames_start_with_the_first_person_and_keep_absent_joints_at_zero() -> None:
    raw = np.zeros((20, 1, 25, 3))
    raw[5:, 0] = walking(15, 4)
    raw[:, 0, 24] = 0
    found = frames300(raw)
    assert found[:, 0].any()
    assert not found[:, :, 24].any()
    assert not found[..., 1].any()


def test_clips_give_windows_every_half_second_and_short_ones_four() -> None:
    windows, starts = cmu_windows(walking(200))
    assert starts.tolist() == [0, 30, 60]
    assert windows.shape == (3, 50, 25, 3)
    np.testing.assert_allclose(windows[:, 0, 0], 0)
    across = windows[:, 0, 8] - windows[:, 0, 4]
    np.testing.assert_allclose(across[:, 2], 0, atol=1e-6)
    assert (across[:, 0] > 0).all()
    assert cmu_windows(walking(132))[1].tolist() == [0, 6, 12, 18]
    assert cmu_windows(walking(2))[1].tolist() == [0]
    with pytest.raises(DataError, match="no window"):
        cmu_windows(walking(1))
