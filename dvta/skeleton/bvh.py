"""Biovision hierarchy files: parser, forward kinematics, and the 25 NTU joints of CMU's BVH clips."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from dvta.skeleton.acclaim import axis_rotation
from dvta.skeleton.lines import Lines, SkeletonError, shown

#: points of CMU's BVH conversion in NTU order; ``X_end`` is the end site below joint X. ``LThumb``
#: and ``RThumb`` are the conversion's thumb joints.
CMU_JOINTS = (
    *("Hips", "Spine1", "Neck1", "Head_end", "LeftArm", "LeftForeArm", "LeftHand", "LeftHandIndex1"),
    *("RightArm", "RightForeArm", "RightHand", "RightHandIndex1", "LeftUpLeg", "LeftLeg", "LeftFoot"),
    *("LeftToeBase_end", "RightUpLeg", "RightLeg", "RightFoot", "RightToeBase_end", "Neck"),
    *("LeftHandIndex1_end", "LThumb_end", "RightHandIndex1_end", "RThumb_end"),
)
#: metres in one CMU length unit (inches / 0.45)
CMU_UNIT = 0.056444

_MAX_JOINTS = 1000
_MAX_FRAMES = 10_000_000
_POSITION = {b"Xposition": 0, b"Yposition": 1, b"Zposition": 2}
_ROTATION = {b"Xrotation": 0, b"Yrotation": 1, b"Zrotation": 2}


@dataclasses.dataclass(frozen=True)
class Node:
    """One joint or end site: name, index of its parent (-1: root), offset (3,), channels in file order."""

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
        frame_time: seconds between frames.
        motion: (F, channels) float64 in file order; angles in degrees.
    """

    path: Path
    nodes: tuple[Node, ...]
    frame_time: float
    motion: np.ndarray

    def positions(self) -> np.ndarray:
        """Return the global positions of all nodes, (F, nodes, 3) in file units (forward kinematics)."""
        frames = len(self.motion)
        places = np.empty((frames, len(self.nodes), 3))
        turns = np.empty((frames, len(self.nodes), 3, 3))
        column = 0
        for index, node in enumerate(self.nodes):
            shift = np.broadcast_to(node.offset, (frames, 3)).copy()
            turn = np.broadcast_to(np.eye(3), (frames, 3, 3))
            for channel in node.channels:
                values = self.motion[:, column]
                column += 1
                if channel in _POSITION:
                    # a joint's own position channels stand in the place of its offset
                    shift[:, _POSITION[channel]] = values
                else:
                    turn = turn @ axis_rotation(_ROTATION[channel], np.deg2rad(values))
            if node.parent < 0:
                places[:, index], turns[:, index] = shift, turn
            else:
                parent = turns[:, node.parent]
                places[:, index] = places[:, node.parent] + (parent @ shift[:, :, None])[:, :, 0]
                turns[:, index] = parent @ turn
        return places

    def joints(self, names: tuple[str, ...] = CMU_JOINTS) -> np.ndarray:
        """Return the positions of the named nodes, (F, len(names), 3) in file units.

        Raises:
            SkeletonError: the hierarchy lacks a name.
        """
        index = {node.name: i for i, node in enumerate(self.nodes)}
        absent = [name for name in names if name not in index]
        if absent:
            raise SkeletonError(
                self.path, f"the hierarchy lacks {', '.join(absent)}; it has {', '.join(list(index)[:40])}"
            )
        return self.positions()[:, [index[name] for name in names]]


def read_bvh(path: Path | str) -> Bvh:
    """Read a BVH file.

    Raises:
        SkeletonError: the file is missing, malformed or cut off; names the line.
    """
    with Lines(path) as lines:
        nodes = _hierarchy(lines)
        width = sum(len(node.channels) for node in nodes)
        frames, frame_time = _motion_header(lines)
        if frames * max(2 * width, 1) > lines.size:
            raise lines.error(f"{frames} frames of {width} numbers do not fit in {lines.size} bytes")
        motion = np.empty((frames, width))
        for frame in range(frames):
            motion[frame] = lines.numbers(
                lines.need(f"frame {frame + 1} of {frames}"), width, f"frame {frame + 1}"
            )
        while (rest := lines.read()) is not None:
            if rest.strip():
                raise lines.error(f"text after the last of {frames} frames: {shown(rest)}")
    return Bvh(Path(path), tuple(nodes), frame_time, motion)


def cmu_joints(path: Path | str, rate: float = 60.0) -> np.ndarray:
    """Read a CMU clip: the 25 NTU joints in metres, (F, 25, 3) float64, ``rate`` frames a second.

    The first frame, a T-pose added by the conversion, is dropped. Where the file's rate is a whole
    multiple of ``rate`` every n-th frame is kept, else frames are interpolated linearly.

    Raises:
        SkeletonError: as :func:`read_bvh`, or the hierarchy is not CMU's, or no frame is left.
    """
    bvh = read_bvh(path)
    joints = bvh.joints()[1:] * CMU_UNIT
    if not len(joints):
        raise SkeletonError(path, "no frame after the first, which is the added T-pose")
    ratio = 1.0 / (bvh.frame_time * rate)
    if ratio >= 0.99 and abs(ratio - round(ratio)) < 0.01:
        return joints[:: round(ratio)]
    seconds = (len(joints) - 1) * bvh.frame_time
    wanted = np.arange(int(seconds * rate + 1e-6) + 1) / (bvh.frame_time * rate)
    low = np.minimum(wanted.astype(int), len(joints) - 1)
    high = np.minimum(low + 1, len(joints) - 1)
    part = (wanted - low)[:, None, None]
    return joints[low] * (1 - part) + joints[high] * part


def _hierarchy(lines: Lines) -> list[Node]:
    _expect(lines, [b"HIERARCHY"])
    nodes: list[Node] = []
    open_nodes: list[int] = []  # a stack instead of recursion: a mangled file may nest without end
    heading = _words(lines, "ROOT")
    if len(heading) < 2 or heading[0] != b"ROOT":
        raise lines.error(f"expected ROOT and a name, found {shown(b' '.join(heading))}")
    while True:
        end_site = heading[:2] == [b"End", b"Site"]
        name = f"{nodes[open_nodes[-1]].name}_end" if end_site else _name(heading)
        if len(nodes) >= _MAX_JOINTS:
            raise lines.error(f"more than {_MAX_JOINTS} joints")
        _expect(lines, [b"{"])
        offset = _offset(lines)
        channels = () if end_site else _channels(lines)
        nodes.append(Node(name, open_nodes[-1] if open_nodes else -1, offset, channels))
        open_nodes.append(len(nodes) - 1)
        leaf = end_site
        while True:
            heading = _words(lines, "JOINT, End Site or }")
            if heading == [b"}"]:
                open_nodes.pop()
                leaf = False
                if not open_nodes:
                    return nodes
            elif not leaf and len(heading) >= 2 and heading[0] in (b"JOINT", b"End"):
                break
            else:
                raise lines.error(f"expected JOINT, End Site or }}, found {shown(b' '.join(heading))}")


def _name(heading: list[bytes]) -> str:
    return b" ".join(heading[1:]).decode("ascii", "backslashreplace")


def _words(lines: Lines, what: str) -> list[bytes]:
    while True:
        if words := lines.need(what).split():
            return words


def _expect(lines: Lines, words: list[bytes]) -> None:
    found = _words(lines, words[0].decode())
    if found != words:
        raise lines.error(f"expected {words[0].decode()}, found {shown(b' '.join(found))}")


def _offset(lines: Lines) -> np.ndarray:
    words = _words(lines, "OFFSET")
    if words[0] != b"OFFSET":
        raise lines.error(f"expected OFFSET, found {shown(b' '.join(words))}")
    return lines.numbers(b" ".join(words[1:]), 3, "OFFSET")


def _channels(lines: Lines) -> tuple[bytes, ...]:
    words = _words(lines, "CHANNELS")
    if words[0] != b"CHANNELS" or len(words) < 2:
        raise lines.error(f"expected CHANNELS, found {shown(b' '.join(words))}")
    count = lines.whole(words[1], "the number of channels", 0, 6)
    names = tuple(words[2:])
    unknown = [name for name in names if name not in _POSITION and name not in _ROTATION]
    if len(names) != count or unknown or len(set(names)) != count:
        raise lines.error(
            f"expected {count} different channels of Xposition … Zrotation, found {shown(b' '.join(names))}"
        )
    return names


def _motion_header(lines: Lines) -> tuple[int, float]:
    _expect(lines, [b"MOTION"])
    words = _words(lines, "Frames:")
    if words[0] != b"Frames:" or len(words) != 2:
        raise lines.error(f"expected 'Frames:' and a number, found {shown(b' '.join(words))}")
    frames = lines.whole(words[1], "the number of frames", 0, _MAX_FRAMES)
    words = _words(lines, "Frame Time:")
    if words[:2] != [b"Frame", b"Time:"]:
        raise lines.error(f"expected 'Frame Time:' and a number, found {shown(b' '.join(words))}")
    frame_time = float(lines.numbers(b" ".join(words[2:]), 1, "the frame time")[0])
    if not 1e-4 <= frame_time <= 10:
        raise lines.error(f"the frame time is {frame_time} seconds; allowed: 0.0001 to 10")
    return frames, frame_time
