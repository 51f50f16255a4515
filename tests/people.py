"""BVH files of one person under the joint names of several makers, for tests of joint maps and data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

#: part, the part above, metres from it; a person of 1.70 m from head to ankles in a T-pose
_BODY = (
    ("hips", "", (0, 0, 0)), ("spine", "hips", (0, 0.10, 0)), ("chest", "spine", (0, 0.15, 0)),
    ("upper", "chest", (0, 0.15, 0)), ("neck", "upper", (0, 0.15, 0)), ("head", "neck", (0, 0.10, 0)),
    ("top", "head", (0, 0.18, 0)),
    ("collar", "upper", (0.06, 0.10, 0)), ("shoulder", "collar", (0.12, 0, 0)), ("elbow", "shoulder", (0.28, 0, 0)),
    ("wrist", "elbow", (0.25, 0, 0)), ("tip", "wrist", (0.18, 0, 0)),
    ("hip", "hips", (0.10, -0.05, 0)), ("knee", "hip", (0, -0.42, 0)), ("ankle", "knee", (0, -0.40, 0)),
    ("toe", "ankle", (0, -0.07, 0.13)), ("toes", "toe", (0, 0, 0.06)),
)  # fmt: skip
_SIDED = ("collar", "shoulder", "elbow", "wrist", "tip", "hip", "knee", "ankle", "toe", "toes")
_ENDS = ("top", "tip", "toes")

_HIK = {
    "hips": "Hips", "spine": "Spine", "chest": "Spine1", "upper": "Spine2", "neck": "Neck", "head": "Head", "collar": "{S}Shoulder",
    "shoulder": "{S}Arm", "elbow": "{S}ForeArm", "wrist": "{S}Hand", "hip": "{S}UpLeg", "knee": "{S}Leg", "ankle": "{S}Foot",
    "toe": "{S}ToeBase",
}  # fmt: skip
MAKERS: dict[str, dict[str, str]] = {
    "mixamo": _HIK,
    "motionbuilder": _HIK,
    "lafan1": {**_HIK, "toe": "{S}Toe"},
    "rokoko": {**_HIK, "hip": "{S}Thigh", "knee": "{S}Shin", "toe": "{S}Toe"},
    "xsens": {
        "hips": "Hips", "spine": "Chest", "chest": "Chest2", "upper": "Chest4", "neck": "Neck", "head": "Head", "collar": "{S}Collar",
        "shoulder": "{S}Shoulder", "elbow": "{S}Elbow", "wrist": "{S}Wrist", "hip": "{S}Hip", "knee": "{S}Knee",
        "ankle": "{S}Ankle", "toe": "{S}Toe",
    },
    "bandai": {
        "hips": "Hips", "spine": "Spine", "chest": "Chest", "upper": "Upper", "neck": "Neck", "head": "Head", "collar": "Shoulder_{C}",
        "shoulder": "UpperArm_{C}", "elbow": "LowerArm_{C}", "wrist": "Hand_{C}", "hip": "UpperLeg_{C}", "knee": "LowerLeg_{C}",
        "ankle": "Foot_{C}", "toe": "Toes_{C}",
    },
    "smpl": {
        "hips": "Pelvis", "spine": "Spine1", "chest": "Spine2", "upper": "Spine3", "neck": "Neck", "head": "Head",
        "collar": "{C}_Collar", "shoulder": "{C}_Shoulder", "elbow": "{C}_Elbow", "wrist": "{C}_Wrist", "hip": "{C}_Hip",
        "knee": "{C}_Knee", "ankle": "{C}_Ankle", "toe": "{C}_Foot",
    },
    "biovision": {
        "hips": "Hips", "spine": "Low", "chest": "Chest", "upper": "High", "neck": "Neck", "head": "Head", "collar": "{S}Collar",
        "shoulder": "{S}UpArm", "elbow": "{S}LowArm", "wrist": "{S}Hand", "hip": "{S}UpLeg", "knee": "{S}LowLeg",
        "ankle": "{S}Foot", "toe": "{S}Toe",
    },
    "daz": {
        "hips": "hip", "spine": "abdomen", "chest": "chest", "upper": "high", "neck": "neck", "head": "head", "collar": "{c}Collar",
        "shoulder": "{c}Shldr", "elbow": "{c}ForeArm", "wrist": "{c}Hand", "hip": "{c}Thigh", "knee": "{c}Shin", "ankle": "{c}Foot",
        "toe": "{c}Toe1",
    },
}  # fmt: skip


def write_person(
    path: Path, maker: str, *, unit: float = 0.01, fps: float = 60, frames: int = 180, prefix: str = "",
    gesture: str = "wave", seed: int = 0, tips: bool = True,
) -> Path:  # fmt: skip
    """Write a person who makes a gesture: ``wave``, ``kick`` or ``bow``.

    Args:
        path: the file. maker: whose joint names. unit: metres in the file's unit.
        fps: frames a second. frames: their number. prefix: before every name.
        gesture: what moves. seed: of tempo, size and sway. tips: whether the hands have end sites.
    """
    rng = np.random.default_rng(seed)
    seconds = np.arange(frames) / fps
    swing = np.sin(2 * np.pi * rng.uniform(0.8, 1.2) * seconds + rng.uniform(0, 6))
    moving = {
        "wave": {"right shoulder": 40 * swing - 20, "right elbow": 60 * swing},
        "kick": {"right hip": 60 * swing, "right knee": 30 * swing + 30},
        "bow": {"chest": 35 * swing + 20, "neck": 20 * swing},
    }[gesture]
    names = MAKERS[maker]
    lines, columns = ["HIERARCHY"], [rng.normal(0, 0.01, (frames, 3)) / unit + (0, 1 / unit, 0)]

    def node(part: str, side: str, offset: tuple[float, ...], depth: int) -> None:
        mirrored = np.array(offset) * ((-1, 1, 1) if side == "right" else (1, 1, 1)) / unit
        tab, place = "\t" * depth, " ".join(map(repr, mirrored.tolist()))
        if part in _ENDS:
            lines.extend([f"{tab}End Site", f"{tab}{{", f"{tab}\tOFFSET {place}", f"{tab}}}"])
            return
        letters = {"{S}": side.title(), "{C}": side[:1].upper(), "{c}": side[:1]}
        name = names[part]
        for mark, text in letters.items():
            name = name.replace(mark, text)
        lines.extend(
            [f"{tab}{'JOINT' if depth else 'ROOT'} {prefix}{name}", f"{tab}{{", f"{tab}\tOFFSET {place}"]
        )
        position = "" if depth else "Xposition Yposition Zposition "
        count = 3 if depth else 6
        lines.append(f"{tab}\tCHANNELS {count} {position}Zrotation Yrotation Xrotation")
        turn = rng.normal(0, 0.3, (frames, 3))
        turn[:, 2] += moving.get(f"{side} {part}".strip(), 0)
        columns.append(turn)
        for child, above, step in _BODY:
            if above != part or (child == "tip" and not tips):
                continue
            for other in ("left", "right") if child in _SIDED and not side else (side,):
                node(child, other, step, depth + 1)
        lines.append(f"{tab}}}")

    node("hips", "", (0, 0, 0), 0)
    rows = "\n".join(" ".join(f"{x:.6f}" for x in row) for row in np.concatenate(columns, 1))
    head = "\n".join(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"{head}\nMOTION\nFrames: {frames}\nFrame Time: {1 / fps:.8f}\n{rows}\n", encoding="ascii"
    )
    return path
