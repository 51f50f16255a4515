"""BVH and Acclaim recordings of any maker as the 25 NTU joints in metres at one frame rate."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dvta.errors import DataError, OptionError, did_you_mean
from dvta.limits import limits
from dvta.skeleton import acclaim
from dvta.skeleton.bvh import Bvh, read_bvh
from dvta.skeleton.joints import FIRST_FRAMES, Fitted, choose
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.units import factor, metres

#: file endings of such recordings
ENDINGS = (".bvh", ".amc")
#: frames a second of the joints returned
RATE = 60.0

_SLOWEST, _FASTEST = 0.1, 10_000.0  # frames a second
#: seconds between frames that a file may state; longer ones are milliseconds, or frames a second
_LONGEST = 1.0


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a person says about recordings; what is None is found in the file, or from the body.

    Attributes:
        joints: a shipped joint map's name or a map's file.
        unit: ``m``, ``cm``, ``mm``, ``inch``, ``cmu`` or the metres in one unit.
        fps: frames a second in the file.
        first_frame: ``keep``, ``drop`` or ``auto`` (drop a T-pose that a conversion added).

    Raises:
        OptionError: a value is impossible.
    """

    joints: str | None = None
    unit: str | None = None
    fps: float | None = None
    first_frame: str = "auto"

    def __post_init__(self) -> None:
        if self.unit is not None:
            factor(self.unit)
        if self.fps is not None:
            check_fps(self.fps)
        if self.first_frame not in FIRST_FRAMES:
            raise OptionError(
                f"first_frame: {self.first_frame!r} is unknown{did_you_mean(self.first_frame, FIRST_FRAMES)}; "
                f"allowed: {', '.join(FIRST_FRAMES)}"
            )


def check_fps(fps: float) -> None:
    """Check frames a second that a person says.

    Raises:
        OptionError: no recording has as many, or as few.
    """
    if not _SLOWEST <= fps <= _FASTEST:
        raise OptionError(f"fps: {fps} is impossible; allowed: {_SLOWEST:g} to {_FASTEST:g}")


@dataclasses.dataclass(frozen=True)
class Clip:
    """A recording: joints (F, 25, 3) float64 in metres at ``RATE``, and how it was read, for people."""

    joints: np.ndarray
    said: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Hierarchy:
    """The nodes of a file's skeleton, how deep each stands, and the map that fits (None: why not)."""

    names: Sequence[str]
    depths: Sequence[int]
    fitted: Fitted | None
    problem: str


def read_clip(path: Path | str, how: Reading | None = None, rate: float = RATE) -> Clip:
    """Read a ``.bvh``, or an ``.amc`` with its ``.asf`` beside it.

    Where the file's rate is a whole multiple of ``rate`` every n-th frame is kept, else frames are
    interpolated linearly.

    Raises:
        SkeletonError: the file is missing, malformed or beyond the limits, no joint map fits, or the body
            is not of a human's size.
    """
    path, how = Path(path), how or Reading()
    try:
        return _read_clip(path, how, rate)
    except SkeletonError:
        raise
    except DataError as error:
        raise SkeletonError(path, str(error).removeprefix(f"{path}: ")) from error


def hierarchy(path: Path | str, joints: str | None = None) -> Hierarchy:
    """Return the skeleton of a ``.bvh``, ``.asf`` or ``.amc`` and the joint map that would be used.

    Raises:
        SkeletonError: the file cannot be read. OptionError: there is no such map.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (*ENDINGS, ".asf"):
        raise SkeletonError(path, f"the ending {ending!r} has no hierarchy; allowed: .bvh, .asf, .amc")
    skeleton: Bvh | acclaim.Asf
    if ending == ".bvh":
        skeleton = read_bvh(path)
    else:
        skeleton = acclaim.read_asf(acclaim.skeleton_of(path) if ending == ".amc" else path)
    try:
        fitted, problem = choose(skeleton.names, path, joints), ""
    except DataError as error:
        fitted, problem = None, str(error)
    return Hierarchy(skeleton.names, skeleton.depths, fitted, problem)


def _read_clip(path: Path, how: Reading, rate: float) -> Clip:
    header: float | None = None
    rests = False
    if path.suffix.lower() == ".bvh":
        bvh = read_bvh(path)
        fitted = choose(bvh.names, path, how.joints)
        frame_time = checked_frame_time(bvh.frame_time, how.fps)
        _check_length(len(bvh.motion), frame_time, rate)
        joints = bvh.joints(fitted)
        rests = len(joints) > 1 and bvh.rests(0) and not bvh.rests(1)
    else:
        asf = acclaim.read_asf(acclaim.skeleton_of(path))
        fitted = choose(asf.names, asf.path, how.joints)
        header = asf.unit
        motion = acclaim.read_amc(path, asf)
        frame_time = 1 / (how.fps or acclaim.CMU_RATE)
        _check_length(len(motion["root"]), frame_time, rate)
        joints = fitted.of(acclaim.positions(asf, motion))
    said = list(fitted.said())
    first = how.first_frame if how.first_frame != "auto" else fitted.map.first_frame
    if first == "drop" or (first == "auto" and rests):
        joints = joints[1:]
        said.append("first frame left out" + ("" if how.first_frame == "drop" else ": an added T-pose"))
    check_motion(len(joints))
    scale, unit = metres(joints, how.unit, header)
    said += [unit, f"{1 / frame_time:.4g} frames a second{' as given' if how.fps else ''}"]
    return Clip(resampled(joints * scale, frame_time, rate), tuple(said))


def resampled(joints: np.ndarray, frame_time: float, rate: float = RATE) -> np.ndarray:
    """Return (F, …) frames ``frame_time`` seconds apart at ``rate`` a second."""
    ratio = 1.0 / (frame_time * rate)
    if ratio >= 0.99 and abs(ratio - round(ratio)) < 0.01:
        return joints[:: round(ratio)]
    seconds = (len(joints) - 1) * frame_time
    wanted = np.arange(int(seconds * rate + 1e-6) + 1) / (frame_time * rate)
    low = np.minimum(wanted.astype(int), len(joints) - 1)
    high = np.minimum(low + 1, len(joints) - 1)
    part = (wanted - low)[:, None, None]
    return joints[low] * (1 - part) + joints[high] * part


def check_motion(frames: int) -> None:
    """Check the length of a recording without what is left out at its beginning.

    Raises:
        DataError: it is no motion.
    """
    if frames < 2:
        raise DataError(f"{frames} frames of motion are too few; allowed: 2 or more")


def checked_frame_time(stated: float, fps: float | None) -> float:
    """Return the seconds between frames: as a person says, else as the file does.

    Raises:
        DataError: the file's are impossible.
    """
    if fps is not None:
        return 1 / fps
    if 1 / _FASTEST <= stated <= _LONGEST:
        return stated
    likely = 30.0
    if _LONGEST < stated <= 1000:
        likely = stated if stated >= 10 and stated == round(stated) else 1000 / stated
    raise DataError(
        f"the frame time is {stated:g} seconds; allowed: {1 / _FASTEST:g} to {_LONGEST:g}; "
        f"say the frames a second with --fps, such as --fps {likely:.4g}"
    )


def _check_length(frames: int, frame_time: float, rate: float) -> None:
    longer = math.ceil(frames * frame_time * rate)
    if problem := limits().exceeded("max_frames", longer, f"frames at {rate:g} a second"):
        raise DataError(problem)
