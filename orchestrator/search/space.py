"""What a search may suggest, and how: axes, samplers and pruners by their names in a spec."""

from __future__ import annotations

import decimal
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from orchestrator.spec.model import GRID_POINTS, Axis
from orchestrator.trial import Scalar


def distribution(axis: Axis) -> BaseDistribution:
    """Return the range of an axis as Optuna keeps it."""
    if axis.type == "categorical":
        return CategoricalDistribution(axis.choices)
    assert axis.low is not None
    assert axis.high is not None
    if axis.type == "int":
        return IntDistribution(int(axis.low), int(axis.high), axis.log, int(axis.step or 1))
    return FloatDistribution(axis.low, axis.high, axis.log, axis.step)


def suggest(trial: optuna.Trial, name: str, axis: Axis) -> Scalar:
    """Return the sampler's value of an axis."""
    value: Scalar
    if axis.type == "categorical":
        value = trial.suggest_categorical(name, axis.choices)
        return value
    assert axis.low is not None
    assert axis.high is not None
    if axis.type == "int":
        step = int(axis.step or 1)
        return trial.suggest_int(name, int(axis.low), int(axis.high), step=step, log=axis.log)
    return trial.suggest_float(name, axis.low, axis.high, step=axis.step, log=axis.log)


def grid_values(axis: Axis) -> list[Scalar]:
    """Return the values a grid sampler tries, none outside the range."""
    if axis.type == "categorical":
        return list(axis.choices)
    low, high = float(axis.low or 0), float(axis.high or 0)
    step = axis.pace
    if step is None:
        ratio = [i / (GRID_POINTS - 1) for i in range(GRID_POINTS)]
        spread = [low * (high / low) ** r if axis.log else low + (high - low) * r for r in ratio]
        return [min(max(v, low), high) for v in spread]
    # in decimals, as a person counts: 0.1 and two steps of 0.1 are 0.3
    first, last, pace = (decimal.Decimal(str(x)) for x in (low, high, step))
    values = [first + pace * i for i in range(int((last - first) / pace) + 1)]
    return [int(v) for v in values] if axis.type == "int" else [float(v) for v in values]


def in_range(space: Mapping[str, Axis], values: Mapping[str, Any]) -> bool:
    """Return whether all values lie in the ranges of their axes: a range may have been another when they were tried."""
    return all(
        axis.low <= values[name] <= axis.high
        for name, axis in space.items()
        if name in values and axis.low is not None and axis.high is not None
    )


def _applicable(space: Mapping[str, Axis], values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return the values of the axes that are searched at them."""
    found: dict[str, Scalar] = {}
    for name, axis in space.items():
        if name in values and all(found.get(other) == value for other, value in axis.when.items()):
            found[name] = values[name]
    return found


def left_of_grid(
    space: Mapping[str, Axis], tried: Sequence[Mapping[str, Scalar]]
) -> tuple[list[dict[str, Scalar]], int]:
    """Return the points of a grid that nobody has tried, and how many were tried that are none of its points."""
    points = [
        dict(zip(space, values, strict=True))
        for values in itertools.product(*map(grid_values, space.values()))
    ]
    known = {tuple(_applicable(space, values).items()) for values in tried}
    grid = {tuple(_applicable(space, point).items()): point for point in points}
    return [point for values, point in grid.items() if values not in known], len(known - grid.keys())


class _Grid(optuna.samplers.GridSampler):
    """Leaves the end to the target: Optuna's own stops ``Study.optimize``, which is not used here."""

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        pass


def make_sampler(name: str, space: Mapping[str, Axis], seed: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of a spec's name for it."""
    samplers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed, constant_liar=True),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        "gp": lambda: optuna.samplers.GPSampler(seed=seed),
        "cmaes": lambda: optuna.samplers.CmaEsSampler(seed=seed),
        "grid": lambda: _Grid({name: grid_values(axis) for name, axis in space.items()}, seed=seed),
    }
    return samplers[name]()


def make_pruner(name: str) -> optuna.pruners.BasePruner:
    """Return the pruner of a spec's name for it."""
    pruners: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
        "none": optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "percentile": lambda: optuna.pruners.PercentilePruner(50.0),
        "hyperband": optuna.pruners.HyperbandPruner,
        "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    }
    return pruners[name]()
