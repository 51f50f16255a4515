"""Joint positions as arrays of any maker: their axes, their joints and their units brought to NTU's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dvta.arrays import NUMBERS, finite, load, stream_header
from dvta.errors import DataError
from dvta.limits import limits, open_regular
from dvta.pickles import read_pickle
from dvta.skeleton.preprocess import CENTRE, RECIPES, WINDOWS, cmu_windows, frames_of, recipe_of

CAMERA_RATE = 30.0  # frames a second, where neither a format nor a person says
TORSO = (0.25, 0.9)  # metres between shoulders and hips of a human; others are scaled to
#: of NTU's own joints, which are in metres; what lies outside is in another unit, such as millimetres or pixels
UNLIKELY_TORSO = (0.05, 4.5)
USUAL_TORSO = 0.5
SAME = 1e-4  # metres that a joint at the origin may be off

#: source joints of each of NTU's 25, whose mean is taken; hand tips and thumbs are the hand where nothing is nearer
COCO17 = (
    (11, 12), (5, 6, 11, 12), (5, 6), (0,), (5,), (7,), (9,), (9,), (6,), (8,), (10,), (10,), (11,), (13,), (15,), (15,),
    (12,), (14,), (16,), (16,), (5, 6), (9,), (9,), (10,), (10,),
)  # fmt: skip
MEDIAPIPE33 = (
    (23, 24), (11, 12, 23, 24), (11, 12), (0,), (11,), (13,), (15,), (17, 19), (12,), (14,), (16,), (18, 20), (23,), (25,),
    (27,), (31,), (24,), (26,), (28,), (32,), (11, 12), (19,), (21,), (20,), (22,),
)  # fmt: skip
JOINT_MAPS: Mapping[int, tuple[str, tuple[tuple[int, ...], ...]]] = {
    17: ("COCO-17", COCO17),
    33: ("MediaPipe-33", MEDIAPIPE33),
}
JOINTS = (25, *JOINT_MAPS)
SHAPES = (
    "(T, V, C), (N, T, V, C), (N, C, T, V), (N, C, T, V, M), (N, M, T, V, C) or a prepared (C, T, V, M) "
    "of V = 25 (NTU), 17 (COCO) or 33 (MediaPipe) joints, C = 2 or 3 and M = 1 or 2"
)


def is_sequence_file(path: Path) -> bool:
    """Tell whether a ``.npy`` file holds joint positions: by its shape, or as a mapping of bodies.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open_regular(path) as file:
            shape, dtype, _, _ = stream_header(file)
    except ValueError as error:
        raise DataError(f"{path}: not a NumPy array file ({error})") from error
    return dtype.hasobject or _order(shape) is not None


def read_sequences(path: Path) -> np.ndarray:
    """Read joint positions, (N, M, T, V, C) float32, from a ``.npy`` file in any of the known orders of axes.

    The ``.skeleton.npy`` files that hold a mapping of ``skel_body0`` (T, 25, 3) and so on are known too.

    Raises:
        DataError: the file is missing, damaged, or has another shape; a value is not finite.
    """
    with open_regular(path) as file:
        try:
            _, dtype, _, start = stream_header(file)
        except ValueError as error:
            raise DataError(f"{path}: not a NumPy array file ({error})") from error
    if dtype.hasobject:
        return _bodies(path, read_pickle(path, limits().max_array_bytes, start=start))
    return as_sequences(str(path), load(path))


def as_sequences(place: str, array: np.ndarray) -> np.ndarray:
    """Return joint positions in the order (N, M, T, V, C).

    Raises:
        DataError: the shape is unknown, or a value is not finite; the message begins with ``place``.
    """
    if array.ndim == 4 and array.shape[0] == 3 and array.shape[2:] == (25, 2):
        array = _one_sample(place, array)
    order = _order(array.shape)
    if order is None or not array.size:
        raise DataError(f"{place}: shape {array.shape}; known: {SHAPES}")
    if problem := _ambiguous(array.shape):
        raise DataError(f"{place}: shape {array.shape} {problem}")
    return _checked(place, array.reshape(order[0]).transpose(order[1]))


def as_recording(place: str, array: np.ndarray) -> np.ndarray:
    """Return one recording whose axes are known to be (M, T, V, C), as float32.

    Raises:
        DataError: they are not, or a value is not finite; the message begins with ``place``.
    """
    if array.ndim != 4 or array.shape[2] not in JOINTS or array.shape[3] not in (2, 3) or not array.size:
        joints = ", ".join(map(str, JOINTS))
        raise DataError(f"{place}: shape {array.shape}; allowed: (bodies, frames, {joints} joints, 2 or 3)")
    return _checked(place, array[None])[0]


def _checked(place: str, sequences: np.ndarray) -> np.ndarray:
    found = finite(place, sequences)
    for name, count in (("max_samples", found.shape[0]), ("max_frames", found.shape[2])):
        if wrong := limits().exceeded(name, count, name.removeprefix("max_")):
            raise DataError(f"{place}: {wrong}")
    return found


def _one_sample(place: str, array: np.ndarray) -> np.ndarray:
    """Return a sample (1, 3, T, 25, 2), whose shape without the first axis three recordings of 25 joints in two
    dimensions have too.

    Raises:
        DataError: it is not prepared, so nothing tells which it is.
    """
    one = array[None]
    if array.dtype.kind in NUMBERS and any(is_prepared(one.transpose(0, 4, 2, 3, 1), r) for r in RECIPES):
        return one
    frames = array.shape[1]
    raise DataError(
        f"{place}: shape {array.shape} is one sample of two bodies or three recordings in two dimensions; "
        f"write the first as (1, 3, {frames}, 25, 2), the second as (3, 1, {frames}, 25, 2)"
    )


def _order(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return the five-axis shape of an array, and the order of its axes that gives (N, M, T, V, C)."""

    def channels(n: int) -> bool:
        return n in (2, 3)

    if len(shape) == 3 and shape[1] in JOINTS and channels(shape[2]):
        return (1, 1, *shape), (0, 1, 2, 3, 4)
    if len(shape) == 4 and shape[2] in JOINTS and channels(shape[3]):
        return (shape[0], 1, *shape[1:]), (0, 1, 2, 3, 4)
    if len(shape) == 4 and shape[3] in JOINTS and channels(shape[1]):
        return (shape[0], 1, *shape[1:]), (0, 1, 3, 4, 2)
    if len(shape) == 4 and shape[2] in JOINTS and shape[0] == 3 and shape[3] == 1:
        return (1, *shape), (0, 4, 2, 3, 1)
    if len(shape) == 5 and shape[3] in JOINTS and channels(shape[1]) and shape[4] in (1, 2):
        return shape, (0, 4, 2, 3, 1)
    if len(shape) == 5 and shape[3] in JOINTS and channels(shape[4]):
        return shape, (0, 1, 2, 3, 4)
    return None


def _ambiguous(shape: tuple[int, ...]) -> str:
    """Return what a shape whose axes have a known order may mean as well, or an empty text."""
    rows, second, *rest = shape
    if len(shape) == 4 and second <= 2 < rows and rest[0] in JOINTS and rest[1] in (2, 3):
        return (
            f"is {rows} recordings of {second} frames, too short for a motion; frames of {second} bodies are "
            f"written as (1, {second}, {rows}, {rest[0]}, {rest[1]})"
        )
    if len(shape) == 5 and second == rest[2] == 2:
        return (
            "has coordinates or bodies in the second axis; write it with a third coordinate, which may be 0"
        )
    return ""


def _bodies(path: Path, content: Any) -> np.ndarray:
    """Return (1, M, T, 25, 3) of a mapping of bodies, as NTU's raw data are kept by several repositories."""
    values = content[0] if isinstance(content, list) and len(content) == 1 else content
    if not isinstance(values, dict):
        raise DataError(f"{path}: a mapping of skel_body0 and so on is expected")
    bodies = [
        values[k] for k in sorted(k for k in values if isinstance(k, str) and k.startswith("skel_body"))
    ]
    if not bodies:
        raise DataError(f"{path}: has no skel_body0; it has {', '.join(map(str, list(values)[:8]))}")
    shapes = {b.shape if isinstance(b, np.ndarray) else None for b in bodies}
    if len(shapes) != 1 or None in shapes or bodies[0].ndim != 3 or bodies[0].shape[1:] != (25, 3):
        raise DataError(
            f"{path}: bodies of shapes {sorted(map(str, shapes))}; allowed: (frames, 25, 3), all alike"
        )
    return finite(str(path), np.stack(bodies)[None])


def to_ntu(sequence: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Bring the joints of a recording into NTU's order and its unit into metres.

    Args:
        sequence: (M, T, V, C) positions; a body that is absent is zero.

    Returns:
        (T, M, 25, 3) float32 positions, and what was done, for a person to read.
    """
    notes = []
    values = np.moveaxis(sequence, 0, 1)
    if values.shape[3] == 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], axis=3)
        notes.append("two dimensions: the third is 0")
    if values.shape[2] == 25:
        return _in_metres(values, np.asarray(values.any((2, 3))), UNLIKELY_TORSO, notes), notes
    name, sources = JOINT_MAPS[values.shape[2]]
    there = np.asarray(values.any((2, 3)))
    notes.append(f"{name} joints taken to NTU's 25; hand tips that it lacks are the hand")
    mapped = np.stack([values[:, :, list(s)].mean(2) for s in sources], axis=2)
    if not there.any():
        return mapped.astype(np.float32), notes
    shown = mapped[there]  # (frames and bodies, 25, 3)
    if (shown[:, 3, 1] - shown[:, 0, 1]).mean() < 0:
        # a half turn about x, which keeps left and right
        mapped = mapped * np.array([1, -1, -1])
        notes.append("y pointed down: turned up")
    return _in_metres(mapped, there, TORSO, notes), notes


def _in_metres(
    joints: np.ndarray, there: np.ndarray, usual: tuple[float, float], notes: list[str]
) -> np.ndarray:
    """Return NTU's joints (T, M, 25, 3) float32, scaled to a human's size where their torso is not of ``usual`` metres.

    Args:
        there: (T, M), which bodies are seen; others become zero. notes: what was done is added to it.
    """
    shown = joints[there].astype(np.float64)
    torso = float(np.median(np.linalg.norm(shown[:, CENTRE] - shown[:, 0], axis=1))) if len(shown) else 0.0
    if torso > 0 and not usual[0] <= torso <= usual[1]:
        joints = joints * (USUAL_TORSO / torso)
        notes.append(f"no human's size in metres: each recording is scaled to a torso of {USUAL_TORSO} m")
    return np.where(there[:, :, None, None], joints, 0).astype(np.float32)


def network_input(path: Path, recipe: str) -> np.ndarray:
    """Read joint positions as network input, (N, 3, T, 25, M) float32, as a recipe prepares it.

    What is prepared already, by its length and by which joint lies at the origin, is taken as it is.

    Args:
        recipe: ``frames50``, ``frames300`` or ``windows``.

    Raises:
        DataError: the file is missing or malformed, or a sample shows nobody.
    """
    sequences = read_sequences(path)
    if is_prepared(sequences, recipe):
        return np.ascontiguousarray(sequences.transpose(0, 4, 2, 3, 1))
    return np.concatenate(
        [prepare_sequence(s, recipe, f"{path}: row {i}")[0] for i, s in enumerate(sequences)]
    )


def is_prepared(sequences: np.ndarray, recipe: str) -> bool:
    """Tell whether (N, M, T, V, C) positions have been through a recipe already.

    Raises:
        OptionError: there is no such recipe.
    """
    if sequences.shape[2:] != (frames_of(recipe), 25, 3):
        return False
    first = sequences[:, 0]  # (N, T, 25, 3)
    origin = {WINDOWS: first[:, 0, 0], "frames300": first[:, :, 1]}.get(recipe, first[:, :, CENTRE])
    return bool(np.abs(origin).max() < SAME)


def prepare_sequence(
    sequence: np.ndarray, recipe: str, place: str, rate: float = CAMERA_RATE
) -> tuple[np.ndarray, list[str]]:
    """Put one recording, (M, T, V, C), through a recipe.

    Returns:
        (W, 3, F, 25, M) float32 network input, of W windows or one, and what was done to the joints.

    Raises:
        DataError: the recording shows nobody or is too short; the message begins with ``place``.
    """
    positions, notes = to_ntu(sequence)
    try:
        if recipe != WINDOWS:
            return recipe_of(recipe, centred=True)(positions)[None], notes
        first = positions[:, 0]
        windows = cmu_windows(first[first.any((1, 2))], rate)[0]
    except DataError as error:
        raise DataError(f"{place}: {error}") from error
    return np.ascontiguousarray(windows.transpose(0, 3, 1, 2)[..., None]), notes
