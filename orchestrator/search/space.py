"""What a search may suggest, and how: dimensions, samplers and pruners by their names in a spec."""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from orchestrator.trial import Scalar


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One searched option.

    Attributes:
        kind: ``float``, ``int`` or ``categorical``.
        low, high, log, step: the range of a number.
        choices: the values of a categorical.
        when: values other searched options must have for this one to be searched.
    """

    name: str
    kind: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: tuple[Scalar, ...] = ()
    when: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)

    def distribution(self) -> BaseDistribution:
        """Return the range as Optuna keeps it."""
        if self.kind == "categorical":
            return CategoricalDistribution(self.choices)
        assert self.low is not None
        assert self.high is not None
        if self.kind == "int":
            return IntDistribution(int(self.low), int(self.high), self.log, int(self.step or 1))
        return FloatDistribution(self.low, self.high, self.log, self.step)

    def suggest(self, trial: optuna.Trial) -> Scalar:
        """Return the sampler's value."""
        value: Scalar = trial._suggest(self.name, self.distribution())
        return value

    def grid(self) -> list[Scalar]:
        """Return the values a grid sampler tries, none outside the range."""
        if self.kind == "categorical":
            return list(self.choices)
        low, high = float(self.low or 0), float(self.high or 0)
        step = self.step or (1.0 if self.kind == "int" else None)
        if step is None:
            points = 5
            ratio = [i / (points - 1) for i in range(points)]
            spread = [low * (high / low) ** r if self.log else low + (high - low) * r for r in ratio]
            return [min(max(v, low), high) for v in spread]
        # in decimals, as a person counts: 0.1 and two steps of 0.1 are 0.3
        first, last, pace = (decimal.Decimal(str(x)) for x in (low, high, step))
        values = [first + pace * i for i in range(int((last - first) / pace) + 1)]
        return [int(v) for v in values] if self.kind == "int" else [float(v) for v in values]


class _Grid(optuna.samplers.GridSampler):
    """Leaves the end to the target: Optuna's own stops ``Study.optimize``, which is not used here."""

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        pass


def make_sampler(name: str, dimensions: Iterable[Dimension], seed: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of a spec's name for it."""
    grid: dict[str, Sequence[Any]] = {d.name: d.grid() for d in dimensions}
    samplers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed, constant_liar=True),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        "gp": lambda: optuna.samplers.GPSampler(seed=seed),
        "cmaes": lambda: optuna.samplers.CmaEsSampler(seed=seed),
        "grid": lambda: _Grid(grid, seed=seed),
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
