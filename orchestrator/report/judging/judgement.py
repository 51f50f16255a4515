"""One judgement of the rows of a study: a number with its interval for each, and every pair compared."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Mapping, Sequence

from dvta.errors import did_you_mean
from orchestrator.errors import SettingsError
from orchestrator.records import ACCURACY, CellValue
from orchestrator.report.judging import significance
from orchestrator.report.judging.bootstrap import Interval, Run, interval
from orchestrator.report.judging.significance import Posterior, Ranks
from orchestrator.report.judging.units import Counts, Measured, Unit, alike, mean, measured, shared_units
from orchestrator.report.number import GAIN, NEVER_AVERAGED
from orchestrator.trial import format_value, varying

ROPE = 1.0  # percentage points
#: results that can be judged as an accuracy can: more is better, and all is 1
SHARES = (
    *(f"gzsl_{name}" for name in ("seen", "unseen", "harmonic", "ausuc", "test_tuned_harmonic")),
    *(f"gzsl_stacking_{name}" for name in ("seen", "unseen", "harmonic")),
    "open_set_auroc",
)
#: what differs inside a row by its nature
WITHIN = frozenset({"seed", "dataset", "split", "data_digest", "revision", "candidates"})


@dataclasses.dataclass(frozen=True)
class RowJudgement:
    """A row over the class splits that all rows have.

    Attributes:
        mean: over the splits, each the mean over its seeds. interval: of it; None where nothing can be drawn.
        units: class splits. own_units: those the row has itself. seeds: the fewest and the most of a split.
        gain: best minus final in percentage points, None of other quantities than an accuracy.
        rank: mean rank, None below ten splits.
    """

    row: str
    mean: float
    interval: Interval | None
    units: int
    own_units: int
    seeds: tuple[int, int]
    gain: float | None
    rank: float | None


@dataclasses.dataclass(frozen=True)
class PairJudgement:
    """A row minus another over the class splits and seeds that both have.

    Attributes:
        differences: one a class split. p: of Wilcoxon's test, holm: corrected for all pairs of the
            judgement; None below six splits. posterior: None below ten.
    """

    row: str
    other: str
    mean: float
    interval: Interval | None
    differences: tuple[float, ...]
    seeds: tuple[int, int]
    p: float | None
    holm: float | None
    posterior: Posterior | None


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What may be concluded.

    Attributes:
        ranks: None for fewer than three rows or ten splits. rope: half the region of equivalence.
        averaged: row -> configuration names in which its trials differ, so that its number is a mean over them.
        left_out: rows without a class split that is measured.
    """

    study: str
    quantity: str
    protocol: str
    simulated: bool
    measured_on: str
    rows: tuple[RowJudgement, ...]
    pairs: tuple[PairJudgement, ...]
    ranks: Ranks | None
    units: tuple[Unit, ...]
    rope: float
    averaged: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...]


def judge(
    rows: Mapping[str, Sequence[CellValue]],
    *,
    study: str,
    protocol: str,
    quantity: str = ACCURACY,
    against: str | None = None,
    rope: float = ROPE,
    counts: Mapping[int, Counts] | None = None,
    measured_on: str = "",
) -> Judgement:
    """Judge rows by their trials.

    Args:
        rows: row -> its done trials, of any data sets, splits and seeds.
        against: the one row all others are compared with; without it every pair is compared.
        counts: attempt id -> class id -> (correct, total), for the intervals.

    Raises:
        SettingsError: trials may not be averaged, nothing is measured, or no class split has all rows.
    """
    check_alike([v for values in rows.values() for v in values])
    if quantity != ACCURACY and quantity not in SHARES:
        raise SettingsError(
            f"--quantity {quantity}: is no share of which more is better{did_you_mean(quantity, SHARES)}; "
            f"allowed: {', '.join([ACCURACY, *SHARES])}"
        )
    found = {row: measured(values, protocol, quantity, counts=counts) for row, values in rows.items()}
    left_out = tuple(row for row, units in found.items() if not units)
    found = {row: units for row, units in found.items() if units}
    if not found:
        there = {n for values in rows.values() for v in values for n in v.results}
        known = [ACCURACY, *(name for name in SHARES if name in there)]
        raise SettingsError(
            f"--quantity {quantity}: no done trial of study {study!r} has it{did_you_mean(quantity, known)}; "
            f"allowed: {', '.join(known)}"
        )
    shared = shared_units(found)
    if not shared:
        have = ", ".join(f"{row} {len(units)}" for row, units in found.items())
        raise SettingsError(
            f"no class split has all rows (class splits of each: {have}); choose rows that share some with --where"
        )
    if against is not None and against not in found:
        raise SettingsError(
            f"--against {against!r}: is no row with measured trials{did_you_mean(against, found)}; "
            f"allowed: {', '.join(found)}"
        )
    ranks = significance.ranks({row: [mean(units[u]) for u in shared] for row, units in found.items()})
    gains = {row: _gain(rows[row], shared) if quantity == ACCURACY else None for row in found}
    order = sorted(found, key=lambda row: -statistics.fmean(mean(found[row][u]) for u in shared))
    return Judgement(
        study=study,
        quantity=quantity,
        protocol=protocol,
        simulated=any(v.source == "simulated" for values in rows.values() for v in values),
        measured_on=measured_on,
        rows=tuple(_row(row, found[row], shared, gains[row], ranks) for row in order),
        pairs=_pairs(found, order, against, rope),
        ranks=ranks,
        units=tuple(shared),
        rope=rope,
        averaged={row: names for row in order if (names := _averaged(rows[row]))},
        left_out=left_out,
    )


def check_alike(values: Sequence[CellValue]) -> None:
    """Refuse trials whose numbers do not compare.

    Raises:
        SettingsError: real data beside simulated, or validation classes beside test classes.
    """
    for name in NEVER_AVERAGED:
        different = sorted({format_value(v.config.get(name)) for v in values})
        # an accuracy on unseen classes is the same beside a gate
        if len(different) > 1 and set(different) != {"gzsl", "unseen"}:
            raise SettingsError(
                f"trials of {name} {' and '.join(different)}, which are never compared; "
                f"choose with --where {name}={different[0]}"
            )


def _averaged(values: Sequence[CellValue]) -> tuple[str, ...]:
    """Return the names in which the trials of one unit and seed differ."""
    places: dict[tuple[object, ...], list[CellValue]] = {}
    for v in values:
        places.setdefault((v.config.get("dataset"), v.config.get("split"), v.seed), []).append(v)
    names: set[str] = set()
    for same in places.values():
        names |= set(varying([v.config for v in same], without=WITHIN))
    return tuple(sorted(names))


def _gain(values: Sequence[CellValue], shared: Sequence[Unit]) -> float | None:
    gains = measured(values, GAIN)
    units = [mean(gains[u]) for u in shared if u in gains]
    return statistics.fmean(units) if units else None


def _row(
    row: str, units: Measured, shared: Sequence[Unit], gain: float | None, ranks: Ranks | None
) -> RowJudgement:
    runs: list[list[Run]] = [
        [[(1 / len(samples), s) for s in samples] for samples in units[u].values()] for u in shared
    ]
    counts = [len(units[u]) for u in shared]
    return RowJudgement(
        row=row,
        mean=statistics.fmean(mean(units[u]) for u in shared),
        interval=interval(runs),
        units=len(shared),
        own_units=len(units),
        seeds=(min(counts), max(counts)),
        gain=gain,
        rank=ranks.mean[row] if ranks else None,
    )


def _pairs(
    found: Mapping[str, Measured], order: Sequence[str], against: str | None, rope: float
) -> tuple[PairJudgement, ...]:
    wanted = (
        itertools.combinations(order, 2)
        if against is None
        else ((row, against) for row in order if row != against)
    )
    pairs = [pair for row, other in wanted if (pair := _pair(row, other, found[row], found[other], rope))]
    tested = [pair.p for pair in pairs if pair.p is not None]
    corrected = iter(significance.holm(tested))
    return tuple(
        pair if pair.p is None else dataclasses.replace(pair, holm=next(corrected)) for pair in pairs
    )


def _pair(row: str, other: str, left: Measured, right: Measured, rope: float) -> PairJudgement | None:
    """Return the comparison of two rows; None where they share no class split and seed."""
    runs: list[list[Run]] = []
    for unit in left:
        mine, theirs = alike(left[unit], right.get(unit, {}))
        if not mine or not theirs:
            continue
        if len(mine) != len(theirs):  # repeats of a search against seeds: their means alone are paired
            mine, theirs = [list(itertools.chain(*mine))], [list(itertools.chain(*theirs))]
        runs.append(
            [
                [*((1 / len(a), s) for s in a), *((-1 / len(b), s) for s in b)]
                for a, b in zip(mine, theirs, strict=True)
            ]
        )
    if not runs:
        return None
    differences = tuple(
        statistics.fmean(sum(factor * s.value for factor, s in run) for run in unit) for unit in runs
    )
    return PairJudgement(
        row=row,
        other=other,
        mean=statistics.fmean(differences),
        interval=interval(runs),
        differences=differences,
        seeds=(min(map(len, runs)), max(map(len, runs))),
        p=significance.signed_rank_p(differences),
        holm=None,
        posterior=significance.posterior(differences, rope),
    )
