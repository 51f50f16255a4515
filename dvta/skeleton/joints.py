"""Joint maps: which joints of a maker's skeleton stand for the 25 joints of NTU RGB+D."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from dvta.errors import DataError, OptionError, did_you_mean
from dvta.skeleton.graph import NTU_JOINTS
from dvta.texts import read_text
from dvta.yaml import load

#: the shipped maps; of two that fit equally well the earlier is taken
SHIPPED = (
    *("cmu_cgspeed", "cmu_acclaim", "mixamo", "motionbuilder", "lafan1", "rokoko", "xsens", "bandai"),
    *("smpl", "biovision", "daz"),
)
#: what stands in for a joint that a skeleton lacks; the order is that of filling
FILLED_FROM = {
    f"{side}_{joint}": f"{side}_{source}"
    for joint, source in (("hand", "wrist"), ("hand_tip", "hand"), ("thumb", "hand"), ("foot", "ankle"))
    for side in ("left", "right")
}
FIRST_FRAMES = ("keep", "drop", "auto")

_MAX_MAP_BYTES = 1 << 15
_MIXAMO = re.compile(r"mixamorig\d*[:_]?", re.IGNORECASE)
Mean = dict[str, float]


@dataclasses.dataclass(frozen=True)
class JointMap:
    """For each NTU joint the alternatives, best first: weighted means of named joints or end sites.

    ``X_end`` names the end site below joint X. ``first_frame`` is keep, drop or auto. Between maps that
    fit equally well, that whose ``prefix`` the names have is taken.
    """

    name: str
    sources: Mapping[str, tuple[Mean, ...]]
    first_frame: str = "auto"
    prefix: str = ""


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A map laid on a skeleton.

    Attributes:
        map: the map.
        means: for each of the 25 joints the nodes' indices and their weights, which sum to 1.
        filled: joint to the joint that stands in for it.
        score: how well it fits: 1 a joint, a half where it is not the map's first choice, 0 where filled.
    """

    map: JointMap
    means: tuple[tuple[tuple[int, float], ...], ...]
    filled: Mapping[str, str]
    score: float

    @property
    def nodes(self) -> frozenset[int]:
        """The indices of the nodes that are needed."""
        return frozenset(index for mean in self.means for index, _ in mean)

    def of(self, positions: np.ndarray) -> np.ndarray:
        """Return the 25 joints (F, 25, 3) of the positions of all nodes (F, nodes, 3)."""
        joints = np.empty((len(positions), len(NTU_JOINTS), 3))
        for joint, mean in enumerate(self.means):
            if len(mean) == 1:
                joints[:, joint] = positions[:, mean[0][0]]
            else:
                joints[:, joint] = sum(weight * positions[:, index] for index, weight in mean)
        return joints

    def said(self) -> tuple[str, ...]:
        """Return the map's name and what was filled, for people."""
        lines = [f"joint map {self.map.name}"]
        for source in dict.fromkeys(self.filled.values()):
            joints = [joint for joint, stand_in in self.filled.items() if stand_in == source]
            lines.append(f"no {' or '.join(joints)} in the skeleton, filled from {source}")
        return tuple(lines)


def shipped(name: str) -> JointMap:
    """Return a shipped map."""
    return _shipped(name)


def read_map(path: Path | str) -> JointMap:
    """Read a map from a YAML file of ``joints`` and, optionally, ``first_frame``.

    Raises:
        DataError: the file is missing or malformed; names the key.
    """
    return _parsed(load(read_text(path, _MAX_MAP_BYTES), path), str(path), Path(path).stem)


def choose(names: Sequence[str], path: Path | str, wanted: str | None = None) -> Fitted:
    """Return the map that fits a skeleton: the one wanted, or else the shipped one that fits best.

    Args:
        names: the names of the skeleton's nodes; ``X_end`` for the end site below X.
        path: the recording, for messages.
        wanted: the name of a shipped map, or a map's file.

    Raises:
        OptionError: there is no such map or file.
        DataError: the map, or every shipped one, lacks a joint that cannot be filled, or a name is ambiguous.
    """
    index = _Names(names)
    if wanted is not None:
        if wanted in SHIPPED:
            chosen = _shipped(wanted)
        elif os.path.exists(wanted) or wanted.lower().endswith((".yaml", ".yml")):
            chosen = read_map(wanted)
        else:
            raise OptionError(
                f"joints: {wanted!r} is no file and no shipped map{did_you_mean(wanted, SHIPPED)}; "
                f"allowed: a YAML file, or {', '.join(SHIPPED)}"
            )
        fitted, absent, twice = _fit(chosen, index)
    else:
        found = [_fit(_shipped(name), index) for name in SHIPPED]
        fitted, absent, twice = min(found, key=lambda fit: _misfit(fit[0], fit[1], names))
    if twice:
        raise DataError(
            f"{path}: the hierarchy has {', '.join(sorted(twice))} more than once, so the map {fitted.map.name} "
            "cannot tell which is meant; rename one"
        )
    if absent:
        shown = _some(names, 40)
        how = "the map" if wanted is not None else "no shipped map fits; the nearest,"
        raise DataError(
            f"{path}: {how} {fitted.map.name}{',' * (wanted is None)} finds nothing for {_some(absent, 8)}; the hierarchy has "
            f"{shown}; give your own map with --joints FILE (`dvta-orch data joints {path}` shows both)"
        )
    return fitted


class _Names:
    """The nodes of a skeleton by name: as written, without prefix, and without case and separators."""

    def __init__(self, names: Sequence[str]) -> None:
        bare = strip_prefixes(names)
        self._exact = _indices(bare)
        self._loose = _indices([_loosened(name) for name in bare])

    def find(self, name: str) -> list[int]:
        """Return the indices of the nodes of that name; several where it is ambiguous."""
        return self._exact.get(name) or self._loose.get(_loosened(name)) or []


def strip_prefixes(names: Sequence[str]) -> list[str]:
    """Return the names without namespaces (``mixamorig:``, ``a|b``) and without a prefix that all share."""
    bare = [_MIXAMO.sub("", re.split(r"[:|]", name)[-1]) or name for name in names]
    inner = [name for name in bare[1:] if not name.endswith("_end")]
    # the root may be called Reference or Armature while all others share a prefix
    shared = _common_start(inner) if len(inner) > 5 else ""
    cut = max((shared.rfind(mark) for mark in "_-. "), default=-1) + 1
    if not cut:
        return bare
    prefix = shared[:cut]
    return [name[cut:] if name.startswith(prefix) and len(name) > cut else name for name in bare]


def _misfit(fitted: Fitted, absent: list[str], names: Sequence[str]) -> tuple[float, ...]:
    prefix = fitted.map.prefix.lower()
    own = bool(prefix) and any(name.lower().startswith(prefix) for name in names)
    return len(absent), len(fitted.filled), not own, -fitted.score


def _some(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _common_start(names: Sequence[str]) -> str:
    least, most = min(names), max(names)
    return least[: next((i for i, letter in enumerate(least) if letter != most[i]), len(least))]


def _indices(names: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        found.setdefault(name, []).append(index)
    return found


def _loosened(name: str) -> str:
    return re.sub(r"[\s_.-]", "", name).lower()


def _fit(chosen: JointMap, names: _Names) -> tuple[Fitted, list[str], set[str]]:
    """Lay a map on a skeleton; also returns the joints without a source and the ambiguous names."""
    means: dict[str, tuple[tuple[int, float], ...]] = {}
    twice: set[str] = set()
    score = 0.0
    for joint, alternatives in chosen.sources.items():
        for place, mean in enumerate(alternatives):
            nodes = {name: names.find(name) for name in mean}
            if not all(nodes.values()):
                continue
            twice.update(name for name, found in nodes.items() if len(found) > 1)
            whole = sum(mean.values())
            means[joint] = tuple((nodes[name][0], weight / whole) for name, weight in mean.items())
            score += 1.0 if place == 0 else 0.5
            break
    filled = {}
    for joint, source in FILLED_FROM.items():
        if joint not in means and source in means:
            means[joint], filled[joint] = means[source], source
    absent = [joint for joint in NTU_JOINTS if joint not in means]
    ordered = tuple(means.get(joint, ()) for joint in NTU_JOINTS)
    return Fitted(chosen, ordered, filled, score), absent, twice


@functools.cache
def _shipped(name: str) -> JointMap:
    text = files(__package__).joinpath("joint_maps", f"{name}.yaml").read_text(encoding="utf-8")
    return _parsed(load(text, f"{name}.yaml"), f"{name}.yaml", name)


def _parsed(content: Any, path: str, name: str) -> JointMap:
    if not isinstance(content, dict) or not isinstance(content.get("joints"), dict):
        raise DataError(f"{path}: expected `joints:` with one line for each of {', '.join(NTU_JOINTS)}")
    keys = ("joints", "first_frame", "prefix")
    for key in content:
        if key not in keys:
            raise DataError(
                f"{path}: {key!r} is unknown{did_you_mean(key, keys)}; allowed: {', '.join(keys)}"
            )
    first = content.get("first_frame", "auto")
    if first not in FIRST_FRAMES:
        raise DataError(
            f"{path}, first_frame: {first!r} is unknown{did_you_mean(first, FIRST_FRAMES)}; "
            f"allowed: {', '.join(FIRST_FRAMES)}"
        )
    joints = content["joints"]
    for joint in joints:
        if joint not in NTU_JOINTS:
            raise DataError(
                f"{path}, joints: {joint!r} is no NTU joint{did_you_mean(joint, NTU_JOINTS)}; "
                f"allowed: {', '.join(NTU_JOINTS)}"
            )
    needed = [joint for joint in NTU_JOINTS if joint not in joints and joint not in FILLED_FROM]
    if needed:
        raise DataError(f"{path}, joints: {', '.join(needed)} missing; only hands and feet can be filled")
    sources = {joint: _alternatives(value, f"{path}, joints.{joint}") for joint, value in joints.items()}
    return JointMap(name, sources, first, str(content.get("prefix", "")))


def _alternatives(value: Any, where: str) -> tuple[Mean, ...]:
    return tuple(_mean(each, where) for each in (value if isinstance(value, list) else [value]))


def _mean(value: Any, where: str) -> Mean:
    if isinstance(value, str) and value:
        return {value: 1.0}
    if isinstance(value, dict) and value:
        weights = list(value.values())
        numbers = all(type(w) in (int, float) and math.isfinite(w) and w > 0 for w in weights)
        if numbers and all(isinstance(key, str) for key in value):
            return {str(key): float(weight) for key, weight in value.items()}
    raise DataError(
        f"{where}: {str(value)[:60]!r}; allowed: a joint's name, NAME_end for the end site below it, a mapping of "
        "names to positive weights, or a list of these, the best first"
    )


def shown_beside(names: Sequence[str], depths: Sequence[int], fitted: Fitted | None) -> list[str]:
    """Return the hierarchy, one line a node, with the NTU joints that each node is used for beside it."""
    uses: dict[int, list[str]] = {}
    if fitted is not None:
        for joint, mean in zip(NTU_JOINTS, fitted.means, strict=True):
            for index, weight in mean:
                part = "" if len(mean) == 1 else f" ({weight:g})"
                note = f" (filled from {fitted.filled[joint]})" if joint in fitted.filled else ""
                uses.setdefault(index, []).append(joint + part + note)
    stand = Counter(names)
    rows = [
        (f"{'  ' * depth}{name}{' (more than once)' if stand[name] > 1 else ''}", ", ".join(uses.get(i, [])))
        for i, (name, depth) in enumerate(zip(names, depths, strict=True))
    ]
    width = max(len(row[0]) for row in rows)
    return [f"{left:<{width}}  {right}".rstrip() for left, right in rows]
