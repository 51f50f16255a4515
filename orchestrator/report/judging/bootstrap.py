"""Intervals by a hierarchical bootstrap: class splits are drawn, in each of them its seeds and its classes.

Davison and Hinkley, Bootstrap Methods and their Application (1997), section 3.8. Seeds of one split share its
classes, so that one draw of classes holds for all seeds of a drawn split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from orchestrator.report.judging.units import Sample

REPLICATES = 4000
LEVEL = 0.95
SEED = 0
LEVELS = ("split", "seed", "class")

#: one number of a seed: the weighted sum of its samples, such as one row minus another
Run = Sequence[tuple[float, Sample]]


@dataclasses.dataclass(frozen=True)
class Interval:
    """A percentile interval; ``levels`` names what was drawn, ``split``, ``seed`` and ``class``."""

    low: float
    high: float
    levels: tuple[str, ...]

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def replicates(
    units: Sequence[Sequence[Run]], *, count: int = REPLICATES, seed: int = SEED
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return (count,) means over drawn units of their means over drawn seeds, and the levels drawn.

    A level with one member is not drawn: one split stays itself, one seed too.

    Args:
        units: of every class split its seeds.
    """
    rng = np.random.default_rng(seed)
    size = len(units)
    chosen = rng.integers(size, size=(count, size)) if size > 1 else np.zeros((count, 1), dtype=np.int64)
    drawn = np.empty(chosen.shape)
    levels = dict.fromkeys(["split"] if size > 1 else [])
    for i, runs in enumerate(units):
        here = chosen == i
        values, used = _unit(runs, int(here.sum()), rng)
        drawn[here] = values
        levels |= dict.fromkeys(used)
    return drawn.mean(axis=1), tuple(levels)


def interval(units: Sequence[Sequence[Run]], **how: int) -> Interval | None:
    """Return the 95 % percentile interval, None where nothing can be drawn: one split, seed and class."""
    means, levels = replicates(units, **how)
    if not levels:
        return None
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), tuple(level for level in LEVELS if level in levels))


def _unit(runs: Sequence[Run], count: int, rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Return (count,) means of a unit over drawn seeds, its classes drawn too, and the levels drawn."""
    samples = [sample for run in runs for _, sample in run]
    values = np.array([sum(factor * sample.value for factor, sample in run) for run in runs])
    by_run = np.broadcast_to(values, (count, len(runs)))
    levels = []
    table = class_table(samples)
    if table is not None and table.shape[1] > 1:
        levels.append("class")
        moved = _moved(table, count, rng)
        owner = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
        factors = np.array([factor for run in runs for factor, _ in run])
        by_run = by_run + np.stack(
            [moved[:, owner == r] @ factors[owner == r] for r in range(len(runs))], axis=1
        )
    if len(runs) == 1:
        return by_run[:, 0], levels
    weights = rng.multinomial(len(runs), np.full(len(runs), 1 / len(runs)), size=count)
    return (by_run * weights).sum(axis=1) / len(runs), ["seed", *levels]


def _moved(table: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return (count, K): how many percentage points drawn classes move the accuracy of each of K samples."""
    classes = table.shape[1]
    weights = rng.multinomial(classes, np.full(classes, 1 / classes), size=count).astype(np.float64)
    right, total = (weights @ table[:, :, part].T for part in (0, 1))
    whole = table.sum(axis=1)
    before = whole[:, 0] / np.maximum(whole[:, 1], 1.0)
    # classes without samples may be all that was drawn
    after: np.ndarray = np.where(total > 0, right / np.maximum(total, 1.0), before)
    moved: np.ndarray = 100.0 * (after - before)
    return moved


def class_table(samples: Sequence[Sample]) -> np.ndarray | None:
    """Return (K, C, 2) correct and total of K samples in the C classes that all of them have, or None.

    None where a sample has no counts, or others than the rest: its classes cannot be drawn.
    """
    if not samples or not samples[0].counts:
        return None
    classes = sorted(samples[0].counts)
    if any(sorted(s.counts) != classes for s in samples):
        return None
    return np.array([[s.counts[c] for c in classes] for s in samples], dtype=np.float64)
