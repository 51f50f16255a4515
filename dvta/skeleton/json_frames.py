"""Frames as JSON, one a line: lists of joints or objects with x, y and z, as pose estimators print them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from dvta.errors import DataError
from dvta.skeleton.sequences import JOINTS

#: names of the joints in an object, those in metres first
KEYS = (
    *("joints", "pose_world_landmarks", "poseWorldLandmarks", "worldLandmarks", "world_landmarks"),
    *("pose_landmarks", "poseLandmarks", "landmarks", "keypoints", "skeleton", "bodies"),
)
MAX_BODIES = 32
_FORMS = (
    f"a list of {', '.join(map(str, JOINTS))} joints [x, y, z] or {{x, y, z}}, a list of such bodies, an object that has "
    f"them as {', '.join(KEYS[:3])} …, or null where nobody is seen"
)


def joints_of(line: bytes, joints: int | None = None) -> np.ndarray:
    """Return the joints (M, V, C) of a line, one body of zeros where nobody is seen.

    Args:
        joints: V of the lines before, None where nobody was seen yet.

    Raises:
        DataError: the line is no such JSON, or has another number of joints.
    """
    try:
        value = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise DataError(f"no readable JSON ({error})") from error
    if isinstance(value, dict):
        name = next((key for key in KEYS if key in value), None)
        if name is None:
            raise DataError(f"has {', '.join(map(str, list(value)[:8])) or 'nothing'}; allowed: {_FORMS}")
        value = value[name]
    # MediaPipe's older interface wraps the list once more
    if isinstance(value, dict) and isinstance(value.get("landmark"), list):
        value = value["landmark"]
    if value is None or value == [] or value == [[]]:
        return np.zeros((1, joints or JOINTS[0], 3), np.float32)
    if not isinstance(value, list):
        raise DataError(f"has no list of joints; allowed: {_FORMS}")
    bodies = [value] if _is_joint(value[0]) else value
    if len(bodies) > MAX_BODIES:
        raise DataError(f"{len(bodies)} bodies; allowed: up to {MAX_BODIES}")
    found = [_body(body) for body in bodies]
    shapes = {body.shape for body in found}
    count = found[0].shape[0]
    if len(shapes) != 1 or count not in JOINTS or (joints is not None and count != joints):
        allowed = joints or ", ".join(map(str, JOINTS))
        sizes = ", ".join(sorted({str(body.shape[0]) for body in found}))
        raise DataError(f"{sizes} joints; allowed: {allowed}, alike for all bodies and lines")
    return np.stack(found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key in found if sum(key == other for other, _ in pairs) > 1)
        raise DataError(f"has {twice[:40]!r} twice in one object; allowed: once")
    return found


def _is_joint(value: Any) -> bool:
    if isinstance(value, dict):
        return "x" in value
    return isinstance(value, list) and bool(value) and not isinstance(value[0], (list, dict))


def _body(body: Any) -> np.ndarray:
    if isinstance(body, dict):
        body = next((body[key] for key in KEYS if key in body), body.get("landmark"))
    if not isinstance(body, list) or not all(_is_joint(joint) for joint in body):
        raise DataError(f"has a body that is no list of joints; allowed: {_FORMS}")
    rows: list[list[float]] = []
    for number, joint in enumerate(body, start=1):
        place = (
            [joint.get(axis) for axis in "xyz" if axis in "xy" or axis in joint]
            if isinstance(joint, dict)
            else joint
        )
        # no camera sees a million; this also refuses NaN, infinity and whole numbers that no float holds
        good = all(isinstance(x, (int, float)) and not isinstance(x, bool) and abs(x) < 1e6 for x in place)
        if len(place) not in (2, 3) or not good:
            raise DataError(f"joint {number} is {str(place)[:60]}; allowed: two or three finite numbers")
        if rows and len(place) != len(rows[0]):
            raise DataError(
                f"joint {number} has {len(place)} numbers, those before {len(rows[0])}; allowed: as many in all"
            )
        rows.append([*map(float, place)])
    found = np.array(rows, np.float32).reshape(len(rows), -1) if rows else np.zeros((0, 3), np.float32)
    return np.pad(found, ((0, 0), (0, 3 - found.shape[1])))
