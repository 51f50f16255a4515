"""The NTU skeleton as a graph: joints, bones and the adjacency matrices of the encoders."""

from __future__ import annotations

import numpy as np

#: the 25 joints in NTU order
NTU_JOINTS = (
    *("spine_base", "spine_mid", "neck", "head", "left_shoulder", "left_elbow", "left_wrist", "left_hand"),
    *("right_shoulder", "right_elbow", "right_wrist", "right_hand", "left_hip", "left_knee", "left_ankle"),
    *("left_foot", "right_hip", "right_knee", "right_ankle", "right_foot", "spine_shoulder"),
    *("left_hand_tip", "left_thumb", "right_hand_tip", "right_thumb"),
)
#: (child, parent) pairs, 0-based, of NTU RGB+D's 25 joints
BONES = tuple(
    (child - 1, parent - 1)
    for child, parent in (
        *((1, 2), (2, 21), (3, 21), (4, 3), (5, 21), (6, 5), (7, 6), (8, 7), (9, 21), (10, 9), (11, 10)),
        *((12, 11), (13, 1), (14, 13), (15, 14), (16, 15), (17, 1), (18, 17), (19, 18), (20, 19)),
        *((22, 23), (23, 8), (24, 25), (25, 12)),
    )
)
JOINTS = len(NTU_JOINTS)
CENTRE = 20


def hops(to: int = CENTRE) -> np.ndarray:
    """Return the number of bones between every joint and ``to``, (25,) int64."""
    distance = np.full(JOINTS, JOINTS)
    distance[to] = 0
    for _ in range(JOINTS):
        for a, b in BONES:
            distance[a] = min(distance[a], distance[b] + 1)
            distance[b] = min(distance[b], distance[a] + 1)
    return distance


def spatial_partition(partition: str = "official") -> np.ndarray:
    """Return ST-GCN's three adjacency matrices, (3, 25, 25) float32; entry [k, source, target].

    Self-loops; sources as far from the centre as the target or farther; sources nearer. The columns
    of the three together sum to one.

    Args:
        partition: ``official`` knows distances up to one bone only, as the published code does (25, 40
            and 8 non-zeros); ``true_distance`` parts by the real ones (25, 24, 24).

    Raises:
        ValueError: another partition.
    """
    if partition not in ("official", "true_distance"):
        raise ValueError(f"partition {partition!r}, allowed: official, true_distance")
    linked = np.eye(JOINTS)
    for a, b in BONES:
        linked[a, b] = linked[b, a] = 1
    normal = linked / linked.sum(0)
    distance = hops()
    if partition == "official":
        distance = np.minimum(distance, 2)
    nearer = distance[:, None] < distance[None, :]
    self_loop = np.eye(JOINTS, dtype=bool)
    masks = (self_loop, ~nearer & ~self_loop, nearer)
    return np.stack([normal * mask for mask in masks]).astype(np.float32)


def directed_partition() -> np.ndarray:
    """Return the A-GCN matrices, (3, 25, 25) float32: identity, inward, outward, column-normalised.

    The inward matrix has child-to-parent bones at [parent, child] (ST-GCN, Yan et al., 2018).
    """
    inward = np.zeros((JOINTS, JOINTS))
    for child, parent in BONES:
        inward[parent, child] = 1
    outward = inward.T
    matrices = (np.eye(JOINTS), *(m / np.maximum(m.sum(0), 1) for m in (inward, outward)))
    return np.stack(matrices).astype(np.float32)
