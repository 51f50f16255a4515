"""Writers of small raw recordings in every format, for the reader tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_ntu(
    path: Path, frames: list[list[np.ndarray]], *, first_id: int = 72057594037931101, newline: bool = True
) -> Path:
    """Write a ``.skeleton`` file; each frame is a list of (25, 3) bodies."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for number, body in enumerate(bodies):
            lines += [f"{first_id + number} 0 1 1 1 1 0 0.01 -0.02 2", "25"]
            lines += [
                f"{x!r} {y!r} {z!r} 277.1 191.6 1036.2 519.2 0.2 -0.1 0.9 0.04 2"
                for x, y, z in np.asarray(body, float).tolist()
            ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + ("\n" if newline else ""), encoding="ascii")
    return path


def write_pku(folder: Path, stem: str, positions: np.ndarray, labels: list[tuple[int, int, int]]) -> Path:
    """Write a recording (F, 2, 25, 3) and its label file; labels are (class from 1, first, last)."""
    recording = folder / "PKU_Skeleton_Renew" / f"{stem}.txt"
    table = folder / "Train_Label_PKU_final" / f"{stem}.txt"
    for path in (recording, table):
        path.parent.mkdir(parents=True, exist_ok=True)
    rows = positions.reshape(len(positions), 150).tolist()
    recording.write_text("\n".join(" ".join(map(repr, row)) for row in rows) + "\n", encoding="ascii")
    table.write_text("".join(f"{a},{first},{last},2\n" for a, first, last in labels), encoding="ascii")
    return recording


def write_bvh(path: Path, motion: np.ndarray, frame_time: float = 1 / 120) -> Path:
    """Write a hierarchy of a root and one joint with an end site; motion is (F, 9) in file units."""
    head = (
        "HIERARCHY\nROOT Hips\n{\n\tOFFSET 0 0 0\n"
        "\tCHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation\n"
        "\tJOINT Spine\n\t{\n\t\tOFFSET 0 2 0\n\t\tCHANNELS 3 Zrotation Yrotation Xrotation\n"
        "\t\tEnd Site\n\t\t{\n\t\t\tOFFSET 1 0 0\n\t\t}\n\t}\n}\n"
    )
    rows = "\n".join(" ".join(map(repr, row)) for row in motion.tolist())
    path.write_text(
        f"{head}MOTION\nFrames: {len(motion)}\nFrame Time: {frame_time}\n{rows}\n", encoding="ascii"
    )
    return path


def write_split_list(path: Path, train: list[str], test: list[str]) -> Path:
    """Write a ``cross-subject.txt``."""
    path.write_text(
        f"Training videos: \n{', '.join(train)}, \nValidataion videos: \n{', '.join(test)}\n",
        encoding="ascii",
    )
    return path


def walking(frames: int, seed: int = 0) -> np.ndarray:
    """Return (F, 25, 3) smooth positions of one body, a couple of metres from the camera."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(size=(25, 3)) * 0.3 + (0, 0, 3)
    drift = np.cumsum(rng.normal(size=(frames, 1, 3)) * 0.01, 0)
    return np.round(pose + drift + rng.normal(size=(frames, 25, 3)) * 0.01, 6)
