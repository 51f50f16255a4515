"""The joint graph and its adjacency matrices, against the published ones."""

from __future__ import annotations

import numpy as np
import pytest

from dvta.skeleton.graph import BONES, NTU_JOINTS, directed_partition, hops, spatial_partition


def test_the_skeleton_is_a_tree_of_25_joints_and_24_bones() -> None:
    assert len(NTU_JOINTS) == len(set(NTU_JOINTS)) == 25
    assert len(set(BONES)) == 24
    assert {child for child, _ in BONES} == set(range(25)) - {20}
    assert hops().max() == 6  # hand tip or thumb to the spine at the shoulders


def test_the_official_partition_has_25_40_and_8_non_zeros() -> None:
    matrices = spatial_partition()
    assert [int((m != 0).sum()) for m in matrices] == [25, 40, 8]
    nearer = {(int(a), int(b)) for a, b in np.argwhere(matrices[2])}
    assert nearer == {(1, 0), (2, 3), (4, 5), (8, 9), (20, 1), (20, 2), (20, 4), (20, 8)}
    np.testing.assert_allclose(matrices.sum((0, 1)), 1, rtol=1e-6)


def test_true_distances_part_the_bones_in_halves() -> None:
    assert [int((m != 0).sum()) for m in spatial_partition("true_distance")] == [25, 24, 24]
    np.testing.assert_allclose(spatial_partition("true_distance").sum(0), spatial_partition().sum(0))
    with pytest.raises(ValueError, match="allowed: official, true_distance"):
        spatial_partition("hops")


def test_directed_matrices_are_column_normalised() -> None:
    identity, inward, outward = directed_partition()
    assert [int((m != 0).sum()) for m in (identity, inward, outward)] == [25, 24, 24]
    assert inward[1, 0] == 1  # spine base is a child of spine middle
    assert set(np.round(np.unique(inward.sum(0)), 6)) <= {0.0, 1.0}
    assert set(np.round(np.unique(outward.sum(0)), 6)) <= {0.0, 1.0}
    assert outward[0, 1] == pytest.approx(1.0)
    assert outward[4, 20] == pytest.approx(0.25)  # four joints hang at the spine at the shoulders
