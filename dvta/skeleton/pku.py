"""PKU-MMD: long recordings, their label files and train/test lists, cut into instances."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dvta.limits import limits
from dvta.skeleton.lines import Lines, SkeletonError, listed_names, shown
from dvta.skeleton.units import refuse_giants

_STEM = re.compile(r"(\d{4})-([LMR])")
_LISTED = re.compile(r"(\d{4}-[LMR])(?:\.\w+)?")
_SAMPLE = re.compile(r"F\d{3,4}V\d{3}C\d{3}L\d{3}|\b\d{4}-[LMR]\b")
_PERSON, _NUMBERS = 75, 150
_LAST_FRAME = 2**31
CLASSES = 51
VIEWS = {"L": 1, "M": 2, "R": 3}
#: longer instances keep their central part (AimCLR's preprocessing)
CENTRAL = 300
#: train/test list by protocol
LISTS = {"xsub": "cross-subject.txt", "xview": "cross-view.txt"}


@dataclasses.dataclass(frozen=True)
class Instance:
    """One labelled stretch: class from 1, first and last frame (1-based, inclusive), confidence, line of its file."""

    action: int
    first: int
    last: int
    confidence: float
    line: int


def read_pku(path: Path | str) -> np.ndarray:
    """Read a recording, (F, 2, 25, 3) float32 metres; an absent second person is zero.

    A frame has 150 numbers, or 75 where the file knows one person; blanks, tabs or commas part them.

    Raises:
        SkeletonError: the file is missing or malformed; names the line.
    """
    rows: list[np.ndarray] = []
    bounds, width, blank = limits(), 0, 0
    with Lines(path) as lines:
        while (line := lines.read()) is not None:
            line = _unseparated(lines, line)
            if not line.strip():
                blank = blank or lines.number
                continue
            if blank:
                raise SkeletonError(path, "an empty line", blank)
            width = width or (_PERSON if len(line.split()) == _PERSON else _NUMBERS)
            values = lines.numbers(line, width, f"frame {lines.number}")
            if np.abs(values).max() >= 1000:
                raise lines.error(f"frame {lines.number} has a joint more than a kilometre away")
            if problem := bounds.exceeded("max_frames", len(rows) + 1, "frames"):
                raise lines.error(problem)
            rows.append(values.astype(np.float32))
    if not rows:
        raise SkeletonError(path, "the file ends before its first frame", 1)
    found = np.zeros((len(rows), _NUMBERS), np.float32)
    found[:, :width] = rows
    positions = found.reshape(-1, 2, 25, 3)
    refuse_giants(path, positions)
    return positions


def _unseparated(lines: Lines, line: bytes) -> bytes:
    """Return a line of numbers with blanks between them.

    Raises:
        SkeletonError: a value is missing, or commas stand within what blanks part, as decimal commas do.
    """
    if b"," not in line:
        return line
    parts = [part.strip() for part in line.strip().removesuffix(b",").split(b",")]
    if b"" in parts:
        raise lines.error("a value is missing between two commas")
    wrong = next((part for part in parts if len(part.split()) > 1), None)
    if wrong is not None:
        raise lines.error(
            f"commas and blanks both part the numbers, as at {shown(wrong)}; part them by one of the two, and write "
            "decimals with a point"
        )
    return b" ".join(parts)


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
            first = lines.whole(words[1], "the first frame", 1, _LAST_FRAME)
            last = lines.whole(words[2], "the last frame", first, _LAST_FRAME)
            confidence = float(lines.numbers(words[3], 1, "the confidence")[0])
            found.append(Instance(action, first, last, confidence, lines.number))
    return found


def read_lists(path: Path | str) -> tuple[frozenset[str], frozenset[str]]:
    """Read ``cross-subject.txt`` or ``cross-view.txt``: names of training and of test recordings.

    Raises:
        SkeletonError: the file is missing, malformed, or a name is in both.
    """
    parts: list[set[str]] = []
    with Lines(path) as lines:
        while (line := lines.read()) is not None:
            words = [word.strip() for word in line.decode("ascii", "replace").split(",") if word.strip()]
            names = [match[1] for word in words if (match := _LISTED.fullmatch(word))]
            if words and not names and len(parts) < 2 and (not parts or parts[-1]):
                parts.append(set())  # a header
            elif len(names) != len(words) or (names and not parts):
                wrong = next((word for word in words if not _LISTED.fullmatch(word)), "names before a header")
                raise lines.error(f"expected a header or names such as 0002-L, found {wrong[:40]!r}")
            elif names:
                parts[-1].update(names)
        if len(parts) != 2 or not all(parts):
            raise SkeletonError(
                path, "the file ends before the names after two headers, training and test", lines.number + 1
            )
        both = parts[0] & parts[1]
        if both:
            raise lines.error(f"{min(both)} is both a training and a test recording")
    return frozenset(parts[0]), frozenset(parts[1])


def missing_samples(path: Path | str) -> frozenset[str]:
    """Read a list of what to leave out: samples such as F002V001C001L001, or whole recordings such as 0002-L.

    Raises:
        SkeletonError: the file is missing or holds no name.
    """
    return listed_names(path, _SAMPLE, "F002V001C001L001 or 0002-L")


def instances(recording: Path, labels: Path) -> Iterator[tuple[str, int, np.ndarray]]:
    """Cut a recording into its labelled instances.

    An instance that ends beyond the recording ends with it, as in the published preprocessing.

    Yields:
        the sample's name ``FfffVvvvCcccLlll`` (file, view, class, number of the instance), its class id
        from 0, and its (F, 2, 25, 3) positions, the central 300 frames where there are more.

    Raises:
        SkeletonError: a file is malformed, or most of an instance lies beyond the recording.
    """
    match = _STEM.fullmatch(recording.stem)
    if match is None:
        raise SkeletonError(recording, "the name is not of the form 0002-L.txt")
    positions = read_pku(recording)
    for number, instance in enumerate(read_labels(labels), start=1):
        cut = positions[instance.first - 1 : instance.last]
        if 2 * len(cut) < instance.last - instance.first + 1:
            raise SkeletonError(
                labels,
                f"most of an instance of frames {instance.first} to {instance.last} lies beyond "
                f"the {len(positions)} frames of {recording}",
                instance.line,
            )
        spare = max(0, len(cut) - CENTRAL) // 2
        name = f"F{int(match[1]):03d}V{VIEWS[match[2]]:03d}C{instance.action:03d}L{number:03d}"
        yield name, instance.action - 1, cut[spare : spare + CENTRAL]
