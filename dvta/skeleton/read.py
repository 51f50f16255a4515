"""One recording of any known format as network input, for asking a trained model about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dvta.errors import DataError, did_you_mean
from dvta.skeleton.arrays import open_positions
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.ntu import read_ntu
from dvta.skeleton.pku import read_pku
from dvta.skeleton.prepare import clip_joints
from dvta.skeleton.preprocess import cmu_windows, frames50

ENDINGS = (".skeleton", ".txt", ".bvh", ".amc", ".npy")


def read_any(path: Path | str) -> np.ndarray:
    """Read a recording, (N, 3, 50, 25, M) float32; N is 1, or the windows of a clip, or an array's rows.

    Args:
        path: NTU ``.skeleton``, PKU-MMD ``.txt``, CMU ``.bvh`` or ``.amc`` (with its ``.asf``), or a
            position array ``.npy``.

    Raises:
        DataError: the ending is unknown, or the file is missing or malformed.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise SkeletonError(
            path,
            f"the ending {ending!r} is unknown{did_you_mean(ending, ENDINGS)}; allowed: {', '.join(ENDINGS)}",
        )
    if ending == ".npy":
        values = np.array(open_positions(path), np.float32)
        if not np.isfinite(values).all():
            raise SkeletonError(path, "has a value that is not finite")
        return values
    try:
        if ending in (".bvh", ".amc"):
            windows = cmu_windows(clip_joints(path))[0]
            return np.ascontiguousarray(windows.transpose(0, 3, 1, 2)[..., None])
        return frames50(read_ntu(path).positions if ending == ".skeleton" else read_pku(path))[None]
    except SkeletonError:
        raise
    except DataError as error:
        raise SkeletonError(path, str(error)) from error
