"""NTU RGB+D: ``.skeleton`` files, their names, evaluation protocols and lists of missing skeletons."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import numpy as np

from dvta.errors import OptionError, did_you_mean
from dvta.limits import limits
from dvta.skeleton.lines import Lines, SkeletonError, listed_names, shown
from dvta.skeleton.units import refuse_giants

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.ASCII)
_JOINTS = 25
MAX_BODIES = 32

XSUB_60 = frozenset((1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38))
XSUB_120 = XSUB_60 | frozenset(
    (
        *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86),
        *(89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
    )
)
PROTOCOLS = {"ntu60": ("xsub", "xview"), "ntu120": ("xsub", "xsetup")}
_LIMITS = {"ntu60": (17, 60), "ntu120": (32, 120)}
#: of NTU RGB+D 120, which has all that NTU RGB+D has
_LARGEST = {"setup": 32, "camera": 3, "performer": 106, "repetition": 2, "action": 120}


@dataclasses.dataclass(frozen=True)
class NtuName:
    """What a file name ``SsssCcccPpppRrrrAaaa`` says."""

    setup: int
    camera: int
    performer: int
    repetition: int
    action: int

    @classmethod
    def parse(cls, path: Path | str) -> NtuName:
        """Read a file name, with or without folder and ending.

        Raises:
            SkeletonError: it is not of that form, or says what NTU has not.
        """
        match = _NAME.fullmatch(Path(path).name.split(".")[0])
        if match is None:
            raise SkeletonError(path, "the name is not of the form S001C001P001R001A001.skeleton")
        found = cls(*(int(group) for group in match.groups()))
        for part, largest in _LARGEST.items():
            if not 1 <= getattr(found, part) <= largest:
                raise SkeletonError(
                    path, f"the name says {part} {getattr(found, part)}; allowed: 1 to {largest}"
                )
        return found

    @property
    def label(self) -> int:
        """The class id, from 0."""
        return self.action - 1

    def belongs_to(self, dataset: str) -> bool:
        """Whether the clip is of ``ntu60`` or ``ntu120`` (which contains the former)."""
        setups, actions = _LIMITS[dataset]
        return 1 <= self.setup <= setups and 1 <= self.action <= actions

    def trains(self, dataset: str, protocol: str) -> bool:
        """Whether the clip is a training clip of ``xsub``, ``xview`` or ``xsetup``.

        Raises:
            OptionError: the data set has no such protocol.
        """
        if protocol not in PROTOCOLS[dataset]:
            raise OptionError(
                f"protocol: {protocol!r} is unknown for {dataset}{did_you_mean(protocol, PROTOCOLS[dataset])}; "
                f"allowed: {', '.join(PROTOCOLS[dataset])}"
            )
        if protocol == "xsub":
            return self.performer in (XSUB_60 if dataset == "ntu60" else XSUB_120)
        if protocol == "xview":
            return self.camera in (2, 3)
        return self.setup % 2 == 0


@dataclasses.dataclass(frozen=True)
class NtuRecording:
    """A recording.

    Attributes:
        positions: (F, M, 25, 3) float32 metres; bodies in the order of the file's frames, zero where absent.
        body_ids: (F, M) int64, 0 where absent; about 17 digits, never held as floats.
    """

    positions: np.ndarray
    body_ids: np.ndarray


def read_ntu(path: Path | str) -> NtuRecording:
    """Read a ``.skeleton`` file; empty frames, any number of bodies and a missing last newline are fine.

    Raises:
        SkeletonError: the file is missing, malformed or cut off; names the line.
    """
    frames: list[list[np.ndarray]] = []
    ids: list[list[int]] = []
    with Lines(path) as lines:
        count = lines.count("the number of frames", 2**31)
        if problem := limits().exceeded("max_frames", count, "frames"):
            raise lines.error(problem)
        if 2 * count > lines.size:
            raise lines.error(f"{count} frames do not fit in {lines.size} bytes")
        for frame in range(count):
            bodies = lines.count(f"the number of bodies in frame {frame + 1} of {count}", MAX_BODIES)
            joints, numbers = read_bodies(lines, bodies)
            frames.append(joints)
            ids.append(numbers)
        while (rest := lines.read()) is not None:
            if rest.strip():
                raise lines.error(f"text after the last of {count} frames: {shown(rest)}")
    most = max((len(frame) for frame in frames), default=0)
    positions = np.zeros((count, most, _JOINTS, 3), np.float32)
    body_ids = np.zeros((count, most), np.int64)
    for index, (bodies_, numbers) in enumerate(zip(frames, ids, strict=True)):
        if bodies_:
            positions[index, : len(bodies_)] = bodies_
            body_ids[index, : len(numbers)] = numbers
    refuse_giants(path, positions)
    return NtuRecording(positions, body_ids)


def read_bodies(lines: Lines, count: int) -> tuple[list[np.ndarray], list[int]]:
    """Read the bodies of a frame, (25, 3) each, and their ids.

    Raises:
        SkeletonError: one is malformed or cut off.
    """
    joints, ids = [], []
    for _ in range(count):
        ids.append(_body_id(lines))
        joints.append(_joints(lines))
    return joints, ids


def missing_skeletons(path: Path | str) -> frozenset[str]:
    """Read a list of incomplete recordings: one name a line, other text (a header) is passed over.

    Raises:
        SkeletonError: the file is missing or holds no name.
    """
    return listed_names(path, _NAME, "S001C001P001R001A001")


def _body_id(lines: Lines) -> int:
    words = lines.need("a body").split()
    if len(words) != 10:
        raise lines.error(f"a body has {len(words)} values, expected 10")
    return lines.whole(words[0], "the body id", -(2**63), 2**63 - 1)


def _joints(lines: Lines) -> np.ndarray:
    joints = lines.count("the number of joints", 1000)
    if joints != _JOINTS:
        raise lines.error(f"a body of {joints} joints, expected {_JOINTS}")
    body = np.empty((_JOINTS, 3), np.float32)
    for joint in range(_JOINTS):
        words = lines.need(f"joint {joint + 1} of {_JOINTS}").split()
        if len(words) != 12:
            raise lines.error(f"joint {joint + 1} has {len(words)} values, expected 12")
        x, y, z = lines.floats(words[:3], f"joint {joint + 1}")
        # no camera sees a kilometre; this also refuses NaN, infinity and what overflows float32
        if not math.fabs(x) + math.fabs(y) + math.fabs(z) < 1000:
            raise lines.error(f"joint {joint + 1} is at ({x}, {y}, {z}) metres")
        body[joint] = x, y, z
    return body
