"""Checking a spec's names and values against methods, training settings and the catalogue."""

from __future__ import annotations

import functools
import itertools
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from dvta import datasets
from dvta.datasets import Dataset
from dvta.datasets.own import check_split_name
from dvta.datasets.stand_in import StandIn
from dvta.errors import DvtaError, did_you_mean
from dvta.facts import METHODS
from dvta.options import expected
from dvta.training_config import TrainingConfig
from orchestrator.spec.check_search import SearchChecker
from orchestrator.spec.configuration import why_impossible
from orchestrator.spec.encoder import EncoderSpec
from orchestrator.spec.grid import grid_points
from orchestrator.spec.model import DATA_TYPES, Point, Spec, When, YamlPath
from orchestrator.tables import ALL_CLASSES, layout

LARGEST = 2**63 - 1  # of a whole number
CELLS = 2000  # built beside mistakes elsewhere in the file; the others are when the file is right
_WRONG = object()


class Checker:
    """Checks every flat name and value of a raw spec against methods, training and the catalogue."""

    def __init__(self, add: Callable[[YamlPath, str], None], data: Path | None = None) -> None:
        self._add, self._data = add, data
        self._listed = False
        self._wrong: set[tuple[str, int]] = set()  # values of the grid that are reported
        self._impossible: set[str] = set()  # what was said of whole configurations
        self._grid: dict[str, list[Any]] = {}  # values by axis
        self._types: dict[str, Any] = dict(DATA_TYPES)
        for owner in (TrainingConfig, StandIn):
            self._types |= typing.get_type_hints(owner)

    def check(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the spec whose values were converted."""
        self._learn_options(raw)
        out: dict[str, Any] = {}
        out["defaults"] = self._point(("defaults",), raw.get("defaults") or {})
        out["forced"] = self._point(("--set",), raw["forced"])
        profiles = _mapping(raw, "profiles")
        out["profiles"] = {n: self._point(("profiles", n), p or {}) for n, p in profiles.items()}
        self._profile(("profile",), raw.get("profile"), profiles)
        for key in ("include", "exclude"):
            out[key] = [self._point((key, i), p) for i, p in enumerate(_list(raw, key))]
        out["overrides"] = [
            When(
                when=self._when(("overrides", i, "when"), rule.get("when") or {}, profiles),
                set=self._point(("overrides", i, "set"), rule.get("set") or {}),
            )
            for i, rule in enumerate(_list(raw, "overrides"))
            if isinstance(rule, dict)
        ]
        self._tables(raw)
        out["grid"] = self._grid = self._axes("grid", raw.get("grid"))
        out["where"] = self._axes("where", raw.get("where"))
        self._splits(raw, out)
        self._built(out)
        if raw.get("search") and raw.get("tables"):
            self._add(
                ("search",),
                "a search goes through the cells of a grid; allowed: grid and search, without tables",
            )
        if isinstance(raw.get("search"), dict):
            out["search"] = SearchChecker(self._add, self._types, self._value).check(raw["search"])
            self._searched_once(out)
        return out

    def _searched_once(self, out: Mapping[str, Any]) -> None:
        """Refuse what is searched and given, too: rows would name values that no trial has."""
        varied = {n.strip() for names in out["grid"] for n in names.split(",")}
        for point in out["include"]:
            varied |= point.keys()
        for name in _mapping(out["search"], "space"):
            place = ("search", "space", name)
            if name in varied:
                self._add(place, f"the grid varies {name}, too; allowed: one of both")
            if name in out["forced"]:
                self._add(place, f"is searched, and --set gives {name}; allowed: one of both")

    def _tables(self, raw: Mapping[str, Any]) -> None:
        """Check the names of tables and of one's own methods."""
        for i, number in enumerate(_list(raw, "tables")):
            if not isinstance(number, int | str):
                continue  # reported as a value of the wrong type
            try:
                if layout(number).name not in ALL_CLASSES and raw.get("protocol") == "gzsl":
                    self._add(
                        ("tables", i),
                        "that table is zero-shot; with protocol gzsl, allowed: " + ", ".join(ALL_CLASSES),
                    )
            except DvtaError as error:
                self._add(("tables", i), str(error))
        for i, method in enumerate(_list(raw, "methods")):
            try:
                METHODS.check(str(method))
            except DvtaError as error:
                self._add(("methods", i), str(error))

    def _profile(self, where: YamlPath, name: Any, profiles: Mapping[str, Any]) -> None:
        if name is not None and (not isinstance(name, str) or name not in profiles):
            known = ", ".join(map(str, profiles)) or "none"
            self._add(where, f"{name!r} is unknown{did_you_mean(name, profiles)}; allowed: {known}")

    def _learn_options(self, raw: Mapping[str, Any]) -> None:
        named = list(METHODS.names())
        own = raw.get("methods")
        named += [m for m in (own if isinstance(own, list) else []) if isinstance(m, str)]
        for place in (raw.get("defaults"), raw.get("grid")):
            given = place.get("method") if isinstance(place, dict) else None
            named += [m for m in (given if isinstance(given, list) else [given]) if isinstance(m, str)]
        for name in dict.fromkeys(named):
            try:
                hints = typing.get_type_hints(METHODS.facts(name).options_class)
            except DvtaError:
                continue
            for option, kind in hints.items():
                # methods may use one name for values of different types
                known = self._types.get(option)
                self._types[option] = kind if known in (None, kind) else _either(known, kind)
        self._types.pop("PRESETS", None)
        self._types["preset"] = str

    def _point(self, where: YamlPath, point: Any) -> Point:
        if not isinstance(point, dict):
            self._add(where, f"{shown(point)} is not allowed here: a mapping of names to values is")
            return {}
        checked = {k: self._checked((*where, k), k, v) for k, v in point.items()}
        return {k: v for k, v in checked.items() if v is not _WRONG}

    def _when(self, where: YamlPath, point: Any, profiles: Mapping[str, Any]) -> Point:
        """Check a rule's condition, which may name a profile."""
        if not isinstance(point, dict) or "profile" not in point:
            return self._point(where, point)
        name = point["profile"]
        self._profile((*where, "profile"), name, profiles)
        return {"profile": name, **self._point(where, {k: v for k, v in point.items() if k != "profile"})}

    def _axes(self, key: str, grid: Any) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {}
        if not isinstance(grid, dict):
            return out
        varied: set[str] = set()
        for names, values in grid.items():
            parts = [n.strip() for n in str(names).split(",")]
            twice = [n for i, n in enumerate(parts) if n in varied or n in parts[:i]]
            varied.update(parts)
            if twice:
                self._add((key, names), f"{twice[0]} stands in two axes; allowed: one for each name")
                continue
            listed = values if isinstance(values, list) else [values]
            out[names] = []
            if not listed:
                self._add((key, names), "is empty; give at least one value")
            for i, value in enumerate(listed):
                place = (key, names, i)
                if len(parts) > 1 and (not isinstance(value, list) or len(value) != len(parts)):
                    self._add(
                        place,
                        f"{shown(value)} is not allowed here: a list of {len(parts)} values is ({names})",
                    )
                    continue
                given = value if len(parts) > 1 else [value]
                checked = [self._checked(place, n, v) for n, v in zip(parts, given, strict=True)]
                if key == "grid" and _WRONG in checked:
                    self._wrong.add((names, len(out[names])))
                kept = [v if c is _WRONG else c for c, v in zip(checked, given, strict=True)]
                out[names].append(kept if len(parts) > 1 else kept[0])
        return out

    def _value(self, where: YamlPath, name: str, value: Any) -> Any:
        checked = self._checked(where, name, value)
        return value if checked is _WRONG else checked

    def _checked(self, where: YamlPath, name: str, value: Any) -> Any:
        """Return a value converted to the type of its name, or note what is wrong with it."""
        if name not in self._types:
            names = sorted(self._types)
            # a long list is worth reading once
            allowed = "allowed: the names listed above" if self._listed else f"allowed: {', '.join(names)}"
            self._listed = True
            self._add(where, f"unknown name {name!r}{did_you_mean(name, names)}; {allowed}")
            return _WRONG
        if name == "visual" and isinstance(value, dict):
            try:
                return EncoderSpec.parse(value)
            except (DvtaError, ValueError, TypeError) as error:
                self._add(where, str(error))
                return _WRONG
        if name == "method" and isinstance(value, str) and where[0] != "where":
            try:
                METHODS.check(value)
            except DvtaError as error:
                self._add(where, str(error))
                return _WRONG
        kind = self._types[name]
        if isinstance(value, str) and kind is float:
            # YAML 1.1 reads 1e-5 as text
            try:
                return float(value)
            except ValueError:
                pass
        if type(value) is int and abs(value) > LARGEST:
            self._add(where, f"{shown(value)} is not allowed here: at most {LARGEST}")
            return _WRONG
        try:
            return _adapter(kind).validate_python(value, strict=not (kind is float and type(value) is int))
        except ValidationError:
            self._add(where, f"{shown(value)} is not allowed here: {expected(kind)}{_hint(kind, value)}")
            return _WRONG

    def _splits(self, raw: Mapping[str, Any], out: Mapping[str, Any]) -> None:
        """Check datasets, and splits where a dataset goes with them."""
        pairs: list[tuple[tuple[Any, ...], Any, Any]] = []
        base = out["defaults"]
        own = _mapping(raw, "splits")
        for name in own:
            try:
                check_split_name(str(name), "splits")
            except DvtaError as error:
                self._add(("splits", name), str(error).partition(": ")[2])
        for names, values in out["grid"].items():
            parts = [n.strip() for n in names.split(",")]
            for i, value in enumerate(values):
                point = dict(zip(parts, value if len(parts) > 1 else [value], strict=True))
                pairs.append((("grid", names, i), point.get("dataset"), point.get("split")))
        for key in ("include", "exclude"):
            pairs += [((key, i), p.get("dataset"), p.get("split")) for i, p in enumerate(out[key])]
        pairs.append((("defaults",), base.get("dataset"), base.get("split")))
        # a rule that names a split alone may be of any data set
        whens = [(("overrides", i, "when"), rule.when) for i, rule in enumerate(out["overrides"])]
        pairs += [(p, w["dataset"], w.get("split")) for p, w in whens if "dataset" in w]
        single = out["grid"].get("dataset", [])
        only = single[0] if len(single) == 1 else None
        for where, dataset, split in pairs:
            try:
                owner = dataset or base.get("dataset") or only
                if not all(x is None or isinstance(x, str) for x in (dataset, split, owner)):
                    continue  # reported as a value of the wrong type
                known = self._dataset(where, dataset, owner)
                if split is not None and known is not None:
                    self._split(where, known, split, own)
            except DvtaError as error:
                self._add(_within(where, "split"), str(error))

    def _dataset(self, where: YamlPath, named: str | None, owner: str | None) -> Dataset | None:
        """Return a point's dataset, None where there is none; one that is unknown is noted where it is named."""
        try:
            return None if owner is None else datasets.get(owner, self._data)
        except DvtaError as error:
            if named is not None:
                self._add(_within(where, "dataset"), str(error))
            return None

    def _split(self, where: YamlPath, known: Dataset, split: str, own: Mapping[str, Any]) -> None:
        """Check a split of a dataset; what is wrong with one of the spec's own stands at its definition."""
        if split not in own:
            known.split(split)
        elif split in known.splits:
            self._add(("splits", split), f"{known.name} has a split of that name; take another")
        elif isinstance(own[split], list):
            try:
                known.split(split, own[split])
            except DvtaError as error:
                self._add(("splits", split), str(error).partition(": ")[2])

    def _built(self, out: dict[str, Any]) -> None:
        """Build the options of every profile and of ``--set`` once, so that impossible values are found now."""
        base = out["defaults"] = self._possible(("defaults",), {}, out["defaults"])
        for name, point in out["profiles"].items():
            out["profiles"][name] = self._possible(("profiles", name), base, point)
        out["forced"] = self._possible(("--set",), base, out["forced"])

    def _possible(self, where: YamlPath, base: Point, point: Point) -> Point:
        """Return a point less the values that are impossible over ``base``, each of them noted."""
        why = why_impossible({**base, **point})
        if why is None:
            return point
        method = {"method": {**base, **point}.get("method", "dvta")}
        alone = {name: why_impossible({**method, name: value}) for name, value in point.items()}
        guilty = {name: reason for name, reason in alone.items() if reason is not None}
        for name, reason in guilty.items() or ((None, why),):
            if reason not in self._impossible:
                self._impossible.add(reason)
                self._add(self._place(where, name, point), reason)
        return {name: value for name, value in point.items() if name not in guilty}

    def _place(self, where: YamlPath, name: str | None, point: Point) -> YamlPath:
        """Return where a value of a point stands: in the grid, on its axis."""
        if name is None:
            return where
        for names, values in self._grid.items() if where == ("grid",) else ():
            parts = [n.strip() for n in names.split(",")]
            if name in parts:
                at = parts.index(name)
                given = [v[at] if len(parts) > 1 else v for v in values]
                if point[name] in given:  # an included point may have another
                    return (*where, names, given.index(point[name]))
        return (*where, name)

    def check_cells(self, spec: Spec, out: Mapping[str, Any]) -> None:
        """Build the options and settings of cells; every value of the grid is in one of them."""
        right = {
            names: [v for i, v in enumerate(values) if (names, i) not in self._wrong]
            for names, values in out["grid"].items()
        }
        grid = {names: values for names, values in right.items() if values}
        each = [{**{n: vs[:1] for n, vs in grid.items()}, names: values} for names, values in grid.items()]
        chosen = itertools.chain.from_iterable(
            grid_points(one, spec.include, spec.exclude, spec.cell_config) for one in each
        )
        whole = grid_points(grid, [], spec.exclude, spec.cell_config)
        for point in itertools.islice(itertools.chain(chosen, whole), CELLS):
            config = spec.cell_config(point)
            self._possible(("grid",), {k: v for k, v in config.items() if k not in point}, point)


def _within(where: YamlPath, name: str) -> YamlPath:
    """Return the place of a name in a point; the value of an axis of its own has one already."""
    return where if where[:2] == ("grid", name) else (*where, name)


def shown(value: object) -> str:
    """Return a value as a message quotes it, cut where it is long."""
    written = repr(value)
    return written if len(written) <= 120 else f"{written[:100]}… ({len(written):,} characters)"


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _either(one: Any, other: Any) -> Any:
    """Return the type of values of two types; the choices of two lists become one list."""
    if typing.get_origin(one) is typing.get_origin(other) is Literal:
        return Literal[tuple(dict.fromkeys((*typing.get_args(one), *typing.get_args(other))))]
    return one | other


def _hint(kind: Any, value: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return did_you_mean(value, typing.get_args(kind))
    if kind is str and isinstance(value, bool):
        return " (YAML reads unquoted yes, no, on and off as true and false: quote it)"
    return ""


def _list(raw: Mapping[str, Any], key: str) -> list[Any]:
    """Return a list of the spec; what is none has been reported as a value of the wrong type."""
    value = raw.get(key)
    return value if isinstance(value, list) else []


def _mapping(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}
