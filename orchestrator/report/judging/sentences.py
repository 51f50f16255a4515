"""What a judgement says in words: how its numbers are made, and what they cannot say."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.report.captions import PROTOCOLS, SIMULATED
from orchestrator.report.judging.bootstrap import LEVELS
from orchestrator.report.judging.judgement import Judgement
from orchestrator.report.judging.significance import LEAST_MANY, LEAST_ROWS, LEAST_UNITS

FEW_SPLITS = 10  # below, a percentile interval over splits is visibly too narrow


def sentences(found: Judgement) -> tuple[str, ...]:
    """Return the lines under a judgement, the warning of simulated data first."""
    warning = (SIMULATED,) if found.simulated else ()
    return (*warning, *_what(found), *_interval(found), *_pairs(found), *_ranks(found))


def _what(found: Judgement) -> Iterator[str]:
    units = len(found.units)
    what = f"accuracy on {found.measured_on}" if found.quantity == "accuracy" else found.quantity
    yield (
        f"study {found.study}; {what} in %; the unit is the class split of a data set, seeds averaged inside; "
        f"{_count(units, 'class split')} that all rows have"
    )
    if found.quantity == "accuracy":
        yield PROTOCOLS[found.protocol]
        yield (
            "best - final: what choosing the epoch on the test classes is worth, in percentage points; "
            "it is no accuracy anybody would get"
        )
    for row in found.rows:
        if row.own_units > row.units:
            yield f"{row.row}: has {row.own_units} class splits, of which {row.units} are in all rows and count"
    for name, names in found.averaged.items():
        yield f"{name}: averages trials that differ in {', '.join(names)}"
    for name in found.left_out:
        yield f"{name}: left out, no class split of it is measured"


def _interval(found: Judgement) -> Iterator[str]:
    levels = {level for row in found.rows if row.interval for level in row.interval.levels}
    if not levels:
        yield "no intervals: one class split with one seed and no classes stored has nothing to draw"
        return
    order = [level for level in LEVELS if level in levels]
    shared = "; seeds of a split share one draw of its classes" if {"seed", "class"} <= levels else ""
    yield (f"interval: 95 % percentile interval of a hierarchical bootstrap over {' → '.join(order)}{shared}")
    units = len(found.units)
    if "split" not in levels:
        yield "one class split: no interval says anything of other unseen classes"
    elif units < FEW_SPLITS:
        yield (
            f"{units} class splits: a bootstrap over so few is too narrow, by about "
            f"{100 * (1 - ((units - 1) / units) ** 0.5):.0f} % and more; read it as at least so wide"
        )
    if "seed" not in levels:
        yield "one seed: the spread between seeds is not in the intervals"
    if "class" not in levels:
        yield "accuracies of single classes are not stored for this number, so classes are not drawn"
    yield (
        "it cannot say how far off all numbers are together: splits of one data set share its samples, "
        "recordings and texts, and an encoder that has seen unseen classes helps in every split"
    )


def _pairs(found: Judgement) -> Iterator[str]:
    if not found.pairs:
        return
    counts = [len(pair.differences) for pair in found.pairs]
    yield "Δ: mean difference over the class splits and seeds that both rows have, with its interval"
    if max(counts) < LEAST_UNITS:
        yield (
            f"no p-values: {_count(max(counts), 'class split')}; a two-sided signed-rank test cannot fall below "
            f"0.05 under {LEAST_UNITS}"
        )
    else:
        tested = sum(pair.p is not None for pair in found.pairs)
        yield (
            f"p: Wilcoxon signed-rank over class splits, two-sided, from {LEAST_UNITS} splits on; p Holm: corrected "
            f"for the {_count(tested, 'comparison')} here; a large p is no sign that two rows are alike"
        )
    if max(counts) < LEAST_MANY:
        yield f"no probabilities of being better or equivalent: they need {LEAST_MANY} class splits"
    else:
        yield (
            f"better, same, worse: probabilities of a Bayesian signed-rank test from {LEAST_MANY} splits on, with a "
            f"region of practical equivalence of {found.rope:g} {'point' if found.rope == 1 else 'points'}; "
            "they hold for class splits like these, not for another data set"
        )


def _ranks(found: Judgement) -> Iterator[str]:
    if found.ranks is None:
        if len(found.rows) >= LEAST_ROWS:
            yield f"no ranks: they need {LEAST_MANY} class splits that all rows have"
        return
    yield (
        f"rank: mean over {found.ranks.units} class splits, 1 is best; Friedman p = {found.ranks.p:.3g}; mean ranks "
        f"closer than {found.ranks.critical_difference:.2f} do not differ (Nemenyi, α 0.05); "
        "a rank says nothing of how large a difference is"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
