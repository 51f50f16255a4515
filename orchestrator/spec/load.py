"""Reading a spec: strictly, completely, every mistake reported at once."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from dvta.errors import DvtaError, did_you_mean
from orchestrator.errors import SpecError
from orchestrator.spec.check import Checker, shown
from orchestrator.spec.check_search import check_candidates
from orchestrator.spec.model import MAX_TRIALS, Axis, Checkpoint, Resources, Search, Spec, When, YamlPath
from orchestrator.spec.yaml import Document, flag_value, read_yaml
from orchestrator.tables import layout

_QUOTED = re.compile("'([^']*)'")
WHOLE_FILE = ("seeds", "precision")  # keys of the file that a profile and --set may give, too


def load_spec(
    path: Path,
    *,
    profile: str | None = None,
    overrides: Mapping[str, str] | None = None,
    data: Path | None = None,
) -> Spec:
    """Read and check a spec.

    Args:
        profile: instead of the file's own ``profile``.
        overrides: ``--set`` values, YAML text by flat name.
        data: the data root, whose data sets the spec may name.

    Raises:
        SpecError: everything that is wrong, in one message.
    """
    document = read_yaml(path)
    raw = dict(document.values)
    problems = Problems(document)
    for name in ("text", "forced"):
        if name in raw:
            problems.add((name,), f"unknown key; {name} as an axis stands under defaults or grid")
    raw["text"] = document.text
    if profile is not None:
        raw["profile"] = profile
    raw["forced"] = {k: flag_value(f"--set {k}", v) for k, v in (overrides or {}).items()}
    problems.given = _lift(raw)
    fits = check_size(raw, problems.add)
    try:
        Spec.model_validate(raw)
    except ValidationError as error:
        for found in error.errors():
            problems.add_pydantic(found)
    checker = Checker(problems.add, data)
    checked = checker.check(raw)
    if fits:
        # beside mistakes elsewhere in the file
        parts = {k: raw[k] for k in ("profile", "protocol") if k in raw}
        with contextlib.suppress(ValidationError, ValueError):
            spec = Spec.model_validate({"study": "any", **parts, **checked})
            checker.check_cells(spec, checked)
            if spec.search is not None:
                check_candidates(spec, problems.add)
    problems.raise_if_any()
    return Spec.model_validate({**raw, **checked})


def _lift(raw: dict[str, Any]) -> dict[str, YamlPath]:
    """Give keys of the whole file what ``--set``, or else the chosen profile, has for them; return their places."""
    profiles, chosen = raw.get("profiles"), raw.get("profile")
    sources: list[tuple[YamlPath, Any]] = [(("--set",), raw["forced"])]
    if isinstance(profiles, dict):
        if isinstance(chosen, str):
            sources.insert(0, (("profiles", chosen), profiles.get(chosen)))
        raw["profiles"] = {name: _without(WHOLE_FILE, values) for name, values in profiles.items()}
    raw["forced"] = _without(WHOLE_FILE, raw["forced"])
    places: dict[str, YamlPath] = {}
    for place, values in sources:
        for key in WHOLE_FILE:
            if isinstance(values, dict) and key in values:
                raw[key], places[key] = values[key], (*place, key)
    return places


def _without(names: Collection[str], values: Any) -> Any:
    return {k: v for k, v in values.items() if k not in names} if isinstance(values, dict) else values


def check_size(raw: dict[str, Any], add: Callable[[YamlPath, str], None]) -> bool:
    """Return whether a raw spec comes to few enough trials; none of them is made.

    A count of seeds that is too large is noted and replaced, so that the rest can be checked.
    """
    most = raw.get("max_trials", MAX_TRIALS)
    most = most if isinstance(most, int) else MAX_TRIALS
    given = raw.get("seeds", 1)
    seeds = given if type(given) is int else len(given) if isinstance(given, list) else 1
    grid, include, tables = raw.get("grid"), raw.get("include"), raw.get("tables")
    axes = [v for v in grid.values() if isinstance(v, list)] if isinstance(grid, dict) else []
    cells = math.prod(map(len, axes)) if grid else 0
    cells += len(include) if isinstance(include, list) else 0
    for number in tables if isinstance(tables, list) else []:
        with contextlib.suppress(DvtaError, TypeError):
            cells += len(layout(number).cells())
    cells *= 2 if raw.get("validation") is True else 1
    search = raw.get("search")
    candidates = search.get("trials", 20) if isinstance(search, dict) else 0
    each = seeds + (candidates if type(candidates) is int else 0)
    if seeds <= most and cells * each <= most:
        return True
    searched = f" and {candidates:,} candidates" if candidates else ""
    add(
        ("seeds",) if seeds > most else ("search", "trials") if cells * seeds <= most else ("grid",),
        f"{cells:,} cells with {seeds:,} seeds{searched} are {cells * each:,} trials; "
        f"allowed: {most:,}, or as many as max_trials says",
    )
    if seeds > most:
        raw["seeds"] = [0]
    return False


def _is_kind(part: str | int) -> bool:
    """Whether a part of Pydantic's path names one of several kinds that a value may be of."""
    return part in ("int", "str", "constrained-float") or str(part).startswith("literal[")


class Problems:
    """Collects what is wrong, each with its place."""

    MOST = 100

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: dict[tuple[Any, ...], str] = {}
        self.given: dict[
            str, YamlPath
        ] = {}  # where keys of the whole file have their values from, if not there
        for where, message in document.problems:
            self.add(where, message)

    def add(self, where: tuple[Any, ...], message: str) -> None:
        """Note a mistake; the first at a place is kept.

        Raises:
            SpecError: there are so many that the rest is not worth looking for.
        """
        where = (*self.given[where[0]], *where[1:]) if where[:1] and where[0] in self.given else where
        self._found.setdefault(where, message)
        if len(self._found) >= self.MOST:
            self.raise_if_any()

    def add_pydantic(self, error: Any) -> None:
        """Note one of Pydantic's errors."""
        where = tuple(p for p in error["loc"] if not _is_kind(p))
        if error["type"] == "extra_forbidden":
            models: dict[str, type[BaseModel]] = {
                "resources": Resources,
                "checkpoint": Checkpoint,
                "search": Search,
            }
            model = Axis if where[:2] == ("search", "space") else models.get(str(where[0]), Spec)
            model = When if where[0] == "overrides" else model
            allowed = [n for n in model.model_fields if n not in ("forced", "text")]
            message = f"unknown key{did_you_mean(where[-1], allowed)}; allowed: {', '.join(allowed)}"
        else:
            allowed = _QUOTED.findall(error["msg"]) if error["type"] == "literal_error" else []
            meant = did_you_mean(error["input"], allowed)
            message = f"{shown(error['input'])} is not allowed here: {error['msg'].lower()}{meant}"
            if self._found.get(where, "").startswith(
                message.partition(": ")[0]
            ):  # of several kinds, it is none
                self._found[where] += f", or {error['msg'].lower()}"
        self.add(where, message)

    def raise_if_any(self) -> None:
        """Raise one SpecError with everything noted, if anything was."""
        if not self._found:
            return
        lines = [f"{self._document.where(place)}: {text}" for place, text in self._found.items()]
        count = f"{len(lines)} mistakes" if len(lines) > 1 else "1 mistake"
        count = f"{count}, perhaps more" if len(lines) >= self.MOST else count
        raise SpecError("\n".join([f"{self._document.path}: {count}", *(f"  {line}" for line in lines)]))
