"""One recording of any known format as network input, for asking a trained model about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dvta.errors import DataError, OptionError, did_you_mean
from dvta.skeleton.bodies import clean
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.motion import RATE, Reading, read_clip
from dvta.skeleton.ntu import read_ntu
from dvta.skeleton.pku import read_pku
from dvta.skeleton.preprocess import CLEAN, WINDOWS, cmu_windows, frames50, frames_of, recipe_of
from dvta.skeleton.sequences import CAMERA_RATE, network_input

ENDINGS = (".skeleton", ".txt", ".bvh", ".amc", ".npy")
OWN_RECIPE = {".bvh": WINDOWS, ".amc": WINDOWS}


def read_any(
    path: Path | str,
    recipe: str | None = None,
    how: Reading | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> np.ndarray:
    """Read a recording as network input, (N, 3, T, 25, M) float32.

    N is 1, or the windows of a clip, or an array's rows.

    Args:
        path: NTU ``.skeleton``, PKU-MMD ``.txt``, ``.bvh`` or ``.amc`` (with its ``.asf``), or an
            array of joint positions ``.npy`` (:mod:`dvta.skeleton.sequences`).
        recipe: ``windows``, ``frames50``, ``frames300`` or ``clean``, as the encoder was trained; by
            default ``windows`` for ``.bvh`` and ``.amc``, ``frames50`` for the others.
        how: joint map, unit and frame rate of a ``.bvh`` or ``.amc``.
        say: is told how such a recording was read.

    Raises:
        OptionError: ``how`` has no effect for the file, or the recipe is unknown.
        DataError: the ending is unknown, the file is missing or malformed, or it shows nobody.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise SkeletonError(
            path,
            f"the ending {ending!r} is unknown{did_you_mean(ending, ENDINGS)}; allowed: {', '.join(ENDINGS)}",
        )
    if how not in (None, Reading()) and ending not in OWN_RECIPE:
        raise OptionError(
            f"{path}: joint map, unit, frame rate and first frame are options of .bvh and .amc only"
        )
    if recipe is not None:
        frames_of(recipe)  # before a long file is read
    if ending == ".npy":
        # an array has no body ids to clean by
        return network_input(path, "frames50" if recipe in (None, CLEAN) else recipe)
    recipe = recipe or OWN_RECIPE.get(ending, "frames50")
    try:
        positions, rate = _positions(path, ending, recipe, how, say)
        # only a camera's frames have their origin far from the body
        centred = ending in OWN_RECIPE
        if recipe == CLEAN:
            return frames50(positions, centred=centred)[None]
        if recipe != WINDOWS:
            return recipe_of(recipe, centred=centred)(positions)[None]
        first = positions[:, 0]
        if rate == CAMERA_RATE:
            first = first[first[:, 0].any(-1)]  # a camera's frames may show nobody
        windows = cmu_windows(first, rate)[0]
        return np.ascontiguousarray(windows.transpose(0, 3, 1, 2)[..., None])
    except SkeletonError:
        raise
    except DataError as error:
        raise SkeletonError(path, str(error)) from error


def _positions(
    path: Path, ending: str, recipe: str, how: Reading | None, say: Callable[[str], None]
) -> tuple[np.ndarray, float]:
    """Return the (F, M, 25, 3) positions of a recording and its frames a second."""
    if ending in OWN_RECIPE:
        clip = read_clip(path, how)
        say("; ".join(clip.said))
        return clip.joints[:, None], RATE
    if ending == ".skeleton":
        recorded = read_ntu(path)
        return (clean(recorded) if recipe == CLEAN else recorded.positions), CAMERA_RATE
    return read_pku(path), CAMERA_RATE
