"""Features of skeletons: pooled, un-pooled for PURLS, and of masked sequences for SMIE."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dvta.encoders.base import SkeletonEncoder
from dvta.encoders.training import chunk_rows
from dvta.skeleton.splits import Samples, SkeletonSplit
from dvta.training import derived_seed

SEGMENTS = 3  # temporal steps of un-pooled features
KEPT, SUBSET = 35, 20  # frames with the least motion; of those, the frames a mask leaves
MASKS = 8  # random masks per data set, each the same for all samples


def feature_arrays(
    data: SkeletonSplit,
    encoder: SkeletonEncoder,
    *,
    needs: frozenset[str] = frozenset(),
    batch_size: int = 128,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Return the arrays of a feature folder, by file name without ``.npy``.

    Args:
        needs: ``unpooled`` adds ``*_unpooled`` (N, 3, 25, 256); ``masked`` adds ``train_masked``
            (N, 8, 256).
        seed: of the random masks.
    """
    arrays: dict[str, np.ndarray] = {}
    labels = {"train": "train_label", "ztest": "z_label", "gtest": "g_label"}
    for name, samples in (("train", data.train), ("ztest", data.ztest), ("gtest", data.gtest)):
        arrays[labels[name]] = samples.labels
        pooled, unpooled = encode_samples(
            encoder, samples, batch_size=batch_size, keep_map="unpooled" in needs
        )
        arrays[name] = pooled
        if unpooled is not None:
            arrays[f"{name}_unpooled"] = unpooled
    if "masked" in needs:
        arrays["train_masked"] = masked_features(data.train, encoder, batch_size=batch_size, seed=seed)
    return arrays


def segments(maps: Tensor, count: int = SEGMENTS) -> Tensor:
    """Return (N, T, V, D) averaged into equal segments of time, (N, count, V, D)."""
    n, _, v, d = maps.shape
    flat = maps.permute(0, 2, 3, 1).flatten(0, 2)[:, None]  # (N V D, 1, T)
    return torch.nn.functional.adaptive_avg_pool1d(flat, count).reshape(n, v, d, count).permute(0, 3, 1, 2)


def least_motion(skeletons: np.ndarray, keep: int = KEPT) -> np.ndarray:
    """Return the indices (N, keep) of the frames that move least, in order.

    A frame's motion is the mean over C, V, M of the squared differences to its neighbours, of
    (N, C, T, V, M) skeletons (SMIE's published code).
    """
    difference = np.square(np.diff(skeletons, axis=2))
    motion = np.zeros(skeletons.shape[:1] + skeletons.shape[2:3])
    each = difference.mean((1, 3, 4))
    motion[:, :-1] += each
    motion[:, 1:] += each
    chosen = np.argsort(motion, axis=1, kind="stable")[:, : min(keep, skeletons.shape[2])]
    return np.sort(chosen, axis=1)


def masks(frames: int, count: int = MASKS, seed: int = 0) -> np.ndarray:
    """Return (count, SUBSET) ordered positions among the kept frames."""
    rng = np.random.default_rng(derived_seed(seed, "masks"))
    size = min(SUBSET, frames)
    return np.stack([np.sort(rng.choice(frames, size, replace=False)) for _ in range(count)])


def encode_samples(
    encoder: SkeletonEncoder, samples: Samples, *, batch_size: int = 128, keep_map: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return pooled features (n, 256), and with ``keep_map`` un-pooled ones (n, 3, 25, 256); evaluation mode stays on."""
    device = next(encoder.parameters()).device
    encoder.eval()
    pooled = np.empty((len(samples), 256), np.float32)
    unpooled = np.empty((len(samples), SEGMENTS, 25, 256), np.float32) if keep_map else None
    with torch.inference_mode():
        for rows in chunk_rows(len(samples), batch_size):
            maps = encoder.feature_map(torch.from_numpy(samples.batch(rows)).to(device))
            pooled[rows] = maps.mean((1, 2)).cpu().numpy()
            if unpooled is not None:
                unpooled[rows] = segments(maps).cpu().numpy()
    return pooled, unpooled


def masked_features(
    samples: Samples, encoder: SkeletonEncoder, *, batch_size: int = 128, seed: int = 0
) -> np.ndarray:
    """Return features (N, 8, 256) of eight random masks of each sample's calm frames (SMIE's published code)."""
    device = next(encoder.parameters()).device
    encoder.eval()
    chosen = masks(min(KEPT, samples.shape[2]), seed=seed)
    out = np.empty((len(samples), len(chosen), 256), np.float32)
    with torch.inference_mode():
        for rows in chunk_rows(len(samples), batch_size):
            skeletons = samples.batch(rows)
            kept = least_motion(skeletons)
            for k, positions in enumerate(chosen):
                frames = kept[:, positions][:, None, :, None, None]
                part = np.take_along_axis(skeletons, frames, axis=2)
                out[rows, k] = encoder(torch.from_numpy(part).to(device)).cpu().numpy()
    return out
