"""Tests over class splits: Wilcoxon's with Holm's correction, Friedman's with a critical difference, a Bayesian one.

Demšar (JMLR 2006) for ranks; Holm (1979); Benavoli et al. (ICML 2014; JMLR 2017) for the Bayesian signed-rank
test with a region of practical equivalence.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

#: the fewest units at which a two-sided signed-rank test can fall below 0.05
LEAST_UNITS = 6
#: the fewest units of a rank diagram and of the Bayesian test: below, both would show the prior and chance
LEAST_MANY = 10
LEAST_ROWS = 3  # two rows are compared by a test of pairs
ALPHA = 0.05
DRAWS = 10_000  # of the posterior: a probability is then known to 0.005
SEED = 0
#: closer in the unit shown is equal: accuracies are rounded as float32, to 3e-6 of a point
TIE = 2e-5


@dataclasses.dataclass(frozen=True)
class Posterior:
    """Probabilities that a row is better by more than the region, equivalent, and worse by more than it."""

    better: float
    equivalent: float
    worse: float


@dataclasses.dataclass(frozen=True)
class Ranks:
    """Mean ranks, 1 is best.

    Attributes:
        mean: row -> mean rank, the best first. units: class splits behind them.
        p: of Friedman's test that all rows are alike.
        critical_difference: mean ranks that are further apart differ (Nemenyi, α 0.05).
    """

    mean: Mapping[str, float]
    units: int
    p: float
    critical_difference: float


def signed_rank_p(differences: Sequence[float]) -> float | None:
    """Return the two-sided p-value of Wilcoxon's signed-rank test, None below :data:`LEAST_UNITS` units."""
    if len(differences) < LEAST_UNITS:
        return None
    differences = tied(differences)
    if not any(differences):
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences).pvalue)


def tied(values: Sequence[float]) -> list[float]:
    """Return values of which those that differ in size by the rounding of floats alone are equal."""
    equal = list(values)
    size = 0.0
    # neighbours are merged instead of rounded: a rounding has edges, which would part two equal values
    for i in sorted(range(len(equal)), key=lambda i: abs(values[i])):
        if abs(values[i]) - size > TIE:
            size = abs(values[i])
        equal[i] = math.copysign(size, values[i])
    return equal


def tied_rows(scores: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Return the scores of rows over units, ties of rows in one unit made equal by :func:`tied`."""
    units = [tied(values) for values in zip(*scores.values(), strict=True)]
    return {row: [values[i] for values in units] for i, row in enumerate(scores)}


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, step-down (Holm 1979)."""
    order = sorted(range(len(p)), key=p.__getitem__)
    corrected = [0.0] * len(p)
    largest = 0.0
    for i, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - i) * p[place]))
        corrected[place] = largest
    return corrected


def posterior(differences: Sequence[float], rope: float) -> Posterior | None:
    """Return the Bayesian signed-rank test of paired differences, None below :data:`LEAST_MANY` units.

    Args:
        rope: half the width of the region of practical equivalence, in the unit of the differences.
    """
    if len(differences) < LEAST_MANY:
        return None
    import baycomp
    import numpy as np

    found = np.asarray(tied(differences), dtype=np.float64)
    sample = baycomp.SignedRankTest.sample(
        np.zeros_like(found), found, rope, nsamples=DRAWS, random_state=SEED
    )
    worse, same, better = np.bincount(sample.argmax(axis=1), minlength=3) / DRAWS
    return Posterior(float(better), float(same), float(worse))


def ranks(scores: Mapping[str, Sequence[float]]) -> Ranks | None:
    """Return the ranks of rows over units; None for too few rows or units.

    Args:
        scores: row -> one value a unit, in the same order.
    """
    if len(scores) < LEAST_ROWS or len(next(iter(scores.values()))) < LEAST_MANY:
        return None
    import numpy as np
    from scipy.stats import friedmanchisquare, rankdata

    table = np.array(list(tied_rows(scores).values()), dtype=np.float64)
    mean = rankdata(-table, axis=0).mean(axis=1)
    alike = bool((table == table[0]).all())
    order = np.argsort(mean, kind="stable")
    names = list(scores)
    return Ranks(
        {names[i]: float(mean[i]) for i in order},
        table.shape[1],
        1.0 if alike else float(friedmanchisquare(*table).pvalue),
        critical_difference(len(table), table.shape[1]),
    )


def critical_difference(rows: int, units: int, alpha: float = ALPHA) -> float:
    """Return Nemenyi's ``q sqrt(k (k + 1) / (6 N))`` for k rows over N units (Demšar 2006, equation 6)."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, rows, math.inf)) / math.sqrt(2)
    return q * math.sqrt(rows * (rows + 1) / (6 * units))
