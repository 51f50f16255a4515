"""Every figure by its name, and the names of the paper's figures: from a request to a drawing."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dvta import datasets
from dvta.errors import did_you_mean
from orchestrator.errors import SettingsError
from orchestrator.records import ASIDE
from orchestrator.report.figures import (
    classes,
    confusion,
    curves,
    ranks,
    representations,
    response,
    search,
    similarity,
    skeletons,
    style,
)
from orchestrator.report.figures.series import by_rows, done, kept, one_place
from orchestrator.report.table import averaged, choose, group
from orchestrator.settings import Settings
from orchestrator.store import CellValue, Store
from orchestrator.tables import layout

if TYPE_CHECKING:
    from orchestrator.execute.trained import TrainedTrial

#: figure of the paper -> figure here
PAPER = {"4": "representations", "5": "curves", "6": "classes", "7": "similarity", "8": "skeletons"}
#: what the paper draws in those that come from a table
PAPER_TABLES = {"5": "table5", "6": "table6"}
#: what each figure can be told, beside the study
TAKES = {
    "curves": ("table", "rows", "where", "metric"),
    "classes": ("table", "rows", "where", "against", "protocol"),
    "response": ("table", "rows", "where", "protocol"),
    "ranks": ("table", "rows", "where", "protocol"),
    "search": ("plot", "cell"),
    **dict.fromkeys(("confusion", "similarity", "representations", "skeletons", "4", "7", "8"), ("trial",)),
    "5": ("metric",),
    "6": ("protocol",),
}
OPTIONS = {name for names in TAKES.values() for name in names}
SDE_COLUMN, WITHOUT_SDE, WITH_SDE = "NTU-120 96/24", "BERT w/o SDE", "BERT w/ SDE"


@dataclasses.dataclass(frozen=True)
class Request:
    """What a person wants drawn.

    Attributes:
        name: of :data:`FIGURES`, or of the paper, 4 to 8.
        study, table: where trials come from; the newest study, its grid or only table without them.
        rows: a configuration name whose values are the lines; of ``response`` the number on the axis.
        where: configuration names -> printed values that trials must have.
        against: ``classes``: the row that another, ``rows``-wise, is compared with.
        metric: ``curves``: what is drawn over the epochs.
        plot, cell: ``search``: which plot, and of which cell.
        trained: makes the trained trial to look into.
    """

    name: str
    store: Store
    settings: Settings
    study: str | None = None
    table: str | None = None
    rows: str | None = None
    where: Mapping[str, str] = dataclasses.field(default_factory=dict)
    against: str | None = None
    metric: str | None = None
    protocol: str = "final"
    plot: str = "history"
    cell: str | None = None
    trained: Callable[[], TrainedTrial] | None = None

    @functools.cached_property
    def found(self) -> tuple[str, list[CellValue]]:
        """The study's name and the values of its table."""
        table = PAPER_TABLES.get(self.name) or (
            layout(self.table).name if self.table not in (None, "grid") else self.table
        )
        study_id, name = self.store.find_study(self.study, table)
        values = self.store.cells(study_id, table)
        if table is None:
            values = [v for v in values if v.table not in ASIDE]
        tables = list(dict.fromkeys(v.table for v in values))
        if len(tables) > 1:
            names = " or ".join(t.removeprefix("table") for t in tables)
            raise SettingsError(f"study {name!r} has {len(tables)} tables; give --table {names}")
        return name, kept(values, self.where)

    def look_into(self) -> TrainedTrial:
        """Return the trained trial.

        Raises:
            SettingsError: none was given.
        """
        if self.trained is None:
            raise SettingsError(f"figure {self.name}: looks into one trial; give it with --trial")
        return self.trained()


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A figure that is not yet a file: matplotlib's, what it is of, and whether data are simulated."""

    figure: Any
    of: str
    simulated: bool

    def write(self, ending: str) -> bytes:
        """Return it as a file and close it; see :func:`orchestrator.report.figures.style.write`."""
        return style.write(self.figure, ending, of=self.of, simulated=self.simulated)


def draw(request: Request) -> Drawn:
    """Draw what was asked for.

    Raises:
        SettingsError: there is no such figure, nothing to draw in it, or the trial's method has no
            such parts.
    """
    name = PAPER.get(request.name, request.name)
    if name not in FIGURES:
        allowed = [*FIGURES, *PAPER]
        raise SettingsError(
            f"figure {request.name}: unknown{did_you_mean(request.name, allowed)}; allowed: {', '.join(allowed)}"
        )
    _check_options(request)
    return FIGURES[name](request)


def _check_options(request: Request) -> None:
    """Refuse an option that would change nothing in the figure."""
    takes = TAKES[request.name]
    for field in dataclasses.fields(Request):
        name = "trial" if field.name == "trained" else field.name
        usual = {} if field.name == "where" else field.default
        if name in OPTIONS and name not in takes and getattr(request, field.name) != usual:
            raise SettingsError(
                f"figure {request.name}: --{name} does nothing; it takes {', '.join(f'--{each}' for each in takes)}"
            )


def _curves(request: Request) -> Drawn:
    study, values = request.found
    metric, title = request.metric or "loss", ""
    rows = by_rows(values, request.rows)
    if request.name == "5":
        column = values[0].column if values else ""
        title = f"Activation, {column}"
        rows = {row: done(vs) for (row, where), vs in group(values).items() if where == column and done(vs)}
    if not rows:
        where = f" Table 5 has no done trials in {values[0].column if values else ''}" if title else ""
        raise SettingsError(f"figure {request.name}:{where or f' study {study!r} has no done trials yet'}")
    figure = curves.draw(curves.bands(request.store, rows, metric), metric, title)
    return _of_study(figure, study, values, rows)


def _classes(request: Request) -> Drawn:
    study, values = request.found
    store, protocol = request.store, request.protocol
    if request.name == "6":
        return _sde(request)
    trials = _some(done(values), request, study)
    dataset, split = one_place(trials, "classes")
    names = datasets.get(dataset).class_names
    rows = by_rows(trials, request.rows)
    title = f"{dataset} {split}"
    if request.against is None:
        figure = classes.draw(classes.of_rows(store, rows, protocol, names), title)
        return _of_study(figure, study, trials, rows)
    against = choose("--against", request.against, tuple(rows))
    others = [row for row in rows if row != against]
    if len(others) != 1:
        raise SettingsError(
            f"--against {against}: {len(others)} other rows ({', '.join(others) or 'none'}); allowed: one, "
            "chosen with --where"
        )
    change = classes.changes(store, rows[against], rows[others[0]], protocol, names)
    title = f"{others[0]} minus {against}, {title}"
    return _of_study(classes.draw_changes(change, title), study, trials, rows)


def _sde(request: Request) -> Drawn:
    """Draw Fig. 6: what SDE changes in the accuracy of every unseen class (Table 6, Sentence-BERT)."""
    study, values = request.found
    cells = group(values)
    before, after = (cells.get((row, SDE_COLUMN), []) for row in (WITHOUT_SDE, WITH_SDE))
    names = datasets.get("ntu120").class_names
    change = classes.changes(request.store, done(before), done(after), request.protocol, names)
    if not change:
        raise SettingsError(
            f"figure 6: Table 6 has no done trials of BERT with and without SDE in {SDE_COLUMN}"
        )
    return _of_study(classes.draw_changes(change, f"Adding SDE, {SDE_COLUMN}"), study, [*before, *after])


def _response(request: Request) -> Drawn:
    study, values = request.found
    trials = _some(done(values), request, study)
    allowed = response.numeric_names(trials)
    axis = request.rows or (allowed[0] if len(allowed) == 1 else None)
    if axis is None:
        raise SettingsError(
            f"figure response: give the number on the axis with --rows; allowed: {', '.join(allowed) or 'none'}"
        )
    return _of_study(response.draw(response.responses(trials, axis, request.protocol), axis), study, trials)


def _ranks(request: Request) -> Drawn:
    study, values = request.found
    found = ranks.scores(by_rows(values, request.rows or "method"), request.protocol)
    return _of_study(ranks.draw(found), study, values)


def _search(request: Request) -> Drawn:
    study_id, study = request.store.find_study(request.study, "search" if request.study is None else None)
    values = request.store.cells(study_id)
    measured = next((v.column for v in values if v.table == "search"), "accuracy")
    found = search.studies(request.settings.optuna, study)
    return _of_study(search.draw(found, request.plot, request.cell, measured), study, values)


def _confusion(request: Request) -> Drawn:
    trained = request.look_into()
    return _of_trial(confusion.draw(*confusion.shares(trained)), trained)


def _similarity(request: Request) -> Drawn:
    trained = _dvta(request)
    return _of_trial(similarity.draw(similarity.similarities(trained)), trained)


def _representations(request: Request) -> Drawn:
    trained = _dvta(request)
    return _of_trial(representations.draw(representations.points(trained)), trained)


def _skeletons(request: Request) -> Drawn:
    trained = request.look_into()
    return _of_trial(skeletons.draw(skeletons.strips(trained)), trained)


def _dvta(request: Request) -> TrainedTrial:
    """Return the trained trial of a method that has DVTA's parts."""
    trained = request.look_into()
    for part in ("similarity_matrices", "visual_projector"):
        if not hasattr(trained.method, part):
            raise SettingsError(
                f"figure {request.name}: looks into a dvta trial, {trained.trial.method} has no {part}"
            )
    return trained


def _some(trials: list[CellValue], request: Request, study: str) -> list[CellValue]:
    if not trials:
        raise SettingsError(f"figure {request.name}: study {study!r} has no done trials yet")
    return trials


def _of_study(
    figure: Any, study: str, values: list[CellValue], pooled: Mapping[str, Sequence[CellValue]] | None = None
) -> Drawn:
    """Return a figure of a study; ``pooled`` trials are drawn as one, and what that hides is said."""
    hidden = averaged(pooled or {})
    over = f", averaged over {', '.join(hidden)}" if hidden else ""
    return Drawn(figure, f"study {study}{over}", any(v.source == "simulated" for v in values))


def _of_trial(figure: Any, trained: TrainedTrial) -> Drawn:
    trial = trained.trial
    return Drawn(
        figure,
        f"{trial.method} on {trial.dataset} {trial.split}, trial {trial.key[:10]}",
        trial.source == "simulated",
    )


FIGURES: dict[str, Callable[[Request], Drawn]] = {
    "curves": _curves,
    "classes": _classes,
    "confusion": _confusion,
    "similarity": _similarity,
    "representations": _representations,
    "response": _response,
    "search": _search,
    "skeletons": _skeletons,
    "ranks": _ranks,
}
