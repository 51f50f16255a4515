"""PKU-MMD: long recordings, their label files and train/test lists, cut into instances."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dvta.skeleton.lines import Lines, SkeletonError, shown

_STEM = re.compile(r"(\d{4})-([LMR])")
_NUMBERS = 150
_MAX_FRAMES = 1_000_000
CLASSES = 51
VIEWS = {"L": 1, "M": 2, "R": 3}
#: longer instances keep their central part (AimCLR's preprocessing)
CENTRAL = 300
#: train/test list by protocol
LISTS = {"xsub": "cross-subject.txt", "xview": "cross-view.txt"}


@dataclasses.dataclass(frozen=True)
class Instance:
    """One labelled stretch: class from 1, first and last frame (1-based, inclusive), confidence."""

    action: int
    first: int
    last: int
    confidence: float


def read_pku(path: Path | str) -> np.ndarray:
    """Read a recording, (F, 2, 25, 3) float32 metres; an absent second person is zero.

    Raises:
        SkeletonError: the file is missing or malformed; names the line.
    """
    rows: list[np.ndarray] = []
    with Lines(path) as lines:
        while (line := lines.read()) is not None:
            if not line.strip():
                raise lines.error("an empty line")
            values = lines.numbers(line, _NUMBERS, f"frame {lines.number}")
            if np.abs(values).max() >= 1000:
                raise lines.error(f"frame {lines.number} has a joint more than a kilometre away")
            if len(rows) >= _MAX_FRAMES:
                raise lines.error(f"more than {_MAX_FRAMES} frames")
            rows.append(values.astype(np.float32))
    if not rows:
        raise SkeletonError(path, "the file ends before its first frame", 1)
    return np.stack(rows).reshape(-1, 2, 25, 3)


def read_labels(path: Path | str) -> list[Instance]:
    """Read a label file.

    Raises:
        SkeletonError: the file is missing or malformed; names the line.
    """
    found = []
    with Lines(path) as lines:
        while (line := lines.read()) is not None:
            if not line.strip():
                continue
            words = line.split(b",")
            if len(words) != 4:
                raise lines.error(f"expected class,start,end,confidence, found {shown(line)}")
            action = lines.whole(words[0], "the class", 1, CLASSES)
            first = lines.whole(words[1], "the first frame", 1, _MAX_FRAMES)
            last = lines.whole(words[2], "the last frame", first, _MAX_FRAMES)
            confidence = float(lines.numbers(words[3], 1, "the confidence")[0])
            found.append(Instance(action, first, last, confidence))
    return found


def read_lists(path: Path | str) -> tuple[frozenset[str], frozenset[str]]:
    """Read ``cross-subject.txt`` or ``cross-view.txt``: names of training and of test recordings.

    Raises:
        SkeletonError: the file is missing, malformed, or a name is in both.
    """
    parts: list[frozenset[str]] = []
    with Lines(path) as lines:
        for part in ("training", "test"):
            lines.need(f"the header of the {part} names")
            line = lines.need(f"the {part} names")
            names = [name.strip().decode("ascii", "replace") for name in line.split(b",") if name.strip()]
            wrong = [name for name in names if not _STEM.fullmatch(name)]
            if wrong or not names:
                raise lines.error(
                    f"{part} names should look like 0002-L, found {wrong[0] if wrong else None!r}"
                )
            parts.append(frozenset(names))
        both = parts[0] & parts[1]
        if both:
            raise lines.error(f"{min(both)} is both a training and a test recording")
    return parts[0], parts[1]


def instances(recording: Path, labels: Path) -> Iterator[tuple[str, int, np.ndarray]]:
    """Cut a recording into its labelled instances.

    Yields:
        the sample's name ``FfffVvvvCcccLlll`` (file, view, class, position in the file), its class id
        from 0, and its (F, 2, 25, 3) positions, the central 300 frames where there are more.

    Raises:
        SkeletonError: a file is malformed, or a label lies beyond the recording.
    """
    match = _STEM.fullmatch(recording.stem)
    if match is None:
        raise SkeletonError(recording, "the name is not of the form 0002-L.txt")
    positions = read_pku(recording)
    for index, instance in enumerate(read_labels(labels)):
        if instance.first > len(positions):
            raise SkeletonError(
                labels, f"an instance starts at frame {instance.first} of {len(positions)}", index + 1
            )
        cut = positions[instance.first - 1 : instance.last]
        spare = max(0, len(cut) - CENTRAL) // 2
        name = f"F{int(match[1]):03d}V{VIEWS[match[2]]:03d}C{instance.action:03d}L{index + 1:03d}"
        yield name, instance.action - 1, cut[spare : spare + CENTRAL]
