"""Which methods differ over many class splits: mean ranks, joined where a Nemenyi test sees no difference.

Demšar, Statistical comparisons of classifiers over multiple data sets (JMLR 2006).
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.errors import SettingsError
from orchestrator.report.figures import style
from orchestrator.report.figures.series import Rows

if TYPE_CHECKING:
    import pandas as pd

#: the class splits below which a diagram would pretend to know more than it does
LEAST_UNITS = 10
ALPHA = 0.05


@dataclasses.dataclass(frozen=True)
class Ranks:
    """Mean ranks, 1 is best, over ``units`` class splits, and the p-value of every pair of rows."""

    mean: Mapping[str, float]
    units: int
    p: pd.DataFrame


def units(rows: Rows, protocol: str) -> dict[tuple[str, str], dict[str, float]]:
    """Return (data set, split) -> row -> accuracy over its seeds; only of splits that all rows have."""
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row, values in rows.items():
        for v in values:
            accuracy = v.value(protocol)
            if accuracy is not None:
                place = str(v.config["dataset"]), str(v.config["split"])
                found.setdefault(place, {}).setdefault(row, []).append(accuracy)
    return {
        place: {row: statistics.fmean(x) for row, x in each.items()}
        for place, each in found.items()
        if len(each) == len(rows)
    }


def ranks(rows: Rows, protocol: str) -> Ranks:
    """Return the mean ranks of rows.

    Raises:
        SettingsError: there are fewer than three rows, or too few class splits that all rows have.
    """
    if len(rows) < 3:
        raise SettingsError(
            f"figure ranks: {len(rows)} rows; a rank test needs three or more, "
            "two are compared by report --compare"
        )
    measured = units(rows, protocol)
    if len(measured) < LEAST_UNITS:
        raise SettingsError(
            f"figure ranks: {len(measured)} class splits have all {len(rows)} rows; a rank diagram needs "
            f"{LEAST_UNITS} or more, below that it would show chance"
        )
    import pandas as pd
    import scikit_posthocs

    frame = pd.DataFrame.from_dict(measured, orient="index", columns=list(rows)).reset_index(drop=True)
    mean = frame.rank(axis=1, ascending=False).mean()
    p = scikit_posthocs.posthoc_nemenyi_friedman(frame)
    return Ranks({str(row): float(mean[row]) for row in mean.sort_values().index}, len(frame), p)


def draw(found: Ranks) -> Any:
    """Return the diagram: rows at their mean ranks, bars join what does not differ."""
    import scikit_posthocs

    figure, axes = style.new(height=1.1 + 0.2 * len(found.mean))
    scikit_posthocs.critical_difference_diagram(
        dict(found.mean),
        found.p,
        alpha=ALPHA,
        ax=axes,
        color_palette=dict.fromkeys(found.mean, style.COLOURS[0]),
        label_props={"fontsize": 7},
        elbow_props={"linewidth": 0.8},
        text_h_margin=0.02,
    )
    axes.set_title(f"mean rank, {found.units} class splits, α {ALPHA}", pad=14)
    return figure
