"""Paired comparison of two rows: same data set, split and seed on both sides."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from orchestrator.records import ACCURACY, CellValue

#: the fewest pairs at which a two-sided signed-rank test can fall below 0.05
LEAST_PAIRS = 6


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Differences, this row minus the other, in the unit shown; ``p`` only from six pairs."""

    differences: tuple[float, ...]
    p: float | None

    @property
    def mean(self) -> float:
        """The mean difference."""
        return statistics.fmean(self.differences)

    def __str__(self) -> str:
        shown = f"Δ {self.mean:+.2f} ({len(self.differences)} pairs"
        if self.p is not None:
            return f"{shown}, p = {self.p:.3g})"
        return f"{shown}: {', '.join(f'{d:+.2f}' for d in self.differences)})"


def compare(
    ours: Sequence[CellValue],
    theirs: Sequence[CellValue],
    protocol: str,
    quantity: str = ACCURACY,
    scale: float = 100.0,
) -> Comparison | None:
    """Return the paired comparison of two lists of trials, or None without a pair.

    Trials are paired by data set, split, seed and source (Wilcoxon 1945 for the p-value); pairs of
    several sources, real and simulated, are never pooled: None. Trials that share a place, as in a
    pivot that averages, count as their mean. ``scale`` turns stored values of
    ``quantity`` into shown ones; by default accuracies into percentages.
    """
    left, right = (_by_place(values, protocol, quantity) for values in (ours, theirs))
    pairs = [place for place in left if place in right]
    differences = tuple(scale * (left[place] - right[place]) for place in pairs)
    if len({source for *_, source in pairs}) != 1:
        return None
    if len(differences) < LEAST_PAIRS:
        return Comparison(differences, None)
    if not any(differences):
        return Comparison(differences, 1.0)
    from scipy.stats import wilcoxon

    return Comparison(differences, float(wilcoxon(differences).pvalue))


def _by_place(values: Sequence[CellValue], protocol: str, quantity: str) -> dict[tuple[object, ...], float]:
    """Return place -> the mean over its trials; only of places where all are measured."""
    found: dict[tuple[object, ...], list[float | None]] = {}
    for v in values:
        if v.key:
            place = (v.config["dataset"], v.config["split"], v.seed, v.source)
            found.setdefault(place, []).append(v.value(protocol, quantity))
    return {
        place: statistics.fmean(measured)
        for place, trials in found.items()
        if len(measured := [x for x in trials if x is not None]) == len(trials)
    }
