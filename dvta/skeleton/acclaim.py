"""Acclaim skeleton (``.asf``) and motion (``.amc``) files, CMU's native format."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dvta.limits import limits
from dvta.skeleton.lines import Lines, SkeletonError, shown

#: frames a second of CMU's recordings; the files do not say
CMU_RATE = 120.0

_INCH = 0.0254
_AXES = {"rx": 0, "ry": 1, "rz": 2}
_MOVES = {"tx": 0, "ty": 1, "tz": 2}
_LENGTH = "l"
_DEGREES, _RADIANS = (b"deg", b"degree"), (b"rad", b"radian")


class _Field(NamedTuple):
    """What stands behind a keyword, and in which line."""

    words: list[bytes]
    line: int = 0


@dataclasses.dataclass(frozen=True)
class Bone:
    """A bone: its parent's name, vector from its start to its end (3,), axis rotation (3, 3), freedoms."""

    parent: str
    vector: np.ndarray
    axis: np.ndarray
    freedoms: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Root:
    """The root: the order of its channels, and the position (3,) and rotation (3, 3) that it starts from."""

    order: tuple[str, ...] = ("tx", "ty", "tz", "rx", "ry", "rz")
    position: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))
    orientation: np.ndarray = dataclasses.field(default_factory=lambda: np.eye(3))


@dataclasses.dataclass(frozen=True)
class Asf:
    """A skeleton.

    Attributes:
        path: the file.
        bones: by name, parents before children; the root is not among them.
        unit: metres in a unit, as ``:units`` says.
        root: the root.
        degrees: whether the header's and, unless they say otherwise, motions' angles are degrees.
    """

    path: Path
    bones: dict[str, Bone]
    unit: float
    root: Root
    degrees: bool

    @property
    def names(self) -> list[str]:
        """The root and the bones; the node of a bone is its end."""
        return ["root", *self.bones]

    @property
    def depths(self) -> list[int]:
        """How many bones stand above each node."""
        found = {"root": 0}
        for name, bone in self.bones.items():
            found[name] = found[bone.parent] + 1
        return list(found.values())


def read_asf(path: Path | str) -> Asf:
    """Read a skeleton as its header says: units, angles, the root's order and start, axes in any order.

    Raises:
        SkeletonError: the file is missing, malformed, cut off or beyond the limits; names the line.
    """
    with Lines(path) as lines:
        return _AsfReader(lines).read()


def read_amc(path: Path | str, skeleton: Asf) -> dict[str, np.ndarray]:
    """Read a motion: node name to (F, channels) float64 in the skeleton's order, angles in degrees.

    Frames may be numbered from any number, one by one.

    Raises:
        SkeletonError: the file is missing, malformed, cut off, or of another skeleton; names the line.
    """
    freedoms = {
        "root": skeleton.root.order,
        **{n: b.freedoms for n, b in skeleton.bones.items() if b.freedoms},
    }
    frames: list[dict[str, np.ndarray]] = []
    stated: bool | None = None
    bounds, first = limits(), 0
    with Lines(path) as lines:
        while (line := lines.read()) is not None:
            words = line.split()
            if not words or words[0].startswith(b"#"):
                continue
            if words[0].startswith(b":"):
                said = _in_degrees(words[0][1:])
                if said is None and words[0][1:4].lower() in (b"deg", b"rad"):
                    raise lines.error(f"{shown(words[0])} is no unit of angles; allowed: :DEGREES, :RADIANS")
                if said is not None and stated not in (None, said):
                    raise lines.error("degrees and radians are both stated; allowed: one of them")
                stated = stated if said is None else said
                continue
            if len(words) == 1:
                if frames and len(frames[-1]) != len(freedoms):
                    raise lines.error(f"frame {len(frames)} has {len(frames[-1])} of {len(freedoms)} bones")
                if not frames:
                    first = lines.whole(words[0], "the first frame's number", -(2**31), 2**31)
                number = first + len(frames)
                lines.whole(words[0], "the frame number", number, number)
                if problem := bounds.exceeded("max_frames", len(frames) + 1, "frames"):
                    raise lines.error(problem)
                frames.append({})
                continue
            name = words[0].decode("utf-8", "backslashreplace")
            if not frames or name not in freedoms or name in frames[-1]:
                raise lines.error(f"{shown(words[0])} stands twice, before a frame, or is no moving bone")
            frames[-1][name] = lines.numbers(b" ".join(words[1:]), len(freedoms[name]), name)
        if not frames or len(frames[-1]) != len(freedoms):
            raise SkeletonError(path, "the file ends within a frame", lines.number + 1)
    found = {name: np.stack([frame[name] for frame in frames]) for name in freedoms}
    for name, values in found.items():
        turning = np.array([freedom in _AXES for freedom in freedoms[name]], bool)
        if name != "root" and values[:, ~turning].any():
            raise SkeletonError(path, f"bone {name} moves or stretches; only turning bones are supported", 1)
        if not (skeleton.degrees if stated is None else stated):
            values[:, turning] = np.rad2deg(values[:, turning])
    return found


def skeleton_of(motion: Path) -> Path:
    """Return the skeleton file beside a motion: ``walk.asf`` of ``walk.amc``, else ``09.asf`` of ``09_01.amc``.

    Raises:
        SkeletonError: there is none.
    """
    stems = [motion.stem]
    while "_" in stems[-1]:
        stems.append(stems[-1].rpartition("_")[0])
    wanted = [f"{stem}.asf" for stem in stems if stem]
    beside = (
        {path.name.lower(): path for path in sorted(motion.parent.iterdir())}
        if motion.parent.is_dir()
        else {}
    )
    for name in wanted:
        if name.lower() in beside:
            return beside[name.lower()]
    only = [path for name, path in beside.items() if name.endswith(".asf")]
    if len(only) == 1:
        return only[0]
    raise SkeletonError(motion, f"no skeleton beside it; expected {' or '.join(wanted)}")


def positions(asf: Asf, motion: dict[str, np.ndarray]) -> np.ndarray:
    """Return the ends of the root and all bones, (F, 1 + bones, 3) in file units (forward kinematics)."""
    order, root = asf.root.order, motion["root"]
    frames = len(root)
    moved = np.zeros((frames, 3))
    for column, channel in enumerate(order):
        if channel in _MOVES:
            moved[:, _MOVES[channel]] = root[:, column]
    # what the root starts from is a frame of its own, in which it then moves and turns
    start = asf.root.orientation
    ends = {"root": asf.root.position + moved @ start.T}
    turns = {"root": start @ _turned(root, order)}
    for name, bone in asf.bones.items():
        turn = turns[bone.parent]
        vector = bone.vector
        if bone.freedoms:
            turn = turn @ bone.axis @ _turned(motion[name], bone.freedoms) @ bone.axis.T
        turns[name] = turn
        ends[name] = ends[bone.parent] + turn @ vector
    return np.stack([ends[name] for name in asf.names], 1)


class _AsfReader:
    """Reads the sections of a skeleton file."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._limits = limits()
        self._raw: dict[str, dict[str, _Field]] = {}
        self._parents: dict[str, str] = {}
        self._depths = {"root": 0}
        self._root: dict[str, _Field] = {}
        self._given_units: dict[str, _Field] = {}
        self._unit, self._degrees = _INCH, True

    def read(self) -> Asf:
        """Return the skeleton."""
        lines, section = self._lines, b""
        while (line := lines.read()) is not None:
            words = line.split()
            if not words or words[0].startswith(b"#"):
                continue
            if words[0].startswith(b":"):
                section = words[0].lower()
            elif section == b":units":
                self._units(words)
            elif section == b":root":
                self._note(self._root, words, "in :root")
            elif section == b":bonedata" and words[0].lower() == b"begin":
                self._bone()
            elif section == b":hierarchy" and words[0].lower() not in (b"begin", b"end"):
                self._children([word.decode("utf-8", "backslashreplace") for word in words])
        if not self._parents:
            raise SkeletonError(
                lines.path, "the file ends without bones; this is no Acclaim skeleton", lines.number + 1
            )
        bones = {name: self._built(name, parent) for name, parent in self._parents.items()}
        return Asf(lines.path, bones, self._unit, self._started(), self._degrees)

    def _note(self, fields: dict[str, _Field], words: list[bytes], where: str) -> None:
        key = words[0].decode("ascii", "backslashreplace").lower()
        if key in fields:
            raise self._lines.error(f"{key} stands twice {where}; allowed: once")
        fields[key] = _Field(words[1:], self._lines.number)

    def _units(self, words: list[bytes]) -> None:
        self._note(self._given_units, words, "in :units")
        kind = words[0].lower()
        if kind == b"length":
            length = float(self._lines.numbers(b" ".join(words[1:]), 1, "the length unit")[0])
            if length <= 0:
                raise self._lines.error(f"the length unit is {length}; allowed: a positive number")
            self._unit = _INCH / length
        elif kind == b"angle":
            name = b" ".join(words[1:])
            degrees = _in_degrees(name)
            if degrees is None:
                raise self._lines.error(f"the angle unit is {shown(name)}; allowed: deg, rad")
            self._degrees = degrees

    def _bone(self) -> None:
        lines, fields = self._lines, dict[str, _Field]()
        while (line := lines.need("the end of a bone").strip()).lower() != b"end":
            words = line.split()
            # further lines of a bone's limits start with a bracket
            if words and not words[0].startswith(b"("):
                if words[0].lower() == b"begin":
                    raise lines.error("a bone begins before the one above it ends")
                self._note(fields, words, "in a bone")
        if not {"name", "direction", "length", "axis"} <= fields.keys() or len(fields["name"].words) != 1:
            raise lines.error("a bone needs name, direction, length and axis")
        name = fields["name"].words[0].decode("utf-8", "backslashreplace")
        if name in self._raw or name == "root":
            raise lines.error(f"bone {name!r} stands twice")
        if problem := self._limits.exceeded("max_joints", len(self._raw) + 1, "bones"):
            raise lines.error(problem)
        self._raw[name] = fields

    def _children(self, names: list[str]) -> None:
        for child in names[1:]:
            if child not in self._raw or child in self._parents:
                raise self._lines.error(f"bone {child!r} is not in :bonedata, or has two parents")
            if names[0] not in self._depths:
                raise self._lines.error(f"bone {names[0]!r} has children before it has a parent")
            self._parents[child] = names[0]
            self._depths[child] = self._depths[names[0]] + 1
            problem = self._limits.exceeded("max_depth", self._depths[child], "bones one below the other")
            if problem:
                raise self._lines.error(problem)

    def _at(self, field: _Field) -> list[bytes]:
        """Return the words of a field; what is wrong with them is an error of its line."""
        self._lines.number = field.line
        return field.words

    def _numbers(self, field: _Field, count: int, what: str) -> np.ndarray:
        return self._lines.numbers(b" ".join(self._at(field)), count, what)

    def _built(self, name: str, parent: str) -> Bone:
        fields, axis = self._raw[name], self._raw[name]["axis"]
        direction = self._numbers(fields["direction"], 3, f"direction of {name}")
        length = self._numbers(fields["length"], 1, f"length of {name}")
        if length and not direction.any():
            raise self._lines.error(
                f"{name} has a length and no direction; allowed: a direction that is not 0 0 0"
            )
        dof = self._at(fields.get("dof", _Field([])))
        freedoms = tuple(word.decode("ascii", "backslashreplace").lower() for word in dof)
        allowed = (*_AXES, *_MOVES, _LENGTH)
        if not set(freedoms) <= set(allowed) or len(set(freedoms)) != len(freedoms):
            raise self._lines.error(
                f"dof of {name}: {' '.join(freedoms)}; allowed, once each: {', '.join(allowed)}"
            )
        angles, order = _Field(axis.words[:-1], axis.line), _Field(axis.words[-1:], axis.line)
        return Bone(parent, direction * length, self._axis(angles, order, f"axis of {name}"), freedoms)

    def _started(self) -> Root:
        fields, zeros = self._root, _Field([b"0"] * 3)
        given = self._at(fields.get("order", _Field([])))
        order = tuple(word.decode("ascii", "replace").lower() for word in given) or Root().order
        if not set(order) <= {*_MOVES, *_AXES} or len(set(order)) != len(order):
            raise self._lines.error(
                f"order of the root: {' '.join(order)}; allowed, once each: TX TY TZ RX RY RZ"
            )
        position = self._numbers(fields.get("position", zeros), 3, "position of the root")
        angles, axis = fields.get("orientation", zeros), fields.get("axis", _Field([b"XYZ"]))
        return Root(order, position, self._axis(angles, axis, "axis and orientation of the root"))

    def _axis(self, given: _Field, axes: _Field, what: str) -> np.ndarray:
        """Return the (3, 3) rotation of three angles and the order of their axes."""
        order = b" ".join(self._at(axes)).decode("ascii", "replace").lower()
        if sorted(order) != ["x", "y", "z"]:
            words = shown(b" ".join([*given.words, *axes.words]))
            raise self._lines.error(f"{what}: {words}; allowed: three angles and an order such as XYZ")
        angles = self._numbers(given, 3, what)
        degrees = angles if self._degrees else np.rad2deg(angles)
        # the angles stand in the order of x, y, z, whatever the order in which they are turned
        turned = degrees[["xyz".index(axis) for axis in order]]
        return _turned(turned[None], tuple(f"r{axis}" for axis in order))[0]


def _in_degrees(unit: bytes) -> bool | None:
    """Return whether a unit of angles is degrees, or None where it is neither degrees nor radians."""
    name = unit.lower().rstrip(b"s").rstrip(b".")
    return name in _DEGREES if name in (*_DEGREES, *_RADIANS) else None


def _turned(degrees: np.ndarray, freedoms: tuple[str, ...]) -> np.ndarray:
    """Return (F, 3, 3): rotations about the fixed axes in the order of the freedoms; other freedoms turn nothing."""
    turn = np.broadcast_to(np.eye(3), (len(degrees), 3, 3))
    for column, freedom in enumerate(freedoms):
        if freedom in _AXES:
            turn = axis_rotation(_AXES[freedom], np.deg2rad(degrees[:, column])) @ turn
    return turn


def axis_rotation(axis: int, angle: np.ndarray) -> np.ndarray:
    """Return the (F, 3, 3) rotations by (F,) radians about coordinate axis 0, 1 or 2."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.zeros((len(angle), 3, 3))
    turn[:, axis, axis] = 1
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turn[:, i, i] = turn[:, j, j] = cos
    turn[:, i, j], turn[:, j, i] = -sin, sin
    return turn
