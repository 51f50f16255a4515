"""Recordings that are still being made: frames from bytes as they arrive, in the formats of files and as JSON lines.

A stream is fed bytes and returns the frames that are complete; what it returns does not depend on where the bytes
were cut. The format is told from the first line: NTU's ``.skeleton`` begins with a number, BVH with ``HIERARCHY``,
JSON lines with a bracket.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from pathlib import Path
from typing import Protocol

import numpy as np

from dvta.errors import DataError
from dvta.skeleton import json_frames
from dvta.skeleton.bvh import Bvh, Columns, Node, read_header
from dvta.skeleton.joints import Fitted, choose
from dvta.skeleton.lines import BOM, MAX_LINE_BYTES, Lines, SkeletonError, shown
from dvta.skeleton.motion import RATE, Reading, check_motion, checked_frame_time
from dvta.skeleton.ntu import MAX_BODIES, read_bodies
from dvta.skeleton.sequences import CAMERA_RATE
from dvta.skeleton.units import metres

#: frames that a BVH stream waits for, to find the unit from the body's length
SETTLED = 30
MAX_HEADER_BYTES = 1 << 24
_BODY_LINES = 27  # of a body in a .skeleton file: id, number of joints, 25 joints
_FRAME_TIME = re.compile(rb"\s*frame\s*time\s*:", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame: joints (M, V, C) of M bodies, and the camera's ids (M,) of them where the format has them."""

    joints: np.ndarray
    ids: np.ndarray | None = None


class Format(Protocol):
    """What turns complete lines into frames."""

    #: frames a second of what :meth:`frames` returns
    rate: float
    #: whether frames come from a camera, which may show nobody
    camera: bool
    #: how the recording was read, for people; filled as soon as it is known
    said: list[str]

    @property
    def complete(self) -> bool:
        """Whether the recording says itself that it has ended."""

    def frames(self, lines: StreamLines, *, end: bool) -> list[Frame]:
        """Return the frames that are complete; all that are left at the ``end``."""


class StreamLines(Lines):
    """The complete lines of a text that is still growing."""

    def __init__(self, name: str) -> None:
        self.path, self.number, self.size = Path(name), 0, 0
        self._name = name
        self._waiting: collections.deque[bytes] = collections.deque()
        self._rest, self._begun = b"", False

    def __len__(self) -> int:
        return len(self._waiting)

    def feed(self, data: bytes) -> None:
        """Take further bytes.

        Raises:
            SkeletonError: a line is absurdly long.
        """
        self.size += len(data)
        data = self._rest + data
        if not self._begun:
            self._begun = len(data) >= len(BOM) or not BOM.startswith(data)
            if self._begun:
                data = data.removeprefix(BOM)
        *whole, self._rest = data.split(b"\n")
        if max(map(len, (*whole, self._rest))) > MAX_LINE_BYTES:
            raise self.error(f"a line of more than {MAX_LINE_BYTES} bytes; these are no frames")
        self._waiting.extend(line.removesuffix(b"\r") for line in whole)

    def end(self) -> None:
        """Take what is left as the last line."""
        if self._rest.strip():
            self._waiting.append(self._rest)
        self._rest = b""

    def peek(self) -> bytes | None:
        """Return the next line without reading it, None where it is not complete."""
        return self._waiting[0] if self._waiting else None

    def has(self, pattern: re.Pattern[bytes]) -> bool:
        """Return whether a line that is yet to be read begins so."""
        return any(pattern.match(line) for line in self._waiting)

    def read(self) -> bytes | None:
        """Return the next complete line, or None."""
        if not self._waiting:
            return None
        self.number += 1
        return self._waiting.popleft()

    def error(self, problem: str) -> SkeletonError:
        """Return the error of the current line."""
        return SkeletonError(self._name, problem, self.number)


class Stream:
    """A recording that arrives in pieces.

    Args:
        name: what messages call it. how: joint map, unit and frame rate; for JSON lines the rate alone.
    """

    def __init__(self, name: str, how: Reading | None = None) -> None:
        self._lines, self._how = StreamLines(name), how or Reading()
        self._format: Format | None = None

    @property
    def format(self) -> Format | None:
        """The format, None before the first line is there."""
        return self._format

    def feed(self, data: bytes) -> list[Frame]:
        """Take further bytes and return the frames that are complete with them.

        Raises:
            DataError: a line is malformed; names its number.
        """
        self._lines.feed(data)
        return self._read(end=False)

    def finish(self) -> list[Frame]:
        """Return the last frames: nothing follows.

        Raises:
            DataError: the recording ends within a frame, or before the first.
        """
        self._lines.end()
        found = self._read(end=True)
        if self._format is None:
            raise self._lines.error("ends before the first line of a recording")
        return found

    def _read(self, *, end: bool) -> list[Frame]:
        if self._format is None:
            self._format = self._told()
        try:
            return self._format.frames(self._lines, end=end) if self._format else []
        except SkeletonError:
            raise
        except DataError as error:
            raise self._lines.error(str(error)) from error

    def _told(self) -> Format | None:
        lines = self._lines
        while (line := lines.peek()) is not None and not line.strip():
            lines.read()
        if line is None:
            return None
        start = line.strip()
        if start[:1] in b"[{" or start == b"null":
            return JsonFormat(self._how)
        if start.isdigit():
            return NtuFormat()
        if start.upper().startswith(b"HIERARCHY"):
            return BvhFormat(self._how)
        raise lines.error(
            f"begins with {shown(start)}; allowed: NTU .skeleton lines (a number first), BVH (HIERARCHY first), "
            "or JSON lines of joints"
        )


class NtuFormat:
    """NTU ``.skeleton`` lines."""

    rate, camera = CAMERA_RATE, True

    def __init__(self) -> None:
        self._count: int | None = None
        self._bodies: int | None = None  # of a frame whose lines are not all there
        self._done = 0
        self.said = [f"NTU .skeleton lines, {CAMERA_RATE:g} frames a second"]

    @property
    def complete(self) -> bool:
        """Whether the frames that the first line announces are there; 0 announces no number."""
        return bool(self._count) and self._done == self._count

    def frames(self, lines: StreamLines, *, end: bool) -> list[Frame]:
        """Return complete frames."""
        found: list[Frame] = []
        if self._count is None:
            self._count = lines.count("the number of frames", 2**31)
        while not self.complete:
            if self._bodies is None:
                if (line := lines.read()) is None:
                    break
                if not line.strip():
                    continue
                self._bodies = lines.whole(line, "the number of bodies", 0, MAX_BODIES)
            if len(lines) < self._bodies * _BODY_LINES and not end:
                break
            joints, ids = read_bodies(lines, self._bodies)
            self._bodies = None
            empty = np.zeros((1, 25, 3), np.float32)
            found.append(Frame(np.stack(joints) if joints else empty, np.array(ids or [0], np.int64)))
            self._done += 1
        return found


class JsonFormat:
    """JSON lines: the joints of a frame each, of NTU's 25, COCO's 17 or MediaPipe's 33."""

    camera = True
    complete = False

    def __init__(self, how: Reading) -> None:
        self.rate = how.fps or CAMERA_RATE
        self.said: list[str] = []
        self._joints = 0

    def frames(self, lines: StreamLines, *, end: bool) -> list[Frame]:
        """Return complete frames."""
        found = []
        while (line := lines.read()) is not None:
            if not line.strip():
                continue
            joints = json_frames.joints_of(line, self._joints or None)
            if not self._joints and joints.any():
                self._joints = joints.shape[1]
                self.said.append(f"JSON lines of {self._joints} joints, {self.rate:g} frames a second")
            found.append(Frame(joints))
        return found


class BvhFormat:
    """BVH: frames in metres at 60 a second, as :func:`dvta.skeleton.motion.read_clip` gives them."""

    rate, camera = RATE, False

    def __init__(self, how: Reading) -> None:
        self._how, self.said = how, list[str]()
        self._nodes: tuple[Node, ...] | None = None
        self._columns = Columns(())
        self._fitted: Fitted | None = None
        self._announced, self._rows = 0, 0
        self._frame_time = 0.0
        self._held: list[np.ndarray] = []  # rows before the unit is known
        self._scale: float | None = None
        self._resample: Resampler | None = None

    @property
    def complete(self) -> bool:
        """Whether the frames that the header announces are there; 0 announces no number."""
        return bool(self._announced) and self._rows == self._announced

    def frames(self, lines: StreamLines, *, end: bool) -> list[Frame]:
        """Return complete frames."""
        if self._nodes is None and not self._header(lines, end=end):
            return []
        assert self._nodes is not None
        rows = []
        while not self.complete and (line := lines.read()) is not None:
            if line.strip():
                rows.append(self._columns.read(lines, line, self._rows + 1))
                self._rows += 1
        ended = end or self.complete
        if self._scale is None:
            self._held += rows
            if not self._held or (len(self._held) < SETTLED and not ended):
                return []
            rows, self._held = self._settle(np.stack(self._held)), []
        assert self._resample is not None
        joints = self._joints(np.stack(rows)) * self._scale if len(rows) else np.zeros((0, 25, 3))
        return [Frame(one[None]) for one in self._resample.feed(joints, end=ended)]

    def _header(self, lines: StreamLines, *, end: bool) -> bool:
        if not lines.has(_FRAME_TIME) and not end:
            if lines.size > MAX_HEADER_BYTES:
                raise lines.error(f"no frame in the first {MAX_HEADER_BYTES} bytes")
            return False
        nodes, self._announced, stated = read_header(lines)
        self._fitted = choose([node.name for node in nodes], lines.path, self._how.joints)
        self._nodes, self._columns = tuple(nodes), Columns(nodes)
        self._frame_time = checked_frame_time(stated, self._how.fps)
        return True

    def _settle(self, rows: np.ndarray) -> list[np.ndarray]:
        """Find unit and T-pose in the first rows; return those that are motion."""
        assert self._fitted is not None
        self.said += self._fitted.said()
        bvh, joints = self._bvh(rows), self._joints(rows)
        rests = len(rows) > 1 and bvh.rests(0) and not bvh.rests(1)
        first = self._how.first_frame if self._how.first_frame != "auto" else self._fitted.map.first_frame
        dropped = first == "drop" or (first == "auto" and rests)
        if dropped:
            self.said.append("first frame left out" + (": an added T-pose" if rests else ""))
        check_motion(len(rows) - dropped)
        self._scale, unit = metres(joints[dropped:], self._how.unit)
        self.said += [unit, f"{1 / self._frame_time:.4g} frames a second"]
        self._resample = Resampler(self._frame_time, RATE)
        return list(rows[dropped:])

    def _bvh(self, rows: np.ndarray) -> Bvh:
        assert self._nodes is not None
        return Bvh(Path("stream"), self._nodes, self._frame_time, rows)

    def _joints(self, rows: np.ndarray) -> np.ndarray:
        assert self._fitted is not None
        return self._bvh(rows).joints(self._fitted)


class Resampler:
    """Brings frames (F, 25, 3) to another rate piece by piece, as :func:`dvta.skeleton.motion.resampled` does at once."""

    def __init__(self, frame_time: float, rate: float) -> None:
        self._time, self._rate = frame_time, rate
        ratio = 1.0 / (frame_time * rate)
        self._every = round(ratio) if ratio >= 0.99 and abs(ratio - round(ratio)) < 0.01 else None
        self._kept = np.zeros((0, 25, 3))
        self._first = self._made = 0  # number of the first kept frame, and frames made

    def feed(self, joints: np.ndarray, *, end: bool) -> np.ndarray:
        """Take frames and return those that can be made with them."""
        self._kept = np.concatenate((self._kept, joints)) if len(joints) else self._kept
        total = self._first + len(self._kept)
        if self._every is not None:
            start = -self._first % self._every
            found = self._kept[start :: self._every]
            self._first, self._kept = total, self._kept[:0]
            return found
        spacing = self._time * self._rate
        if end:
            last = int((total - 1) * self._time * self._rate + 1e-6) if total else -1
        else:
            last = int((total - 1) * spacing) + 1
        wanted = np.arange(self._made, last + 1) / spacing
        low = np.minimum(wanted.astype(int), total - 1)
        if not end:
            ready = low + 1 < total
            wanted, low = wanted[ready], low[ready]
        high = np.minimum(low + 1, total - 1)
        part = (wanted - low)[:, None, None]
        found = self._kept[low - self._first] * (1 - part) + self._kept[high - self._first] * part
        self._made += len(found)
        keep = min(int(self._made / spacing), total) - self._first
        self._first, self._kept = self._first + keep, self._kept[keep:]
        return found
