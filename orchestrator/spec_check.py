"""Checking a spec's names and values against methods, training settings and the catalogue."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from dvta import datasets
from dvta.datasets.stand_in import StandIn
from dvta.errors import DvtaError, did_you_mean
from dvta.methods import METHODS
from dvta.options import expected
from dvta.training import TrainingConfig
from orchestrator.encoding import TrainedVisual
from orchestrator.spec import Point, When
from orchestrator.tables import layout

Place = tuple[Any, ...]
PLACE_TYPES: dict[str, Any] = {"dataset": str, "split": str, "visual": str, "text": str, "method": str}


class Checker:
    """Checks every flat name and value of a raw spec against methods, training and the catalogue."""

    def __init__(self, add: Callable[[Place, str], None]) -> None:
        self._add = add
        self._types: dict[str, Any] = dict(PLACE_TYPES)
        for owner in (TrainingConfig, StandIn):
            self._types |= typing.get_type_hints(owner)

    def check(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the spec whose values were converted."""
        self._learn_options(raw)
        out: dict[str, Any] = {}
        out["defaults"] = self._point(("defaults",), raw.get("defaults") or {})
        out["forced"] = self._point(("--set",), raw["forced"])
        profiles = raw.get("profiles") if isinstance(raw.get("profiles"), dict) else {}
        out["profiles"] = {n: self._point(("profiles", n), p or {}) for n, p in (profiles or {}).items()}
        chosen = raw.get("profile")
        if isinstance(chosen, str) and chosen not in out["profiles"]:
            known = ", ".join(out["profiles"]) or "none"
            self._add(
                ("profile",),
                f"{chosen!r} is unknown{did_you_mean(chosen, out['profiles'])}; allowed: {known}",
            )
        for key in ("include", "exclude"):
            points = raw.get(key) if isinstance(raw.get(key), list) else []
            out[key] = [self._point((key, i), p) for i, p in enumerate(points or [])]
        rules = raw.get("overrides") if isinstance(raw.get("overrides"), list) else []
        out["overrides"] = [
            When(
                when=self._when(("overrides", i, "when"), rule.get("when") or {}, profiles or {}),
                set=self._point(("overrides", i, "set"), rule.get("set") or {}),
            )
            for i, rule in enumerate(rules or [])
            if isinstance(rule, dict)
        ]
        for i, number in enumerate(raw.get("tables") or [] if isinstance(raw.get("tables"), list) else []):
            if not isinstance(number, int | str):
                continue  # reported as a value of the wrong type
            try:
                if layout(number).name != "gzsl" and raw.get("protocol") == "gzsl":
                    self._add(
                        ("tables", i), "the paper's tables are zero-shot; with protocol gzsl, allowed: gzsl"
                    )
            except DvtaError as error:
                self._add(("tables", i), str(error))
        methods = raw.get("methods")
        for i, method in enumerate(methods if isinstance(methods, list) else []):
            try:
                METHODS.get(str(method))
            except DvtaError as error:
                self._add(("methods", i), str(error))
        out["grid"] = self._axes("grid", raw.get("grid"))
        out["where"] = self._axes("where", raw.get("where"))
        self._splits(raw, out)
        self._methods(out)
        if isinstance(raw.get("search"), dict):
            self._search(raw["search"])
        return out

    def _learn_options(self, raw: Mapping[str, Any]) -> None:
        named = list(METHODS.names())
        own = raw.get("methods")
        named += [m for m in (own if isinstance(own, list) else []) if isinstance(m, str)]
        for place in (raw.get("defaults"), raw.get("grid")):
            given = place.get("method") if isinstance(place, dict) else None
            named += [m for m in (given if isinstance(given, list) else [given]) if isinstance(m, str)]
        for name in dict.fromkeys(named):
            try:
                hints = typing.get_type_hints(METHODS.get(name).options_class)
            except DvtaError:
                continue
            for option, kind in hints.items():
                # methods may use one name for values of different types
                known = self._types.get(option)
                self._types[option] = kind if known in (None, kind) else known | kind
        self._types.pop("PRESETS", None)
        self._types["preset"] = str

    def _point(self, where: Place, point: Any) -> Point:
        if not isinstance(point, dict):
            self._add(where, f"{point!r} is not allowed here: a mapping of names to values is")
            return {}
        return {k: self._value((*where, k), k, v) for k, v in point.items()}

    def _when(self, where: Place, point: Any, profiles: Mapping[str, Any]) -> Point:
        """Check a rule's condition, which may name a profile."""
        if not isinstance(point, dict) or "profile" not in point:
            return self._point(where, point)
        name = point["profile"]
        if not isinstance(name, str) or name not in profiles:
            known = ", ".join(map(str, profiles)) or "none"
            self._add(
                (*where, "profile"), f"{name!r} is unknown{did_you_mean(name, profiles)}; allowed: {known}"
            )
        return {"profile": name, **self._point(where, {k: v for k, v in point.items() if k != "profile"})}

    def _axes(self, key: str, grid: Any) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {}
        if not isinstance(grid, dict):
            return out
        for names, values in grid.items():
            parts = [n.strip() for n in str(names).split(",")]
            listed = values if isinstance(values, list) else [values]
            out[names] = []
            if not listed:
                self._add((key, names), "is empty; give at least one value")
            for i, value in enumerate(listed):
                place = (key, names, i)
                if len(parts) == 1:
                    out[names].append(self._value(place, parts[0], value))
                elif not isinstance(value, list) or len(value) != len(parts):
                    self._add(
                        place, f"{value!r} is not allowed here: a list of {len(parts)} values is ({names})"
                    )
                else:
                    out[names].append([self._value(place, n, v) for n, v in zip(parts, value, strict=True)])
        return out

    def _value(self, where: tuple[Any, ...], name: str, value: Any) -> Any:
        if name not in self._types:
            names = sorted(self._types)
            self._add(where, f"unknown name {name!r}{did_you_mean(name, names)}; allowed: {', '.join(names)}")
            return value
        if name == "visual" and isinstance(value, dict):
            try:
                return TrainedVisual.parse(value)
            except (DvtaError, ValueError, TypeError) as error:
                self._add(where, str(error))
                return value
        kind = self._types[name]
        if isinstance(value, str) and kind is float:
            # YAML 1.1 reads 1e-5 as text
            try:
                return float(value)
            except ValueError:
                pass
        try:
            return TypeAdapter(kind).validate_python(value, strict=not (kind is float and type(value) is int))
        except ValidationError:
            self._add(where, f"{value!r} is not allowed here: {expected(kind)}{_hint(kind, value)}")
            return value

    def _splits(self, raw: Mapping[str, Any], out: Mapping[str, Any]) -> None:
        """Check datasets, and splits where a dataset goes with them."""
        pairs: list[tuple[tuple[Any, ...], Any, Any]] = []
        base = out["defaults"]
        for names, values in out["grid"].items():
            parts = [n.strip() for n in names.split(",")]
            for i, value in enumerate(values):
                point = dict(zip(parts, value if len(parts) > 1 else [value], strict=True))
                pairs.append((("grid", names, i), point.get("dataset"), point.get("split")))
        for key in ("include", "exclude"):
            pairs += [((key, i), p.get("dataset"), p.get("split")) for i, p in enumerate(out[key])]
        pairs.append((("defaults",), base.get("dataset"), base.get("split")))
        single = out["grid"].get("dataset", [])
        only = single[0] if len(single) == 1 else None
        for where, dataset, split in pairs:
            try:
                owner = dataset or base.get("dataset") or only
                if not all(x is None or isinstance(x, str) for x in (dataset, split, owner)):
                    continue  # reported as a value of the wrong type
                if dataset is not None:
                    datasets.get(dataset)
                if split is not None and owner is not None:
                    datasets.get(owner).split(split)
            except DvtaError as error:
                self._add(where, str(error))

    def _search(self, search: Mapping[str, Any]) -> None:
        """Check the searched names, their ranges and what is enqueued."""
        space = search.get("space")
        if not isinstance(space, dict):
            return
        if not space:
            self._add(("search", "space"), "is empty; name at least one option, with type, low and high")
        for i, (name, axis) in enumerate(space.items()):
            place = ("search", "space", name)
            if name in PLACE_TYPES or name not in self._types:
                names = sorted(set(self._types) - set(PLACE_TYPES))
                self._add(
                    place, f"cannot be searched{did_you_mean(name, names)}; allowed: {', '.join(names)}"
                )
            elif isinstance(axis, dict):
                self._axis(place, name, axis, {n: space[n] for n in list(space)[:i]}, search.get("sampler"))
        points = search.get("enqueue")
        for i, point in enumerate(points if isinstance(points, list) else []):
            self._point(("search", "enqueue", i), point)
            for name in point if isinstance(point, dict) else ():
                if name not in space:
                    self._add(
                        ("search", "enqueue", i, name),
                        f"is not searched{did_you_mean(name, space)}; allowed: {', '.join(space)}",
                    )

    def _axis(
        self, place: Place, name: str, axis: Mapping[str, Any], earlier: Mapping[str, Any], sampler: object
    ) -> None:
        kind, low, high = axis.get("type"), axis.get("low"), axis.get("high")
        if kind == "categorical":
            choices = axis.get("choices")
            if not isinstance(choices, list) or not choices:
                self._add(place, "a categorical needs choices: a list of values")
                return
            for i, value in enumerate(choices):
                self._value((*place, "choices", i), name, value)
        elif kind in ("float", "int"):
            numbers = [float(x) for x in map(_number, (low, high)) if x is not None]
            if len(numbers) != 2 or numbers[0] >= numbers[1]:
                self._add(
                    place, f"low {low!r} and high {high!r}; allowed: two numbers, the first the smaller"
                )
            elif axis.get("log") and (numbers[0] <= 0 or axis.get("step") is not None):
                self._add(place, "log needs low above 0 and no step")
        when = axis.get("when")
        for other, value in (when if isinstance(when, dict) else {}).items():
            if other not in earlier:
                self._add(
                    (*place, "when", other), f"is not searched before {name}; allowed: {', '.join(earlier)}"
                )
            elif value not in (earlier[other].get("choices") or [value]):
                self._add(
                    (*place, "when", other), f"{value!r} is none of its choices {earlier[other]['choices']}"
                )
        if when and sampler == "grid":
            self._add(
                (*place, "when"),
                "a grid sampler cannot search conditionally; allowed: tpe, random, gp, cmaes",
            )

    def _methods(self, out: Mapping[str, Any]) -> None:
        """Build the options of every named method once, so that impossible values are found now."""
        for where, point in (
            ("defaults", out["defaults"]),
            *((f"profiles.{n}", p) for n, p in out["profiles"].items()),
        ):
            merged = {**out["defaults"], **point}
            try:
                method = METHODS.get(merged.get("method", "dvta"))
                fields = {f.name for f in dataclasses.fields(method.options_class)} | {"preset"}
                method.options_class.resolve({k: v for k, v in merged.items() if k in fields})
                for owner in (TrainingConfig, StandIn):
                    names = {f.name for f in dataclasses.fields(owner)}
                    owner(**{k: v for k, v in merged.items() if k in names})
            except DvtaError as error:
                self._add(tuple(where.split(".")), str(error))
            except TypeError:
                continue  # a value of the wrong type has been reported


def _hint(kind: Any, value: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return did_you_mean(value, typing.get_args(kind))
    if kind is str and isinstance(value, bool):
        return " (YAML reads unquoted yes, no, on and off as true and false: quote it)"
    return ""


def _number(value: object) -> float | None:
    """Return a number; YAML 1.1 reads 1e-5 as text."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
