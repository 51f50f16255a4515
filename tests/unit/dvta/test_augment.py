"""Changes of skeletons while a network trains: what they keep, and what they are by another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dvta.errors import OptionError
from dvta.skeleton.augment import LEFT, RIGHT, Augmentation
from dvta.skeleton.graph import BONES
from dvta.skeleton.preprocess import LEFT_SHOULDER, RIGHT_SHOULDER


def skeletons(n: int = 6, frames: int = 9) -> torch.Tensor:
    return torch.randn(n, 3, frames, 25, 2, generator=torch.Generator().manual_seed(1))


def test_nothing_changes_without_settings():
    x = skeletons()
    assert Augmentation()(x) is x


def test_a_rotation_keeps_all_distances_and_a_shear_does_not():
    x = skeletons()
    bones = x[..., 0:1, :] - x
    for settings, kept in (({"rotation": 30.0}, True), ({"shear": 0.5}, False)):
        y = Augmentation(**settings)(x)
        lengths = (y[..., 0:1, :] - y).norm(dim=1)
        assert torch.allclose(lengths, bones.norm(dim=1), atol=1e-4) is kept
        assert not torch.allclose(y, x, atol=1e-2)
    # every sample has a matrix of its own, the same for all its frames and joints
    turned = Augmentation(rotation=30.0)(x[:1].expand(2, -1, -1, -1, -1))
    assert not torch.allclose(turned[0], turned[1], atol=1e-2)
    flat, before = turned[0].flatten(1), x[0].flatten(1)
    matrix = torch.linalg.lstsq(before.T, flat.T).solution.T
    assert torch.allclose(matrix @ before, flat, atol=1e-4)
    assert torch.linalg.det(matrix) == pytest.approx(1, abs=1e-4)
    angle = torch.rad2deg(torch.arccos((matrix.trace() - 1) / 2))
    assert float(angle) <= 30 * 3**0.5 + 1e-3


def test_a_mirror_is_its_own_inverse_and_keeps_the_bones():
    x, mirror = skeletons(), Augmentation(mirror=1.0)
    y = mirror(x)
    assert torch.equal(mirror(y), x)
    assert torch.equal(y[:, 0, :, LEFT_SHOULDER], -x[:, 0, :, RIGHT_SHOULDER])
    assert (LEFT_SHOULDER in LEFT, RIGHT_SHOULDER in RIGHT, len({*LEFT, *RIGHT})) == (True, True, 20)
    other = dict(zip(LEFT + RIGHT, RIGHT + LEFT, strict=True))
    bones = {frozenset(edge) for edge in BONES}
    assert {frozenset(other.get(j, j) for j in bone) for bone in bones} == bones
    assert torch.equal(Augmentation(mirror=1e-9)(x), x)


def test_a_crop_is_a_stretch_of_time_interpolated():
    frames = 11
    x = torch.linspace(0, 1, frames).view(1, 1, frames, 1, 1).expand(400, 3, frames, 25, 1)
    torch.manual_seed(0)
    y = Augmentation(crop=0.5)(x)
    first, last = y[:, 0, 0, 0, 0], y[:, 0, -1, 0, 0]
    kept = last - first
    assert 0.5 - 1e-5 <= float(kept.min()) < 0.55
    assert 0.95 < float(kept.max()) <= 1 + 1e-5
    assert float(first.min()) >= -1e-6
    assert float(last.max()) <= 1 + 1e-5
    # of a motion at constant speed every stretch is one
    for row, a, b in zip(y[:, 1, :, 3, 0], first.tolist(), last.tolist(), strict=True):
        np.testing.assert_allclose(row, np.linspace(a, b, frames), atol=1e-5)


def test_one_frame_has_no_stretch():
    x = skeletons(frames=1)
    assert torch.allclose(Augmentation(crop=0.5)(x), x)


def test_the_random_state_decides():
    settings = Augmentation(shear=0.3, rotation=20, crop=0.3, mirror=0.5)
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(settings(skeletons()))
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], atol=1e-2)


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [({"shear": 1.5}, "0 to 1"), ({"rotation": -1}, "0 to 180"), ({"crop": 1}, "0 to 0.9"), ({"mirror": 2}, "0 to 1")],
)  # fmt: skip
def test_impossible_settings_are_refused(wrong, allowed):
    with pytest.raises(OptionError, match=f"allowed: {allowed}$"):
        Augmentation(**wrong)
