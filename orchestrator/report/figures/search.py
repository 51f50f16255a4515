"""What a search found, by Optuna's own plots: history, parallel coordinates, importances."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from dvta.errors import did_you_mean
from orchestrator.errors import SettingsError
from orchestrator.report.figures import style

if TYPE_CHECKING:
    import optuna

PLOTS = ("history", "parallel", "importances")
LEAST = {"history": 1, "parallel": 2, "importances": 4}  # told candidates below which a plot says nothing


def studies(url: str, study: str) -> dict[str, optuna.Study]:
    """Return cell -> Optuna's study of a study's searches; Optuna's database is only read.

    Raises:
        SettingsError: there is no database, or no search of that study.
    """
    import optuna

    from orchestrator.search.optuna_storage import open_storage

    missing = SettingsError(f"figure search: study {study!r} has no search in {sa.make_url(url)!r}")
    address = sa.make_url(url)
    if address.get_backend_name() == "sqlite":
        from pathlib import Path

        if not (address.database and Path(address.database).is_file()):
            raise missing
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(url)
    names = [n for n in optuna.get_all_study_names(storage) if n.startswith(f"{study}:")]
    if not names:
        raise missing
    return {
        n.removeprefix(f"{study}:"): optuna.load_study(study_name=n, storage=storage) for n in sorted(names)
    }


def told(study: optuna.Study) -> int:
    """Return how many candidates have a value."""
    from optuna.trial import TrialState

    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def importances(study: optuna.Study) -> dict[str, float]:
    """Return parameter -> importance, the largest first; empty below four told candidates."""
    import optuna

    if told(study) < LEAST["importances"]:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def choose_cell(found: dict[str, optuna.Study], cell: str | None) -> str:
    """Return the cell a person means, by its name or a part that only one has.

    Raises:
        SettingsError: none or several fit.
    """
    near = [name for name in found if cell is None or cell == name or cell in name]
    exact = [name for name in near if name == cell]
    if len(exact or near) == 1:
        return (exact or near)[0]
    raise SettingsError(
        f"--cell {cell or 'is needed'}: {len(near)} searches fit{did_you_mean(cell, list(found)) if cell else ''}; "
        f"allowed: {', '.join(found)}"
    )


def draw(found: dict[str, optuna.Study], plot: str, cell: str | None, measured: str) -> Any:
    """Return the figure of one of :data:`PLOTS`: the history of all cells, the others of one.

    Args:
        measured: on which classes the candidates' accuracy is, such as ``validation accuracy``.

    Raises:
        SettingsError: an unknown plot, an unknown cell or too few candidates.
    """
    from optuna.visualization import matplotlib as plots

    if plot not in PLOTS:
        raise SettingsError(f"--plot {plot}: unknown{did_you_mean(plot, PLOTS)}; allowed: {', '.join(PLOTS)}")
    chosen = list(found) if plot == "history" and cell is None else [choose_cell(found, cell)]
    if max(told(found[c]) for c in chosen) < LEAST[plot]:
        raise SettingsError(f"figure search: {plot} needs {LEAST[plot]} candidates with a value")
    plt = style.pyplot()
    # Optuna's plots switch to a style of their own
    with warnings.catch_warnings(), plt.rc_context():
        warnings.simplefilter("ignore")
        _plot(plots, plot, [found[c] for c in chosen], measured)
        return _fit(plt.gcf(), plot, chosen, measured)


def _plot(plots: Any, plot: str, chosen: list[optuna.Study], measured: str) -> None:
    import optuna

    if plot == "history":
        plots.plot_optimization_history(chosen, target_name=measured)
    elif plot == "parallel":
        plots.plot_parallel_coordinate(chosen[0], target_name=measured)
    else:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        plots.plot_param_importances(chosen[0], evaluator=evaluator, target_name=measured)


def _fit(figure: Any, plot: str, cells: list[str], measured: str) -> Any:
    """Bring Optuna's figure to the size and colours of the others."""
    figure.set_size_inches(style.TEXT if plot == "parallel" else style.COLUMN, 2.6)
    # its parallel axes are of no size that a layout could stretch
    figure.set_layout_engine("none" if plot == "parallel" else "constrained")
    figure.patch.set_facecolor("white")
    for axes in figure.axes:
        for place in ("left", "center", "right"):
            axes.set_title("", loc=place, fontsize=8)
        axes.xaxis.label.set_size(8)
        axes.yaxis.label.set_size(8)
        axes.tick_params(labelsize=7, colors="black", labelcolor="black")
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color("black")
    first = figure.axes[0]
    if plot == "parallel":
        for lines in first.collections:
            lines.set(cmap=style.SEQUENTIAL, linewidth=1.2)
        figure.text(0.02, 0.955, f"{cells[0]}: every candidate, coloured by its {measured}", fontsize=8)
        return figure
    first.set_facecolor("white")
    first.spines[["left", "bottom"]].set(visible=True, color="black")
    first.grid(color="#dddddd", linewidth=0.5)
    if plot == "history":
        _recolour(figure, first, cells)
        first.set_ylabel(measured)
    else:
        _plain_bars(first, cells[0])
    return figure


def _plain_bars(axes: Any, cell: str) -> None:
    for bar in axes.patches:
        bar.set_color(style.COLOURS[0])
    old = axes.get_legend()
    if old is not None:
        old.remove()
    for text in axes.texts:
        text.set(fontsize=7, text=f" {text.get_text().strip()}")
    axes.set(xlim=(0, 1.08), xlabel="importance (fANOVA)", ylabel="")
    axes.set_title(style.shorten(cell, 48), fontsize=8)
    axes.set_axisbelow(True)


def _recolour(figure: Any, axes: Any, cells: list[str]) -> None:
    """Give the points and the line of a cell one colour, and the lines their styles."""
    from matplotlib.ticker import MaxNLocator

    looks = [look for look, _ in zip(style.looks(), cells, strict=False)]
    drawn = [points for points in axes.collections if len(points.get_offsets())]
    for points, look in zip(drawn, looks, strict=False):
        points.set(facecolor=look["color"], edgecolor="none", alpha=0.8)
        points.set_sizes([14])
    for line, look in zip(axes.lines, looks, strict=False):
        line.set(color=look["color"], linestyle=look["linestyle"], linewidth=1.3, alpha=1)
    old = axes.get_legend()
    if old is not None:
        old.remove()
    axes.set_title("candidates, and the best so far", fontsize=8)
    axes.set(xlabel="candidate")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_axisbelow(True)
    if len(cells) > 1:
        names = [style.shorten(c, 48) for c in cells]
        figure.legend(list(axes.lines)[: len(cells)], names, loc="outside lower center", handlelength=3)
        figure.set_size_inches(style.COLUMN, 2.3 + 0.14 * len(cells))
