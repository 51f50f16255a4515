"""Checking a spec's search: names, ranges and types, and that what it may suggest can be built."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dvta.errors import did_you_mean
from dvta.options import expected
from orchestrator.spec.configuration import why_impossible
from orchestrator.spec.grid import grid_points
from orchestrator.spec.model import DATA_TYPES, GRID_POINTS, Axis, Point, Spec, YamlPath

MAX_STEPS = 100_000  # of an axis
MAX_POINTS = 1_000_000  # of a grid
LARGEST = 2**53  # of a whole number that a search may suggest: every one up to it is a float, too
SAMPLES = {"float": 0.5, "int": 1}


class SearchChecker:
    """Checks a raw search.

    Args:
        add: notes a mistake at a place.
        types: name -> type of every option and setting.
        value: checks a value of a name at a place and returns it converted.
    """

    def __init__(
        self,
        add: Callable[[YamlPath, str], None],
        types: Mapping[str, Any],
        value: Callable[[YamlPath, str, Any], Any],
    ) -> None:
        self._add, self._types, self._value = add, types, value

    def check(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return the search with its values converted."""
        space = raw.get("space")
        if not isinstance(space, dict):
            return dict(raw)
        if not space:
            self._add(("search", "space"), "is empty; name at least one option, with type, low and high")
        axes: dict[str, Axis] = {}
        for name, given in space.items():
            place = ("search", "space", name)
            if name in DATA_TYPES or name not in self._types:
                names = sorted(set(self._types) - set(DATA_TYPES))
                self._add(
                    place, f"cannot be searched{did_you_mean(name, names)}; allowed: {', '.join(names)}"
                )
                continue
            try:
                axis = Axis.model_validate(given)
            except ValidationError:
                continue  # reported as a part of the spec
            axes[name] = self._axis(place, name, axis, axes, raw.get("sampler"))
        if raw.get("sampler") == "grid":
            self._points(axes)
        return {**raw, "space": axes, "enqueue": self._enqueued(raw, space, axes)}

    def _points(self, axes: Mapping[str, Axis]) -> None:
        """Refuse a grid of more points than a search can go through."""
        points = math.prod(_size(axis) for axis in axes.values())
        if points > MAX_POINTS:
            self._add(
                ("search", "space"),
                f"a grid of {points:,.0f} points; allowed: {MAX_POINTS:,}; give wider steps, or another sampler",
            )

    def _axis(
        self, place: YamlPath, name: str, axis: Axis, earlier: Mapping[str, Axis], sampler: object
    ) -> Axis:
        kind = self._types[name]
        if axis.type == "categorical" and not axis.choices:
            self._add(place, "a categorical needs choices: a list of values")
        elif axis.type != "categorical" and not _takes(kind, SAMPLES[axis.type]):
            allowed = [t for t, sample in SAMPLES.items() if _takes(kind, sample)]
            self._add(
                (*place, "type"),
                f"{axis.type!r} is not allowed here: {name} is {expected(kind)}; "
                f"allowed: {', '.join([*allowed, 'categorical'])}",
            )
            return axis.model_copy(update={"low": None, "high": None, "when": {}})  # said once
        elif axis.type != "categorical":
            self._range(place, axis)
        choices = [self._value((*place, "choices", i), name, v) for i, v in enumerate(axis.choices)]
        when = {}
        for other, value in axis.when.items():
            where = (*place, "when", other)
            if other not in earlier:
                self._add(where, f"is not searched before {name}; allowed: {', '.join(earlier)}")
                continue
            when[other] = self._value(where, other, value)
            if earlier[other].choices and when[other] not in earlier[other].choices:
                self._add(where, f"{value!r} is none of its choices {earlier[other].choices}")
        if when and sampler == "grid":
            self._add(
                (*place, "when"),
                "a grid sampler cannot search conditionally; allowed: tpe, random, gp, cmaes",
            )
        return axis.model_copy(update={"choices": choices, "when": when})

    def _range(self, place: YamlPath, axis: Axis) -> None:
        low, high = axis.low, axis.high
        if low is None or high is None or not (math.isfinite(low) and math.isfinite(high) and low < high):
            self._add(place, f"low {low!r} and high {high!r}; allowed: two numbers, the first the smaller")
            return
        if axis.log and (low <= 0 or axis.step is not None):
            self._add(place, "log needs low above 0 and no step")
        if axis.type == "int" and max(abs(low), abs(high)) > LARGEST:
            self._add(place, f"low {low!r} and high {high!r}; allowed: whole numbers up to {LARGEST}")
            return
        if axis.step is not None and (high - low) / axis.step > MAX_STEPS:
            self._add((*place, "step"), f"{axis.step:g} makes more than {MAX_STEPS:,} values; allowed: fewer")
        for key in ("low", "high", "step") if axis.type == "int" else ():
            number = getattr(axis, key)
            if number is not None and not number.is_integer():
                self._add((*place, key), f"{number!r} is not allowed here: a whole number, the type is int")

    def _enqueued(self, raw: Mapping[str, Any], space: Point, axes: Mapping[str, Axis]) -> list[Any]:
        points = raw.get("enqueue")
        if not isinstance(points, list):
            return []
        if points and raw.get("sampler") == "grid":
            self._add(
                ("search", "enqueue"),
                "a grid sampler tries all of its values anyway; allowed: tpe, random, gp, cmaes",
            )
        out = []
        for i, point in enumerate(points):
            converted = {}
            for name, value in point.items() if isinstance(point, dict) else ():
                place = ("search", "enqueue", i, name)
                if name not in space:
                    self._add(
                        place, f"is not searched{did_you_mean(name, space)}; allowed: {', '.join(space)}"
                    )
                elif name in axes:
                    converted[name] = self._value(place, name, value)
                    self._inside(place, axes[name], converted[name])
            out.append(converted)
        return out

    def _inside(self, place: YamlPath, axis: Axis, value: Any) -> None:
        """Note a value that the axis would never suggest."""
        if axis.type == "categorical":
            if value not in axis.choices:
                self._add(place, f"{value!r} is none of its choices {axis.choices}")
            return
        low, high, step = axis.low, axis.high, axis.pace
        if low is None or high is None or not isinstance(value, int | float):
            return  # reported
        steps = (value - low) / step if step else 0.0
        if not low <= value <= high or abs(steps - round(steps)) > 1e-8:
            by = f" in steps of {step:g}" if step else ""
            self._add(place, f"{value!r} is not searched; allowed: {low:g} to {high:g}{by}")


def check_candidates(spec: Spec, add: Callable[[YamlPath, str], None]) -> None:
    """Note every end of an axis, choice and enqueued point that no values of the other axes make possible.

    The options and settings of every cell are built with it.
    """
    assert spec.search is not None
    space = spec.search.space
    tried: list[tuple[YamlPath, Point]] = []
    for name, axis in space.items():
        for key, value in _ends(axis):
            tried.append((("search", "space", name, *key), {**_conditions(space, name), name: value}))
    tried += [(("search", "enqueue", i), point) for i, point in enumerate(spec.search.enqueue)]
    for cell in grid_points(spec.grid, spec.include, spec.exclude, spec.cell_config):
        config = spec.cell_config(cell)
        if why_impossible(config):
            continue  # whatever is searched; it is not the search's mistake
        for place, given in tried:
            others = (config, _draw(space, given, 0), _draw(space, given, -1))
            found = [why_impossible({**config, **values, **given}) for values in others]
            if all(found):
                add(place, str(found[0]))


def _size(axis: Axis) -> float:
    """Return how many values a grid sampler tries of an axis; one whose range is wrong has one."""
    if axis.type == "categorical":
        return len(axis.choices)
    if axis.low is None or axis.high is None or not axis.low < axis.high:
        return 1
    return GRID_POINTS if axis.pace is None else (axis.high - axis.low) // axis.pace + 1


def _ends(axis: Axis) -> list[tuple[tuple[str | int, ...], Any]]:
    """Return where the values stand that bound an axis, and the values."""
    if axis.type == "categorical":
        return [(("choices", i), value) for i, value in enumerate(axis.choices)]
    whole = axis.type == "int"
    bounds = (("low", axis.low), ("high", axis.high))
    return [((key,), int(value) if whole else value) for key, value in bounds if value is not None]


def _conditions(space: Mapping[str, Axis], name: str) -> Point:
    """Return the values without which a name is not searched."""
    found: Point = {}
    for other, value in space[name].when.items():
        found |= {**_conditions(space, other), other: value}
    return found


def _draw(space: Mapping[str, Axis], given: Point, end: int) -> Point:
    """Return what would be suggested beside given values, every other axis at its first or last value."""
    values: Point = {}
    for name, axis in space.items():
        if all(values.get(n) == v for n, v in axis.when.items()):
            ends = [given[name]] if name in given else [value for _, value in _ends(axis)]
            values |= {name: ends[end]} if ends else {}
    return values


def _takes(kind: Any, value: float) -> bool:
    try:
        TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
