"""Lengths of recordings in metres: units by name, and the unit of a body whose file does not say it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from dvta.errors import DataError, OptionError, did_you_mean
from dvta.skeleton.graph import NTU_JOINTS
from dvta.skeleton.lines import SkeletonError

#: metres in a unit; ``cmu`` is that of CMU's files (inches / 0.45)
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "cmu": 0.056444}
#: metres of a body: what is taken, what is usual, and the usual middle
SMALLEST, LARGEST = 0.5, 3.0
USUAL, MIDDLE = (0.9, 2.3), 1.7
#: metres of what a camera takes for a body at its worst: what is longer is in another unit
_GIANT = 30.0

_CHAINS = (
    ("head", "neck"), ("neck", "spine_shoulder"), ("spine_shoulder", "spine_mid"), ("spine_mid", "spine_base"),
)  # fmt: skip
_LEGS = (("hip", "knee"), ("knee", "ankle"))
_FRAMES = 101


def factor(unit: str) -> float:
    """Return the metres in a unit: a name, or a number.

    Raises:
        OptionError: neither.
    """
    if unit in UNITS:
        return UNITS[unit]
    try:
        value = float(unit)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and 1e-9 < value < 1e9) or "_" in unit:
        raise OptionError(
            f"unit: {unit!r} is unknown{did_you_mean(unit, UNITS)}; allowed: {', '.join(UNITS)}, or the metres in one unit, such as 0.0254"
        )
    return value


def body_length(joints: np.ndarray) -> float:
    """Return the length of a body along its bones, head to spine base to ankles, in the joints' unit.

    Bones keep their length in any pose, so this needs no standing person; it is the median of up to 101
    frames spread over the recording.

    Args:
        joints: (F, 25, 3).
    """
    some = joints[np.unique(np.linspace(0, len(joints) - 1, _FRAMES).astype(int))]
    at = {name: some[:, index] for index, name in enumerate(NTU_JOINTS)}
    length = sum(_distance(at[a], at[b]) for a, b in _CHAINS)
    length = length + _distance(at["spine_base"], (at["left_hip"] + at["right_hip"]) / 2)
    for side in ("left", "right"):
        for a, b in _LEGS:
            length = length + _distance(at[f"{side}_{a}"], at[f"{side}_{b}"]) / 2
    return float(np.median(length))


def refuse_giants(path: Path | str, bodies: np.ndarray) -> None:
    """Refuse a camera's recording that cannot be in metres, as its format says it is.

    Args:
        bodies: (..., 25, 3) positions; an absent body is zero.

    Raises:
        SkeletonError: the bodies are longer than 30 m.
    """
    seen = bodies[bodies.any((-2, -1))]
    if len(seen) and (length := body_length(seen)) > _GIANT:
        raise SkeletonError(path, f"the body is {length:.4g} m from head to ankles; allowed: metres")


def metres(joints: np.ndarray, unit: str | None, header: float | None = None) -> tuple[float, str]:
    """Return the metres in the unit of some joints, and a sentence about it.

    Args:
        joints: (F, 25, 3) in file units.
        unit: what the person says, or None.
        header: the metres in a unit that the file states, or None; taken where it makes a possible body.

    Raises:
        OptionError: the unit is unknown.
        DataError: the body would be shorter than 0.5 m or longer than 3 m; names the factor that would do.
    """
    length = body_length(joints)
    if not length > 0:
        raise DataError("all joints of the body are in one place")
    if unit is not None:
        scale, how = factor(unit), f"unit {unit} as given"
    elif header is not None and SMALLEST <= length * header <= LARGEST:
        scale, how = header, f"unit {header:.4g} m as the file says"
    else:
        name = _likeliest(length)
        scale, how = (UNITS[name], f"unit {name} found from the body") if name else (1.0, "")
    body = length * scale
    if SMALLEST <= body <= LARGEST:
        return scale, f"{how}: {body:.2f} m from head to ankles"
    human = MIDDLE / length
    said = f"{body:.3g} m in the unit {unit}" if unit is not None else f"{length:.4g} units long"
    raise DataError(
        f"the body is {said} from head to ankles; allowed: {SMALLEST} to {LARGEST:g} m; "
        f"--unit {human:.3g} would make it {MIDDLE} m"
    )


def _likeliest(length: float) -> str | None:
    def off(name: str) -> float:
        return abs(math.log(length * UNITS[name] / MIDDLE))

    for least, most in (USUAL, (SMALLEST, LARGEST)):
        fitting = [name for name, scale in UNITS.items() if least <= length * scale <= most]
        if fitting:
            return min(fitting, key=off)
    return None


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a - b, axis=-1)
