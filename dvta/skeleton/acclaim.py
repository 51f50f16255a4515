"""Acclaim skeleton (``.asf``) and motion (``.amc``) files, CMU's native format, to 25 NTU joints."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from dvta.skeleton.lines import Lines, SkeletonError, shown

#: the bones whose ends are the NTU joints, in NTU order; the first is the root itself
CMU_BONES = (
    *("root", "upperback", "lowerneck", "head", "lclavicle", "lhumerus", "lradius", "lhand"),
    *("rclavicle", "rhumerus", "rradius", "rhand", "lhipjoint", "lfemur", "ltibia", "ltoes"),
    *("rhipjoint", "rfemur", "rtibia", "rtoes", "thorax", "lfingers", "lthumb", "rfingers", "rthumb"),
)
#: frames a second of CMU's recordings; the files do not say
CMU_RATE = 120.0

_MAX_BONES = 1000
_MAX_FRAMES = 10_000_000
_INCH = 0.0254
_AXES = {"rx": 0, "ry": 1, "rz": 2}


@dataclasses.dataclass(frozen=True)
class Bone:
    """A bone: its parent's name, vector from its start to its end (3,), axis rotation (3, 3), freedoms."""

    parent: str
    vector: np.ndarray
    axis: np.ndarray
    freedoms: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Asf:
    """A skeleton: bones by name, parents before children (the root is not among them); metres in a unit."""

    path: Path
    bones: dict[str, Bone]
    unit: float


def read_asf(path: Path | str) -> Asf:
    """Read a skeleton.

    Raises:
        SkeletonError: the file is missing, malformed or cut off; names the line.
    """
    raw: dict[str, dict[str, list[bytes]]] = {}
    parents: dict[str, str] = {}
    unit, section = _INCH, b""
    with Lines(path) as lines:
        while (line := lines.read()) is not None:
            words = line.split()
            if not words or words[0].startswith(b"#"):
                continue
            if words[0].startswith(b":"):
                section = words[0]
            elif section == b":units" and words[0] == b"length":
                length = float(lines.numbers(b" ".join(words[1:]), 1, "the length unit")[0])
                if length <= 0:
                    raise lines.error(f"the length unit is {length}; allowed: a positive number")
                unit = _INCH / length
            elif section == b":bonedata" and words == [b"begin"]:
                name, fields = _bone(lines)
                if name in raw or len(raw) >= _MAX_BONES:
                    raise lines.error(f"bone {name!r} stands twice, or more than {_MAX_BONES} bones")
                raw[name] = fields
            elif section == b":hierarchy" and words not in ([b"begin"], [b"end"]):
                names = [word.decode("ascii", "backslashreplace") for word in words]
                for child in names[1:]:
                    if child not in raw or child in parents:
                        raise lines.error(f"bone {child!r} is not in :bonedata, or has two parents")
                    if names[0] != "root" and names[0] not in parents:
                        raise lines.error(f"bone {names[0]!r} has children before it has a parent")
                    parents[child] = names[0]
        if not parents:
            raise SkeletonError(
                path, "the file ends without bones; this is no Acclaim skeleton", lines.number + 1
            )
        bones = {name: _built(lines, name, parent, raw[name]) for name, parent in parents.items()}
    return Asf(Path(path), bones, unit)


def read_amc(path: Path | str, skeleton: Asf) -> dict[str, np.ndarray]:
    """Read a motion: bone name to (F, freedoms) float64, ``root`` to (F, 6), angles in degrees.

    Raises:
        SkeletonError: the file is missing, malformed, cut off, or of another skeleton; names the line.
    """
    widths = {"root": 6, **{n: len(b.freedoms) for n, b in skeleton.bones.items() if b.freedoms}}
    frames: list[dict[str, np.ndarray]] = []
    with Lines(path) as lines:
        while (line := lines.read()) is not None:
            words = line.split()
            if not words or words[0][:1] in (b"#", b":"):
                continue
            if len(words) == 1:
                if frames and len(frames[-1]) != len(widths):
                    raise lines.error(f"frame {len(frames)} has {len(frames[-1])} of {len(widths)} bones")
                lines.whole(words[0], "the frame number", len(frames) + 1, min(len(frames) + 1, _MAX_FRAMES))
                frames.append({})
                continue
            name = words[0].decode("ascii", "backslashreplace")
            if not frames or name not in widths or name in frames[-1]:
                raise lines.error(f"{shown(words[0])} stands twice, before a frame, or is no moving bone")
            frames[-1][name] = lines.numbers(b" ".join(words[1:]), widths[name], name)
        if not frames or len(frames[-1]) != len(widths):
            raise SkeletonError(path, "the file ends within a frame", lines.number + 1)
    return {name: np.stack([frame[name] for frame in frames]) for name in widths}


def acclaim_joints(
    motion: Path | str, skeleton: Path | str | None = None, rate: float = 60.0, recorded: float = CMU_RATE
) -> np.ndarray:
    """Read a CMU clip: the 25 NTU joints in metres, (F, 25, 3) float64, ``rate`` frames a second.

    Args:
        motion: the ``.amc`` file.
        skeleton: the ``.asf`` file; None looks beside the motion for the subject's (``09_01.amc``: ``09.asf``).
        rate: frames a second wanted; ``recorded`` over it has to be whole.
        recorded: frames a second in the file.

    Raises:
        SkeletonError: a file is missing or malformed, or the skeleton lacks a bone of the 25 joints.
    """
    motion = Path(motion)
    asf = read_asf(skeleton or motion.with_name(motion.stem.rpartition("_")[0] + ".asf"))
    absent = [bone for bone in CMU_BONES[1:] if bone not in asf.bones]
    if absent:
        raise SkeletonError(asf.path, f"the skeleton lacks {', '.join(absent)}")
    values = {name: rows[:: round(recorded / rate)] for name, rows in read_amc(motion, asf).items()}
    root = values["root"]
    ends = {"root": root[:, :3]}
    turns = {"root": _rotation(root[:, 3:], ("rx", "ry", "rz"))}
    for name, bone in asf.bones.items():
        turn = turns[bone.parent]
        if bone.freedoms:
            turn = turn @ bone.axis @ _rotation(values[name], bone.freedoms) @ bone.axis.T
        turns[name] = turn
        ends[name] = ends[bone.parent] + turn @ bone.vector
    return np.stack([ends[bone] for bone in CMU_BONES], 1) * asf.unit


def _bone(lines: Lines) -> tuple[str, dict[str, list[bytes]]]:
    fields: dict[str, list[bytes]] = {}
    while (words := lines.need("the end of a bone").split()) != [b"end"]:
        # further lines of a bone's limits start with a bracket
        if words and not words[0].startswith(b"("):
            fields[words[0].decode("ascii", "backslashreplace")] = words[1:]
    if not {"name", "direction", "length", "axis"} <= fields.keys() or len(fields["name"]) != 1:
        raise lines.error("a bone needs name, direction, length and axis")
    return fields["name"][0].decode("ascii", "backslashreplace"), fields


def _built(lines: Lines, name: str, parent: str, fields: dict[str, list[bytes]]) -> Bone:
    direction = lines.numbers(b" ".join(fields["direction"]), 3, f"direction of {name}")
    length = lines.numbers(b" ".join(fields["length"]), 1, f"length of {name}")
    if fields["axis"][-1:] != [b"XYZ"]:
        raise lines.error(
            f"axis of {name}: {shown(b' '.join(fields['axis']))}; allowed: three angles and XYZ"
        )
    axis = lines.numbers(b" ".join(fields["axis"][:-1]), 3, f"axis of {name}")
    freedoms = tuple(word.decode("ascii", "backslashreplace") for word in fields.get("dof", []))
    if not set(freedoms) <= _AXES.keys():
        raise lines.error(f"dof of {name}: {' '.join(freedoms)}; allowed: rx, ry, rz")
    return Bone(parent, direction * length, _rotation(axis[None], ("rx", "ry", "rz"))[0], freedoms)


def _rotation(degrees: np.ndarray, freedoms: tuple[str, ...]) -> np.ndarray:
    """Return (F, 3, 3): rotations about the fixed axes in the order of the freedoms."""
    turn = np.broadcast_to(np.eye(3), (len(degrees), 3, 3))
    for column, freedom in enumerate(freedoms):
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
