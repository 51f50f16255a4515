"""How accuracy answers to one number of the configuration, such as γ or τ: a line a row, bands over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dvta.errors import did_you_mean
from orchestrator.errors import SettingsError
from orchestrator.records import CellValue
from orchestrator.report.figures import style
from orchestrator.report.figures.series import Band, done, response_band
from orchestrator.trial import format_value, varying

DECADE = 10  # a range that spans it is drawn logarithmic
#: names that follow from the number, or are spread over
_BESIDE = {"data_digest", "revision", "depends_on"}


def numeric_names(values: Sequence[CellValue]) -> list[str]:
    """Return the configuration names under which done trials have two numbers or more."""
    configs = [v.config for v in done(values)]
    return [
        name
        for name in varying(configs, _BESIDE)
        if len({c[name] for c in configs if _is_number(c.get(name))}) > 1
    ]


def responses(values: Sequence[CellValue], axis: str, protocol: str) -> dict[str, Band]:
    """Return label -> accuracy in % over the values of ``axis``; a line for all else that varies.

    Raises:
        SettingsError: the name is unknown or has fewer than two numbers.
    """
    allowed = numeric_names(values)
    if axis not in allowed:
        raise SettingsError(
            f"--rows {axis}: no number that varies among the done trials{did_you_mean(axis, allowed)}; "
            f"allowed: {', '.join(allowed) or 'none'}"
        )
    trials = [v for v in done(values) if _is_number(v.config.get(axis))]
    others = _telling([v.config for v in trials], axis)
    points: dict[str, dict[float, list[tuple[int | None, float]]]] = {}
    for v in trials:
        label = ", ".join(f"{n} {format_value(v.config.get(n))}" for n in others)
        accuracy = v.value(protocol)
        if accuracy is not None:
            at = points.setdefault(label, {}).setdefault(float(v.config[axis]), [])
            at.append((v.seed, 100 * accuracy))
    return {label: response_band(found) for label, found in points.items() if len(found) > 1}


def _telling(configs: Sequence[Mapping[str, Any]], axis: str) -> list[str]:
    """Return the names that tell the lines apart: what varies, without what follows from the method."""
    others = varying(configs, {*_BESIDE, axis})
    if "method" not in others:
        return list(others)
    values = {n: {(c["method"], format_value(c.get(n))) for c in configs} for n in others}
    methods = len(values["method"])
    return [n for n in others if n == "method" or len(values[n]) > methods]


def draw(found: Mapping[str, Band], axis: str) -> Any:
    """Return the figure of some responses."""
    if not found:
        raise SettingsError(f"figure response: no row has two values of {axis}")
    many = len(found) > 1
    figure, axes = style.new(height=2.3 + (0.14 * len(found) if many else 0))
    for (label, curve), look in zip(found.items(), style.looks(), strict=False):
        name = f"{style.shorten(label, 44)} (n={curve.n})" if label else f"n={curve.n}"
        axes.plot(curve.x, curve.mean, label=name, **look)
        if curve.n > 1:
            axes.fill_between(curve.x, curve.low, curve.high, color=look["color"], alpha=0.15, linewidth=0)
    x = [value for curve in found.values() for value in curve.x]
    if min(x) > 0 and max(x) / min(x) >= DECADE:
        axes.set_xscale("log")
    ticks = sorted(set(x))
    if len(ticks) <= 7:
        axes.set_xticks(ticks, [format_value(int(t) if t.is_integer() else t) for t in ticks])
        axes.xaxis.set_minor_locator(style.pyplot().NullLocator())
    axes.set(xlabel=axis, ylabel="accuracy (%)")
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    if many:
        figure.legend(loc="outside lower center", handlelength=3)
    else:
        axes.legend()
    return figure


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
