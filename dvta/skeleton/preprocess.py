"""From raw joint positions to network input: the 50-frame, the 300-frame and the CMU recipe."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

import numpy as np

from dvta.errors import DataError, OptionError, did_you_mean

JOINTS = 25
LEFT_SHOULDER, RIGHT_SHOULDER, CENTRE = 4, 8, 20

#: recipe -> frames of its output; clips are cut into windows instead
RECIPES = {"frames50": 50, "frames300": 300}
WINDOWS = "windows"
#: as ``frames50``, after the bodies of an NTU recording are told apart (:mod:`dvta.skeleton.bodies`)
CLEAN = "clean"
#: CMU recipe: seconds of a window, seconds between windows, clips shorter than this get short windows
WINDOW, STEP, SHORT = 2.0, 0.5, 2.5


def recipe_of(name: str, *, centred: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """Return a recipe for recordings by name; ``centred`` as :func:`valid_frames` says.

    Raises:
        OptionError: there is none of that name.
    """
    _known(name, RECIPES)
    return functools.partial(frames50, centred=centred) if name == "frames50" else frames300


def frames_of(name: str) -> int:
    """Return the frames of what any recipe makes: those above, ``windows`` and ``clean``.

    Raises:
        OptionError: there is none of that name.
    """
    frames = {**RECIPES, **dict.fromkeys((WINDOWS, CLEAN), RECIPES["frames50"])}
    _known(name, frames)
    return frames[name]


def _known(name: str, recipes: Mapping[str, int]) -> None:
    if name not in recipes:
        raise OptionError(
            f"recipe: {name!r} is unknown{did_you_mean(name, recipes)}; allowed: {', '.join(recipes)}"
        )


def valid_frames(positions: np.ndarray, *, centred: bool = False) -> int:
    """Return the number of frames whose joint 1 of person 1 is not at the origin.

    Args:
        positions: (F, M, 25, 3) raw positions.
        centred: the origin may lie in the body, not in a camera; any joint off it shows a person then.
    """
    shown = positions[:, 0] if centred else positions[:, 0, :1]
    return int(np.count_nonzero((shown != 0).any((1, 2))))


def frames50(positions: np.ndarray, frames: int = 50, *, centred: bool = False) -> np.ndarray:
    """Return the "position" form of a recording, (3, 50, 25, 2) float32 (reference section 5.1).

    The frames with a person are counted and taken from the front; every person is set relative to
    joint 21 of the same frame, resized along time, and each frame turned about the vertical axis so
    that the shoulders lie along x. The turn's sign is one for the whole sequence and person, as in
    the published preprocessing.

    Args:
        positions: (F, M, 25, 3) raw positions in metres; missing persons are zero, M is cut or padded to 2.
        frames: output length.
        centred: as :func:`valid_frames` says.

    Raises:
        DataError: no frame has a person.
    """
    positions = two_persons(positions)
    length = valid_frames(positions, centred=centred)
    if length == 0:
        raise DataError("no frame shows a person")
    people = positions[:length].astype(np.float32)
    people = people - people[:, :, CENTRE : CENTRE + 1]
    people = resize_time(people, frames)
    return np.ascontiguousarray(_shoulders_along_x(people).transpose(3, 0, 2, 1), dtype=np.float32)


def frames300(positions: np.ndarray, frames: int = 300) -> np.ndarray:
    """Return the 300-frame form of a recording, (3, 300, 25, 2) float32 (reference section 5.2).

    Of at most four bodies the two with the largest summed standard deviation are kept; empty frames
    are filled by repeating the sequence; everything is set relative to joint 2 of the first person
    per frame and turned so that, in the first frame, spine base to spine middle lies along z and
    left to right shoulder along x.

    Args:
        positions: (F, M, 25, 3) raw positions in metres; missing persons are zero.
        frames: output length; further frames are cut.

    Raises:
        DataError: no frame shows a person.
    """
    bodies = positions[:, :4].astype(np.float64)
    spread = np.array([_spread(bodies[:, m]) for m in range(bodies.shape[1])])
    keep = np.argsort(-spread, kind="stable")[:2]
    chosen = two_persons(bodies[:frames, keep])
    if not chosen.any():
        raise DataError("no frame shows a person")
    filled = np.stack([_repeat(chosen[:, m], frames) for m in range(2)])  # (2, frames, 25, 3)
    present = (filled != 0).any(-1, keepdims=True)
    centred = (filled - filled[0, :, 1:2]) * present
    for start, end, target in ((0, 1, (0.0, 0.0, 1.0)), (LEFT_SHOULDER, RIGHT_SHOULDER, (1.0, 0.0, 0.0))):
        turn = rotation_onto(centred[0, 0, end] - centred[0, 0, start], np.array(target))
        centred = centred @ turn.T
    return np.ascontiguousarray(centred.transpose(3, 1, 2, 0), dtype=np.float32)


def cmu_windows(joints: np.ndarray, rate: float = 60.0, frames: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Cut a clip into windows and bring each to a common pose (CMU recipe).

    Windows of 2 s start every 0.5 s; a clip under 2.5 s gives four windows of 85 % of its length.
    Each is resampled linearly to ``frames`` frames with both ends kept, its first root set to the origin,
    and turned about the vertical axis so that the first frame's shoulders lie along x.

    Args:
        joints: (F, 25, 3) positions in metres, ``rate`` frames a second.
        rate: frames a second.
        frames: output length.

    Returns:
        (W, frames, 25, 3) float32 windows and (W,) int64 first frames.

    Raises:
        DataError: the clip has fewer than two frames.
    """
    total = len(joints)
    if total < 2:
        raise DataError(f"a clip of {total} frames has no window")
    if total < SHORT * rate:
        length = max(2, int(0.85 * total))
        step = max(1, (total - length) // 3)
        starts = np.arange(0, total - length + 1, step)[:4]
    else:
        length, step = round(WINDOW * rate), round(STEP * rate)
        starts = np.arange(0, total - length + 1, step)
    windows = np.stack([normalise(resample(joints[s : s + length], frames)) for s in starts])
    return windows.astype(np.float32), starts.astype(np.int64)


def normalise(window: np.ndarray) -> np.ndarray:
    """Set the root of the first frame at the origin and turn its shoulders along x; (F, 25, 3) both ways."""
    moved = window - window[0, 0]
    across = moved[0, RIGHT_SHOULDER] - moved[0, LEFT_SHOULDER]
    angle = math.atan2(across[2], across[0])
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
    return moved @ turn.T


def resample(values: np.ndarray, frames: int) -> np.ndarray:
    """Interpolate (F, …) linearly to (frames, …), first and last frame kept."""
    where = np.linspace(0, len(values) - 1, frames)
    low = np.minimum(where.astype(int), max(len(values) - 2, 0))
    high = np.minimum(low + 1, len(values) - 1)
    part = (where - low).reshape(-1, *[1] * (values.ndim - 1))
    return values[low] * (1 - part) + values[high] * part


def resize_time(values: np.ndarray, frames: int) -> np.ndarray:
    """Resize (F, …) to (frames, …) as bilinear image resizing does: half-pixel centres, no antialiasing."""
    where = np.clip((np.arange(frames) + 0.5) * (len(values) / frames) - 0.5, 0, len(values) - 1)
    low = where.astype(int)
    high = np.minimum(low + 1, len(values) - 1)
    part = (where - low).reshape(-1, *[1] * (values.ndim - 1)).astype(values.dtype)
    return values[low] * (1 - part) + values[high] * part


def two_persons(positions: np.ndarray) -> np.ndarray:
    """Cut or zero-pad (F, M, 25, 3) to M = 2.

    Raises:
        DataError: another shape.
    """
    if positions.ndim != 4 or positions.shape[2:] != (JOINTS, 3):
        raise DataError(f"positions of shape {positions.shape}, expected (frames, persons, {JOINTS}, 3)")
    positions = positions[:, :2]
    missing = 2 - positions.shape[1]
    return np.pad(positions, ((0, 0), (0, missing), (0, 0), (0, 0))) if missing else positions


def rotation_onto(vector: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the (3, 3) rotation that turns ``vector`` onto the unit ``target`` the short way."""
    norm = np.linalg.norm(vector)
    axis = np.cross(vector, target)
    if norm < 1e-9 or np.abs(axis).sum() < 1e-6:
        return np.eye(3)
    axis = axis / np.linalg.norm(axis)
    angle = math.acos(float(np.clip(vector @ target / norm, -1, 1)))
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def _shoulders_along_x(people: np.ndarray) -> np.ndarray:
    across = people[:, :, RIGHT_SHOULDER] - people[:, :, LEFT_SHOULDER]  # (F, M, 3)
    across_x, across_z = across[..., 0], across[..., 2]
    cosine = across_x / (np.sqrt(across_x**2 + across_z**2) + 1e-4)
    angle = np.arccos(cosine) * np.where(across_z.sum(0) >= 0, -1, 1)
    cos, sin = np.cos(angle)[..., None], np.sin(angle)[..., None]  # (F, M, 1)
    x, y, z = people[..., 0], people[..., 1], people[..., 2]
    return np.stack([cos * x - sin * z, y, sin * x + cos * z], -1)


def _spread(body: np.ndarray) -> float:
    present = body[(body != 0).any((1, 2))]
    return float(sum(present[:, :, axis].std() for axis in range(3))) if len(present) else 0.0


def _repeat(body: np.ndarray, frames: int) -> np.ndarray:
    present = body[(body != 0).any((1, 2))]
    if not len(present):
        return np.zeros((frames, JOINTS, 3))
    # a gap inside the sequence stays a gap only when the sequence starts with a person
    if body[0].any():
        last = int(np.flatnonzero((body != 0).any((1, 2)))[-1]) + 1
        present = body[:last]
    return np.resize(present, (frames, JOINTS, 3))
