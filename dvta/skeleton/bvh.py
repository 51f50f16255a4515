"""Biovision hierarchy files of any maker: parser and forward kinematics."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dvta.limits import limits
from dvta.skeleton.acclaim import axis_rotation
from dvta.skeleton.joints import Fitted
from dvta.skeleton.lines import Lines, shown

_POSITION = {b"xposition": 0, b"yposition": 1, b"zposition": 2}
_ROTATION = {b"xrotation": 0, b"yrotation": 1, b"zrotation": 2}
_SCALE = (b"xscale", b"yscale", b"zscale")
_CHANNELS = (*_POSITION, *_ROTATION, *_SCALE)
_FRAMES = re.compile(rb"frames\s*:\s*(\S+)", re.IGNORECASE)
_FRAME_TIME = re.compile(rb"frame\s*time\s*:\s*(\S+)", re.IGNORECASE)
_STATEMENT = re.compile(rb"[{}]|[^{}]+")
_BLOCK = 1 << 17  # frames times nodes whose matrices are held at once


@dataclasses.dataclass(frozen=True)
class Node:
    """One joint or end site: name, index of its parent (-1: root), offset (3,), channels in file order.

    Channels are in lower case; the end site below joint X is called ``X_end``.
    """

    name: str
    parent: int
    offset: np.ndarray
    channels: tuple[bytes, ...]


@dataclasses.dataclass(frozen=True)
class Bvh:
    """A parsed file.

    Attributes:
        path: the file.
        nodes: joints and end sites in file order; a parent stands before its children.
        frame_time: seconds between frames as the file says; not checked, it may be 0.
        motion: (F, channels) float64 in file order; angles in degrees.
    """

    path: Path
    nodes: tuple[Node, ...]
    frame_time: float
    motion: np.ndarray

    @property
    def names(self) -> list[str]:
        """The nodes' names."""
        return [node.name for node in self.nodes]

    @property
    def depths(self) -> list[int]:
        """How many joints stand above each node."""
        found: list[int] = []
        for node in self.nodes:
            found.append(0 if node.parent < 0 else found[node.parent] + 1)
        return found

    def positions(self) -> np.ndarray:
        """Return the global positions of all nodes by forward kinematics, (F, nodes, 3) in file units."""
        return self._place(self.motion, list(range(len(self.nodes))))

    def joints(self, fitted: Fitted) -> np.ndarray:
        """Return the 25 NTU joints of a map, (F, 25, 3) in file units; other nodes cost nothing."""
        above: set[int] = set()
        for index in fitted.nodes:
            while index >= 0 and index not in above:
                above.add(index)
                index = self.nodes[index].parent
        order, block = sorted(above), max(1, _BLOCK // len(self.nodes))
        found = np.empty((len(self.motion), len(fitted.means), 3))
        for start in range(0, len(found), block):
            places = self._place(self.motion[start : start + block], order)
            found[start : start + block] = fitted.of(places)
        return found

    def rests(self, frame: int) -> bool:
        """Return whether all rotations of a frame are zero, as in a T-pose added by a conversion."""
        turning = [channel in _ROTATION for node in self.nodes for channel in node.channels]
        return not self.motion[frame, turning].any()

    def _place(self, motion: np.ndarray, order: list[int]) -> np.ndarray:
        frames = len(motion)
        places = np.full((frames, len(self.nodes), 3), np.nan)
        first = np.cumsum([0] + [len(node.channels) for node in self.nodes])
        turns: dict[int, np.ndarray] = {}
        for index in order:
            node = self.nodes[index]
            shift = np.broadcast_to(node.offset, (frames, 3)).copy()
            turn: np.ndarray | None = None
            for column, channel in enumerate(node.channels, first[index]):
                values = motion[:, column]
                if channel in _POSITION:
                    # a joint's own position channels stand in the place of its offset
                    shift[:, _POSITION[channel]] = values
                elif channel in _ROTATION:
                    one = axis_rotation(_ROTATION[channel], np.deg2rad(values))
                    turn = one if turn is None else turn @ one
            if node.parent < 0:
                places[:, index] = shift
                turns[index] = np.broadcast_to(np.eye(3), (frames, 3, 3)) if turn is None else turn
            else:
                parent = turns[node.parent]
                places[:, index] = places[:, node.parent] + (parent @ shift[:, :, None])[:, :, 0]
                turns[index] = parent if turn is None else parent @ turn
        return places


def read_bvh(path: Path | str) -> Bvh:
    """Read a BVH file, as lenient in layout as the files in circulation, strict in counts and numbers.

    Keywords and channels in any case, ``End Site`` in any spelling, braces on the line of a name, any line
    ends and a byte order mark are fine; scale channels are where they are all 1.

    Raises:
        SkeletonError: the file is missing, malformed, cut off or beyond the limits; names the line.
    """
    with Lines(path) as lines:
        nodes, frames, frame_time = read_header(lines)
        columns = Columns(nodes)
        if frames * 2 * columns.width > lines.size:
            raise lines.error(f"{frames} frames of {columns.width} numbers do not fit in {lines.size} bytes")
        motion = np.empty((frames, columns.width))
        for frame in range(frames):
            motion[frame] = columns.read(lines, lines.need(f"frame {frame + 1} of {frames}"), frame + 1)
        while (rest := lines.read()) is not None:
            if rest.strip():
                raise lines.error(f"text after the last of {frames} frames: {shown(rest)}")
    return Bvh(Path(path), tuple(nodes), frame_time, motion)


class Columns:
    """The numbers of a frame: as many as all nodes have channels.

    Attributes:
        width: how many.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        channels = [channel for node in nodes for channel in node.channels]
        self.width = len(channels)
        self._scales = [index for index, channel in enumerate(channels) if channel in _SCALE]

    def read(self, lines: Lines, line: bytes, frame: int) -> np.ndarray:
        """Return the numbers (width,) of the current line.

        Raises:
            SkeletonError: another count, no number, not finite, or a scale that is not 1.
        """
        found = lines.numbers(line, self.width, f"frame {frame}")
        if self._scales and (np.abs(found[self._scales] - 1) > 1e-3).any():
            raise lines.error("scale channels that are not 1 are not supported; export without scale")
        return found


def read_header(lines: Lines) -> tuple[list[Node], int, float]:
    """Read everything before the first frame; return the nodes, the number of frames and the frame time as they stand.

    Raises:
        SkeletonError: it is malformed, beyond the limits, or nothing moves.
    """
    nodes = _Hierarchy(lines).read()
    if not any(node.channels for node in nodes):
        raise lines.error("no joint has channels; nothing moves")
    return nodes, *_motion_header(lines)


class _Hierarchy:
    """Reads the hierarchy; a stack instead of recursion, since a mangled file may nest without end."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._waiting: Iterator[re.Match[bytes]] = iter(())
        self._limits = limits()

    def read(self) -> list[Node]:
        """Return the nodes; a parent stands before its children."""
        self._keyword(b"HIERARCHY")
        nodes: list[Node] = []
        open_nodes: list[int] = []
        heading = self._words("ROOT")
        if len(heading) < 2 or heading[0].upper() != b"ROOT":
            raise self._lines.error(f"expected ROOT and a name, found {shown(b' '.join(heading))}")
        while True:
            end_site = heading[0].upper() in (b"END", b"ENDSITE")
            name = f"{nodes[open_nodes[-1]].name}_end" if end_site else _name(heading)
            self._check_size(len(nodes) + 1, len(open_nodes) + 1)
            self._keyword(b"{")
            offset, channels, following = self._fields(end_site)
            nodes.append(Node(name, open_nodes[-1] if open_nodes else -1, offset, channels))
            open_nodes.append(len(nodes) - 1)
            while following == [b"}"]:
                open_nodes.pop()
                if not open_nodes:
                    self._end()
                    return nodes
                following = self._words("JOINT, End Site or }")
            if following[0].upper() not in (b"JOINT", b"END", b"ENDSITE") or (
                following[0].upper() == b"JOINT" and len(following) < 2
            ):
                found = shown(b" ".join(following))
                raise self._lines.error(f"expected JOINT, End Site or }}, found {found}")
            heading = following

    def _end(self) -> None:
        rest = b"".join(part.group() for part in self._waiting)
        if rest.strip():
            raise self._lines.error(f"text after the hierarchy: {shown(rest)}")

    def _check_size(self, joints: int, depth: int) -> None:
        problem = self._limits.exceeded("max_joints", joints, "joints")
        problem = problem or self._limits.exceeded("max_depth", depth, "joints one below the other")
        if problem:
            raise self._lines.error(problem)

    def _fields(self, end_site: bool) -> tuple[np.ndarray, tuple[bytes, ...], list[bytes]]:
        """Return offset and channels of a node, in either order, and the words after them."""
        offset: np.ndarray | None = None
        channels: tuple[bytes, ...] | None = None
        while True:
            words = self._words("OFFSET")
            if words[0].upper() == b"OFFSET" and offset is None:
                offset = self._lines.numbers(b" ".join(words[1:]), 3, "OFFSET")
            elif words[0].upper() == b"CHANNELS" and channels is None:
                channels = self._channels(words)
                if end_site and channels:
                    raise self._lines.error("an end site has channels")
            elif offset is None:
                raise self._lines.error(f"expected OFFSET, found {shown(b' '.join(words))}")
            elif end_site and words != [b"}"]:
                raise self._lines.error(f"expected }} after an end site, found {shown(b' '.join(words))}")
            else:
                return offset, channels or (), words

    def _channels(self, words: list[bytes]) -> tuple[bytes, ...]:
        if len(words) < 2:
            raise self._lines.error(f"expected CHANNELS and a number, found {shown(b' '.join(words))}")
        count = self._lines.whole(words[1], "the number of channels", 0, len(_CHANNELS))
        names = tuple(name.lower() for name in words[2:])
        if len(names) != count or not set(names) <= set(_CHANNELS) or len(set(names)) != count:
            raise self._lines.error(
                f"expected {count} different channels of Xposition … Zrotation, "
                f"found {shown(b' '.join(words[2:]))}"
            )
        return names

    def _keyword(self, word: bytes) -> None:
        found = self._words(word.decode())
        if [part.upper() for part in found] != [word]:
            raise self._lines.error(f"expected {word.decode()}, found {shown(b' '.join(found))}")

    def _words(self, what: str) -> list[bytes]:
        """Return the words of the next statement; a brace is one of its own wherever it stands."""
        while True:
            for part in self._waiting:
                if words := part.group().split():
                    return words
            self._waiting = _STATEMENT.finditer(self._lines.need(what))


def _name(heading: list[bytes]) -> str:
    return b" ".join(heading[1:]).decode("utf-8", "backslashreplace")


def _motion_header(lines: Lines) -> tuple[int, float]:
    found = _filled(lines, "MOTION")
    if found.upper() != b"MOTION":
        raise lines.error(f"expected MOTION, found {shown(found)}")
    frames = int(_headed(lines, _FRAMES, "Frames:", "the number of frames"))
    frame_time = _headed(lines, _FRAME_TIME, "Frame Time:", "the frame time")
    return frames, frame_time


def _headed(lines: Lines, pattern: re.Pattern[bytes], heading: str, what: str) -> float:
    line = _filled(lines, heading)
    match = pattern.fullmatch(line)
    if match is None:
        raise lines.error(f"expected '{heading}' and a number, found {shown(line)}")
    value = float(lines.numbers(match[1], 1, what)[0])
    if pattern is _FRAMES:
        if value < 0 or value != math.floor(value):
            raise lines.error(f"{what} is {shown(match[1])}; allowed: a whole number")
        if problem := limits().exceeded("max_frames", int(value), "frames"):
            raise lines.error(problem)
    return value


def _filled(lines: Lines, what: str) -> bytes:
    while True:
        if line := lines.need(what).strip():
            return line
