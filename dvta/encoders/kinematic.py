"""The kinematic encoder: statistics of positions, velocities and joint angles; nothing is trained.

An honest baseline for machines without a GPU: only a principal component analysis is fitted, on
seen training samples alone.
"""

from __future__ import annotations

import numpy as np

from dvta.skeleton.graph import BONES, JOINTS
from dvta.skeleton.splits import Samples, SkeletonSplit

COMPONENTS = 128
CHUNK = 256


def feature_arrays(data: SkeletonSplit) -> dict[str, np.ndarray]:
    """Return the arrays of a feature folder; features are (N, 256) and not negative.

    The positive and the negative part of each of 128 standardised components are two features.
    """
    raw = _all_statistics(data.train)
    mean, std = raw.mean(0), raw.std(0)
    std[std < 1e-6] = 1.0
    standard = (raw - mean) / std
    # rows of the right singular vectors are the principal directions
    _, values, directions = np.linalg.svd(standard, full_matrices=False)
    count = min(COMPONENTS, len(directions))
    scale = np.maximum(values[:count] / np.sqrt(max(len(raw) - 1, 1)), 1e-6)

    def project(samples: Samples) -> np.ndarray:
        scores = np.zeros((len(samples), COMPONENTS), np.float32)
        scores[:, :count] = (_all_statistics(samples) - mean) / std @ directions[:count].T / scale
        return np.concatenate([np.maximum(scores, 0), np.maximum(-scores, 0)], axis=1)

    return {
        "train": project(data.train), "train_label": data.train.labels,
        "ztest": project(data.ztest), "z_label": data.ztest.labels,
        "gtest": project(data.gtest), "g_label": data.gtest.labels,
    }  # fmt: skip


def statistics(skeletons: np.ndarray) -> np.ndarray:
    """Return the descriptors (N, D) of (N, 3, T, 25, M) skeletons, averaged over persons present.

    Mean, standard deviation and range of every coordinate, mean absolute velocity and
    acceleration, mean and standard deviation of the angle at every joint with two bones.
    """
    x = skeletons.astype(np.float64).transpose(0, 4, 2, 3, 1)  # (N, M, T, V, 3)
    parts = [x.mean(2), x.std(2), np.ptp(x, axis=2)]
    for order in (1, 2):  # velocity and acceleration, which one or two frames do not have
        parts.append(
            np.abs(np.diff(x, order, axis=2)).mean(2) if x.shape[2] > order else np.zeros_like(parts[0])
        )
    angles = _angles(x)
    flat = [p.reshape(*p.shape[:2], -1) for p in (*parts, angles.mean(2), angles.std(2))]
    each = np.concatenate(flat, axis=2)  # (N, M, D)
    present = np.abs(x).sum((2, 3, 4)) > 0
    weight = present / np.maximum(present.sum(1, keepdims=True), 1)
    return np.einsum("nmd,nm->nd", each, weight)


def _angles(x: np.ndarray) -> np.ndarray:
    """Return the angles (N, M, T, A) in radians between the bones that meet at a joint."""
    neighbours: list[list[int]] = [[] for _ in range(JOINTS)]
    for a, b in BONES:
        neighbours[a].append(b)
        neighbours[b].append(a)
    triples = [(ends[i], j, ends[i + 1]) for j, ends in enumerate(neighbours) for i in range(len(ends) - 1)]
    found = []
    for a, joint, b in triples:
        u, v = x[..., a, :] - x[..., joint, :], x[..., b, :] - x[..., joint, :]
        length = np.linalg.norm(u, axis=-1) * np.linalg.norm(v, axis=-1)
        found.append(np.arccos(np.clip((u * v).sum(-1) / np.maximum(length, 1e-9), -1, 1)))
    return np.stack(found, axis=-1)


def _all_statistics(samples: Samples) -> np.ndarray:
    parts = [
        statistics(samples.batch(np.arange(start, min(start + CHUNK, len(samples)))))
        for start in range(0, len(samples), CHUNK)
    ]
    return np.concatenate(parts)
