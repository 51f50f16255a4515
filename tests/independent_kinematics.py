"""Forward kinematics written apart from the product, over SciPy's rotations, to compare with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation


def bvh_positions(path: Path) -> dict[str, np.ndarray]:
    """Return each node's (F, 3) positions; one chain or tree, one statement a line, no leniency."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    motion = lines.index(["MOTION"])
    values = np.array([[float(x) for x in line] for line in lines[motion + 3 :]])
    stack: list[tuple[str, np.ndarray, Rotation]] = []
    found: dict[str, np.ndarray] = {}
    column, name, offset = 0, "", np.zeros(3)

    def enter(channels: list[str]) -> None:
        nonlocal column
        taken = values[:, column : column + len(channels)]
        column += len(channels)
        place = np.tile(offset, (len(values), 1))
        turn = Rotation.identity()
        for each, channel in zip(taken.T, channels, strict=True):
            if channel.endswith("position"):
                place[:, "XYZ".index(channel[0])] = each
            else:
                turn = turn * Rotation.from_euler(channel[0], each[:, None], degrees=True)
        if stack:
            _, above, parent = stack[-1]
            place, turn = above + parent.apply(place), parent * turn
        found[name] = place
        stack.append((name, place, turn))

    for words in lines[:motion]:
        if words[0] in ("ROOT", "JOINT"):
            name = words[1]
        elif words[0] == "End":
            name = f"{stack[-1][0]}_end"
        elif words[0] == "OFFSET":
            offset = np.array([float(x) for x in words[1:]])
            if name.endswith("_end"):
                enter([])
        elif words[0] == "CHANNELS":
            enter(words[2:])
        elif words[0] == "}":
            stack.pop()
    return found


def acclaim_positions(asf: Path, amc: Path) -> dict[str, np.ndarray]:
    """Return each bone end's (F, 3) positions in file units, by the header, as homogeneous matrices."""
    header: dict[str, list[str]] = {}
    bones: dict[str, dict[str, list[str]]] = {}
    children: list[list[str]] = []
    section, bone = "", {}
    for line in asf.read_text().splitlines():
        words = line.split()
        if words[0].startswith(":"):
            section = words[0]
        elif section in (":units", ":root"):
            header[words[0]] = words[1:]
        elif section == ":bonedata":
            if words[0] == "begin":
                bone = {}
            elif words[0] == "end":
                bones[bone["name"][0]] = bone
            else:
                bone[words[0]] = words[1:]
        elif section == ":hierarchy" and words[0] not in ("begin", "end"):
            children.append(words)
    degrees = header.get("angle", ["deg"])[0] == "deg"

    def fixed(angles: list[float], order: str, in_degrees: bool) -> np.ndarray:
        """Return the (4, 4) rotation about fixed axes; the angles stand in the order of the axes."""
        matrix = np.eye(4)
        if order:
            matrix[:3, :3] = Rotation.from_euler(order.lower(), angles, degrees=in_degrees).as_matrix()
        return matrix

    def axis(angles: list[str], order: str) -> np.ndarray:
        by_axis = dict(zip("XYZ", map(float, angles), strict=True))
        return fixed([by_axis[a] for a in order.upper()], order, degrees)

    def moved(vector: np.ndarray) -> np.ndarray:
        matrix = np.eye(4)
        matrix[:3, 3] = vector
        return matrix

    frames: list[dict[str, list[float]]] = []
    motion_degrees = degrees
    for line in amc.read_text().splitlines():
        words = line.split()
        if words[0] in (":RADIANS", ":DEGREES"):
            motion_degrees = words[0] == ":DEGREES"
        elif words[0][0] in "#:":
            continue
        elif len(words) == 1:
            frames.append({})
        else:
            frames[-1][words[0]] = [float(x) for x in words[1:]]

    def local(name: str, values: list[float], freedoms: list[str]) -> np.ndarray:
        turning = [
            (f[1].upper(), v) for f, v in zip(freedoms, values, strict=True) if f.upper().startswith("R")
        ]
        return fixed([v for _, v in turning], "".join(a for a, _ in turning), motion_degrees)

    ends: dict[str, list[np.ndarray]] = {}
    for frame in frames:
        order = header["order"]
        shift = dict(zip([o.upper() for o in order], frame["root"], strict=True))
        start = moved(np.array([float(x) for x in header["position"]])) @ axis(
            header["orientation"], header["axis"][0]
        )
        world = {
            "root": start
            @ moved(np.array([shift["TX"], shift["TY"], shift["TZ"]]))
            @ local("root", frame["root"], order)
        }
        ends.setdefault("root", []).append(world["root"][:3, 3])
        for parent, *names in children:
            for name in names:
                fields = bones[name]
                frame_of_bone = axis(fields["axis"][:3], fields["axis"][3])
                turn = np.eye(4)
                if "dof" in fields:
                    turn = (
                        frame_of_bone @ local(name, frame[name], fields["dof"]) @ np.linalg.inv(frame_of_bone)
                    )
                vector = np.array([float(x) for x in fields["direction"]]) * float(fields["length"][0])
                world[name] = world[parent] @ turn @ moved(vector)
                ends.setdefault(name, []).append(world[name][:3, 3])
    return {name: np.stack(rows) for name, rows in ends.items()}
