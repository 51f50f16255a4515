"""The YAML file: read strictly, checked completely, every mistake reported at once."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from dvta import datasets
from dvta.datasets.stand_in import StandIn
from dvta.errors import DvtaError, did_you_mean
from dvta.methods.base import METHODS
from dvta.training import TrainingConfig
from orchestrator.errors import SpecError
from orchestrator.spec_yaml import Document, read_yaml
from orchestrator.tables import layout

PLACE_TYPES: dict[str, Any] = {"dataset": str, "split": str, "visual": str, "text": str, "method": str}
Point = dict[str, Any]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class When(_Strict):
    """Constants for some configurations: visible in the file instead of hidden in code."""

    when: Point
    set: Point


class Resources(_Strict):
    """What a trial takes."""

    cpus_per_trial: float = Field(1.0, gt=0)
    gpus_per_trial: float = Field(0.0, ge=0)
    max_concurrent: int = Field(0, ge=0)
    restarts: int = Field(3, ge=0)


class Checkpoint(_Strict):
    """How often a running trial writes a checkpoint, and whether weights are kept at its end."""

    every_seconds: float = Field(30.0, ge=0)
    models: Literal["none", "first_seed", "all"] = "none"


class Axis(_Strict):
    """One searched option."""

    type: Literal["float", "int", "categorical"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = Field(None, gt=0)
    choices: list[Any] = []
    when: Point = {}


class Search(_Strict):
    """An Optuna search in every cell of the grid."""

    space: dict[str, Axis]
    trials: int = Field(20, gt=0)
    sampler: Literal["tpe", "random", "gp", "cmaes", "grid"] = "tpe"
    pruner: Literal["none", "median", "percentile", "hyperband", "successive_halving"] = "none"
    objective: Literal["val_acc", "test"] = "val_acc"
    seed: int = 0
    enqueue: list[Point] = []


class Spec(_Strict):
    """A study. Flat names are those of :meth:`orchestrator.trial.Trial.config`."""

    study: str = Field(pattern=r"^[\w.-]+$")
    description: str = ""
    extends: str | None = None
    tables: list[int | str] = []
    where: dict[str, list[Any]] = {}
    grid: dict[str, list[Any]] = {}
    include: list[Point] = []
    exclude: list[Point] = []
    defaults: Point = {}
    overrides: list[When] = []
    seeds: list[int] = [0]
    profiles: dict[str, Point] = {}
    profile: str | None = None
    source: Literal["auto", "real", "simulated"] = "auto"
    resources: Resources = Field(default_factory=Resources)
    checkpoint: Checkpoint = Field(default_factory=Checkpoint)
    lease_seconds: float = Field(60.0, ge=3)
    precision: Literal["fp32", "bf16"] = "fp32"
    search: Search | None = None
    forced: Point = {}
    text: str = ""

    @field_validator("seeds", mode="before")
    @classmethod
    def _count(cls, value: Any) -> Any:
        return list(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("where", "grid", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: v if isinstance(v, list) else [v] for k, v in value.items()}

    def settle(self, cell: Mapping[str, Any]) -> Point:
        """Return a cell's configuration over profile and defaults, under ``--set``.

        Order, later wins: defaults, profile, overrides that match, the cell, ``--set``.
        """
        profile = self.profiles.get(self.profile or "", {})
        config: Point = {**self.defaults, **profile}
        whole = {**config, **cell}
        for rule in self.overrides:
            if all(whole.get(k) == v for k, v in rule.when.items()):
                config |= rule.set
        return {**config, **cell, **self.forced}

    def grid_names(self) -> list[str]:
        """Return the names the grid varies, coupled ones apart."""
        return [n.strip() for names in self.grid for n in names.split(",")]


def load_spec(path: Path, *, profile: str | None = None, overrides: Mapping[str, str] | None = None) -> Spec:
    """Read and check a spec.

    Args:
        profile: instead of the file's own ``profile``.
        overrides: ``--set`` values, YAML text by flat name.

    Raises:
        SpecError: everything that is wrong, in one message.
    """
    document = read_yaml(path)
    raw = dict(document.values)
    # a profile may set the number of seeds, the stand-in's size …, under the names of the file
    raw["text"] = path.read_text(encoding="utf-8")
    if profile is not None:
        raw["profile"] = profile
    forced = {k: yaml.safe_load(v) for k, v in (overrides or {}).items()}
    chosen = (
        (raw.get("profiles") or {}).get(raw.get("profile"), {})
        if isinstance(raw.get("profiles"), dict)
        else {}
    )
    if "seeds" in forced or (isinstance(chosen, dict) and "seeds" in chosen):
        raw["seeds"] = forced.pop("seeds", None) or chosen.get("seeds")
    if isinstance(raw.get("profiles"), dict):
        raw["profiles"] = {
            name: {k: v for k, v in values.items() if k != "seeds"} if isinstance(values, dict) else values
            for name, values in raw["profiles"].items()
        }
    raw["forced"] = forced
    problems = _Problems(document)
    try:
        spec = Spec.model_validate(raw)
    except ValidationError as error:
        for found in error.errors():
            problems.add_pydantic(found)
        spec = None
    checked = _Checker(problems).check(raw)
    problems.raise_if_any()
    assert spec is not None
    return spec.model_copy(update=checked)


class _Problems:
    """Collects what is wrong, each with its place."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: dict[tuple[Any, ...], str] = {}
        for where, message in document.problems:
            self.add(where, message)

    def add(self, where: tuple[Any, ...], message: str) -> None:
        self._found.setdefault(where, message)

    def add_pydantic(self, error: Any) -> None:
        where = tuple(p for p in error["loc"] if p not in ("int", "str"))
        if error["type"] == "extra_forbidden":
            models: dict[str, type[BaseModel]] = {
                "resources": Resources,
                "checkpoint": Checkpoint,
                "search": Search,
            }
            model = models.get(str(where[0]), Spec)
            allowed = [n for n in model.model_fields if n not in ("forced", "text")]
            message = f"unknown key{did_you_mean(where[-1], allowed)}; allowed: {', '.join(allowed)}"
        else:
            message = f"{error['input']!r} is not allowed here: {error['msg'].lower()}"
        self.add(where, message)

    def raise_if_any(self) -> None:
        if not self._found:
            return
        lines = [f"{self._document.where(place)}: {text}" for place, text in self._found.items()]
        count = f"{len(lines)} mistakes" if len(lines) > 1 else "1 mistake"
        raise SpecError("\n".join([f"{self._document.path}: {count}", *(f"  {line}" for line in lines)]))


class _Checker:
    """Checks every flat name and value of a raw spec against methods, training and the catalogue."""

    def __init__(self, problems: _Problems) -> None:
        self._problems = problems
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
        if chosen is not None and chosen not in out["profiles"]:
            known = ", ".join(out["profiles"]) or "none"
            self._problems.add(
                ("profile",),
                f"{chosen!r} is unknown{did_you_mean(chosen, out['profiles'])}; allowed: {known}",
            )
        for key in ("include", "exclude"):
            points = raw.get(key) if isinstance(raw.get(key), list) else []
            out[key] = [self._point((key, i), p) for i, p in enumerate(points or [])]
        rules = raw.get("overrides") if isinstance(raw.get("overrides"), list) else []
        out["overrides"] = [
            When(
                when=self._point(("overrides", i, "when"), rule.get("when") or {}),
                set=self._point(("overrides", i, "set"), rule.get("set") or {}),
            )
            for i, rule in enumerate(rules or [])
            if isinstance(rule, dict)
        ]
        for i, number in enumerate(raw.get("tables") or [] if isinstance(raw.get("tables"), list) else []):
            try:
                layout(number)
            except DvtaError as error:
                self._problems.add(("tables", i), str(error))
        out["grid"] = self._axes("grid", raw.get("grid"))
        out["where"] = self._axes("where", raw.get("where"))
        self._splits(raw, out)
        self._methods(out)
        return out

    def _learn_options(self, raw: Mapping[str, Any]) -> None:
        self._known: dict[str, Any] = {}
        named = list(METHODS.names())
        for place in (raw.get("defaults"), raw.get("grid")):
            given = place.get("method") if isinstance(place, dict) else None
            named += [m for m in (given if isinstance(given, list) else [given]) if isinstance(m, str)]
        for name in dict.fromkeys(named):
            try:
                self._known |= typing.get_type_hints(METHODS.get(name).options_class)
            except DvtaError:
                continue
        self._types |= {n: t for n, t in self._known.items() if n != "PRESETS"} | {"preset": str}

    def _point(self, where: tuple[Any, ...], point: Any) -> Point:
        if not isinstance(point, dict):
            self._problems.add(where, f"{point!r} is not allowed here: a mapping of names to values is")
            return {}
        return {k: self._value((*where, k), k, v) for k, v in point.items()}

    def _axes(self, key: str, grid: Any) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {}
        if not isinstance(grid, dict):
            return out
        for names, values in grid.items():
            parts = [n.strip() for n in str(names).split(",")]
            listed = values if isinstance(values, list) else [values]
            out[names] = []
            for i, value in enumerate(listed):
                place = (key, names, i)
                if len(parts) == 1:
                    out[names].append(self._value(place, parts[0], value))
                elif not isinstance(value, list) or len(value) != len(parts):
                    self._problems.add(
                        place, f"{value!r} is not allowed here: a list of {len(parts)} values is ({names})"
                    )
                else:
                    out[names].append([self._value(place, n, v) for n, v in zip(parts, value, strict=True)])
        return out

    def _value(self, where: tuple[Any, ...], name: str, value: Any) -> Any:
        if name not in self._types:
            names = sorted(self._types)
            self._problems.add(
                where, f"unknown name {name!r}{did_you_mean(name, names)}; allowed: {', '.join(names)}"
            )
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
            self._problems.add(where, f"{value!r} is not allowed here: {_expected(kind)}{_hint(kind, value)}")
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
                self._problems.add(where, str(error))

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
                self._problems.add(tuple(where.split(".")), str(error))
            except TypeError:
                continue  # a value of the wrong type has been reported


def _expected(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(kind)))
    if isinstance(kind, types.UnionType):
        return " or ".join(_expected(k) for k in typing.get_args(kind))
    return {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}.get(
        kind, str(kind)
    )


def _hint(kind: Any, value: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return did_you_mean(value, typing.get_args(kind))
    if kind is str and isinstance(value, bool):
        return " (YAML reads unquoted yes, no, on and off as true and false: quote it)"
    return ""
