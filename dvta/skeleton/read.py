"""One recording of any known format as network input, for asking a trained model about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dvta.errors import DataError, did_you_mean
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.ntu import read_ntu
from dvta.skeleton.pku import read_pku
from dvta.skeleton.prepare import clip_joints
from dvta.skeleton.preprocess import WINDOWS, cmu_windows, recipe_of
from dvta.skeleton.sequences import network_input

ENDINGS = (".skeleton", ".txt", ".bvh", ".amc", ".npy")
OWN_RECIPE = {".bvh": WINDOWS, ".amc": WINDOWS}
CLIP_RATE, CAMERA_RATE = 60.0, 30.0  # frames a second


def read_any(path: Path | str, recipe: str | None = None) -> np.ndarray:
    """Read a recording as network input, (N, 3, T, 25, M) float32.

    N is 1, or the windows of a clip, or an array's rows.

    Args:
        path: NTU ``.skeleton``, PKU-MMD ``.txt``, CMU ``.bvh`` or ``.amc`` (with its ``.asf``), or a
            array of joint positions ``.npy`` (:mod:`dvta.skeleton.sequences`).
        recipe: ``windows``, ``frames50`` or ``frames300``, as the encoder was trained; by default
            ``windows`` for ``.bvh`` and ``.amc``, ``frames50`` for the others.

    Raises:
        DataError: the ending is unknown, the file is missing or malformed, or it shows nobody.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise SkeletonError(
            path,
            f"the ending {ending!r} is unknown{did_you_mean(ending, ENDINGS)}; allowed: {', '.join(ENDINGS)}",
        )
    if ending == ".npy":
        return network_input(path, recipe or "frames50")
    try:
        if ending in (".bvh", ".amc"):
            positions, rate = clip_joints(path)[:, None], CLIP_RATE
        else:
            positions, rate = (
                (read_ntu(path).positions if ending == ".skeleton" else read_pku(path)),
                CAMERA_RATE,
            )
        if (recipe or OWN_RECIPE.get(ending, "frames50")) != WINDOWS:
            return recipe_of(recipe or "frames50")(positions)[None]
        first = positions[:, 0]
        if rate == CAMERA_RATE:
            first = first[first[:, 0].any(-1)]  # a camera's frames may show nobody
        windows = cmu_windows(first, rate)[0]
        return np.ascontiguousarray(windows.transpose(0, 3, 1, 2)[..., None])
    except SkeletonError:
        raise
    except DataError as error:
        raise SkeletonError(path, str(error)) from error
