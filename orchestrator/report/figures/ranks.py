"""Which rows differ over many class splits: mean ranks, joined where a Nemenyi test sees no difference.

Demšar, Statistical comparisons of classifiers over multiple data sets (JMLR 2006).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dvta.registry import DOTTED
from orchestrator.errors import SettingsError
from orchestrator.report.figures import style
from orchestrator.report.figures.series import Rows
from orchestrator.report.judging import significance
from orchestrator.report.judging.judgement import check_alike
from orchestrator.report.judging.significance import ALPHA, LEAST_MANY, LEAST_ROWS
from orchestrator.report.judging.units import mean, measured, shared_units

LETTER = 0.057  # inches, of a label's 7 points


def scores(rows: Rows, protocol: str) -> dict[str, list[float]]:
    """Return row -> its accuracy in every class split that all rows have, seeds averaged inside.

    Raises:
        SettingsError: trials may not be compared, there are fewer than three rows, or too few class
            splits that all rows have.
    """
    check_alike([v for values in rows.values() for v in values])
    if len(rows) < LEAST_ROWS:
        raise SettingsError(
            f"figure ranks: {len(rows)} rows; a rank test needs three or more, "
            "two are compared by report --compare"
        )
    found = {row: measured(values, protocol) for row, values in rows.items()}
    units = shared_units(found)
    if len(units) < LEAST_MANY:
        raise SettingsError(
            f"figure ranks: {len(units)} class splits have all {len(rows)} rows; a rank diagram needs "
            f"{LEAST_MANY} or more, below that it would show chance"
        )
    return {row: [mean(each[unit]) for unit in units] for row, each in found.items()}


def draw(found: dict[str, list[float]]) -> Any:
    """Return the diagram of :func:`scores`: rows at their mean ranks, bars join what does not differ."""
    import pandas as pd
    import scikit_posthocs

    found = significance.tied_rows(dict(zip(labels(found), found.values(), strict=True)))
    ranks = significance.ranks(found)
    assert ranks is not None
    longest = max(map(len, ranks.mean))
    margin = LETTER * (longest + len(" (1.0)"))
    figure, axes = style.new(width=max(style.COLUMN, 2 * margin + 1.6), height=1.2 + 0.18 * len(found))
    # labels stand outside the axes, which a layout engine would shrink to make room for them
    figure.set_layout_engine(None)
    width, height = figure.get_size_inches()
    axes.set_position((margin / width, 0.04, 1 - 2 * margin / width, 1 - 0.75 / height))
    scikit_posthocs.critical_difference_diagram(
        dict(ranks.mean),
        scikit_posthocs.posthoc_nemenyi_friedman(pd.DataFrame(found)),
        alpha=ALPHA,
        ax=axes,
        color_palette=dict.fromkeys(ranks.mean, style.COLOURS[0]),
        label_props={"fontsize": 7},
        elbow_props={"linewidth": 0.8},
        text_h_margin=0.02,
    )
    axes.set_xticks(range(1, len(found) + 1))
    axes.set_xlim(1, len(found))
    axes.set_title(
        f"mean rank, {ranks.units} class splits, critical difference {ranks.critical_difference:.2f} (α {ALPHA})",
        pad=14,
    )
    return figure


def labels(rows: Iterable[str]) -> list[str]:
    """Return labels of rows: of a method that is named by its path the last part, where that tells it from all others."""
    full = list(rows)
    short = [style.shorten(row.rpartition(".")[2] if DOTTED.match(row) else row) for row in full]
    return [a if short.count(a) == 1 else b for a, b in zip(short, full, strict=True)]
