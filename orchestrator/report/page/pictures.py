"""The figures a study can fill, as images inside the page."""

from __future__ import annotations

import base64
import dataclasses
import functools
import html
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvta.errors import DvtaError
from orchestrator.records import ASIDE, CellValue
from orchestrator.report.figures import Request, draw
from orchestrator.report.figures.response import numeric_names
from orchestrator.report.figures.search import studies
from orchestrator.report.figures.series import done
from orchestrator.settings import Settings
from orchestrator.store import Store
from orchestrator.trial import Kind

if TYPE_CHECKING:
    from orchestrator.execute.trained import TrainedTrial

log = logging.getLogger(__name__)
MOST_RESPONSES, MOST_CELLS = 4, 8
INSIDE = ("confusion", "similarity", "representations", "skeletons")  # look into a trained trial


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image of the page.

    Attributes:
        title: its heading. alt: what it shows, in words. src: a ``data:`` address.
        command: what draws it again as a file.
    """

    title: str
    alt: str
    src: str
    command: str


def pictures(store: Store, settings: Settings, study: str) -> list[Picture]:
    """Return the pictures that the study can fill; those inside a trial where weights were kept."""
    study_id, _ = store.find_study(study)
    values = store.cells(study_id)
    asked = [*_of_tables(values), *_of_search(settings, study, values), *_of_trial(settings, values)]
    found = (_picture(store, settings, study, title, alt, options) for title, alt, options in asked)
    return [picture for picture in found if picture is not None]


_Asked = tuple[str, str, dict[str, Any]]


def _of_tables(values: list[CellValue]) -> Iterator[_Asked]:
    tables = dict.fromkeys(v.table for v in values if v.table not in ASIDE)
    for table in tables:
        mine = done([v for v in values if v.table == table])
        if not mine:
            continue
        chosen = {} if len(tables) == 1 else {"table": table.removeprefix("table")}
        label = "" if len(tables) == 1 else f" ({table})"
        many = len({(v.row, v.column) for v in mine}) > 14
        for metric, title in (("loss", "Training loss"), ("accuracy", "Accuracy over the epochs")):
            if not many:
                yield f"{title}{label}", f"{title} of every row, bands over seeds", {
                    "name": "curves", "metric": metric, **chosen,
                }  # fmt: skip
        for axis in numeric_names(mine)[:MOST_RESPONSES]:
            yield f"Accuracy over {axis}{label}", f"Accuracy answering to {axis}", {
                "name": "response", "rows": axis, **chosen,
            }  # fmt: skip
        places = {(v.config["dataset"], v.config["split"]) for v in mine}
        if len(places) == 1 and not many:
            yield f"Accuracy of every class{label}", "Accuracy of every class for every row", {
                "name": "classes", **chosen,
            }  # fmt: skip
        yield f"Mean ranks of methods{label}", "Mean ranks over class splits", {"name": "ranks", **chosen}


def _of_search(settings: Settings, study: str, values: list[CellValue]) -> Iterator[_Asked]:
    if not any(v.table == "search" for v in values):
        return
    try:
        cells = list(studies(settings.optuna, study))
    except DvtaError as error:
        log.info("no pictures of the search: %s", error)
        return
    yield (
        "Search history",
        "Accuracy of every candidate and the best so far",
        {
            "name": "search",
        },
    )
    for plot, title in (("importances", "Importances"), ("parallel", "Parallel coordinates")):
        for cell in cells[:MOST_CELLS]:
            yield f"{title}: {cell}", f"{title} of the search in {cell}", {
                "name": "search", "plot": plot, "cell": cell,
            }  # fmt: skip


def _of_trial(settings: Settings, values: list[CellValue]) -> Iterator[_Asked]:
    """Yield what looks into the most accurate trial of the study whose weights were kept."""
    kept = [
        v
        for v in done(values)
        if v.config.get("kind") == Kind.ALIGNMENT
        and v.config.get("evaluate_on") == "unseen"
        and Path(f"{settings.runs}/models/{v.key}.pt").is_file()
    ]
    if not kept:
        return
    best = max(kept, key=lambda v: v.final or 0.0)
    for name in INSIDE:
        title = {"skeletons": "Unseen recordings"}.get(name, name.capitalize())
        yield f"{title} of the most accurate trial", f"{title} of trial {(best.key or '')[:10]}", {
            "name": name, "trial": best.key,
        }  # fmt: skip


def _picture(
    store: Store, settings: Settings, study: str, title: str, alt: str, options: dict[str, Any]
) -> Picture | None:
    key = options.get("trial")
    trained = None if key is None else functools.partial(_load, store, settings, key)
    asked = {name: value for name, value in options.items() if name != "trial"}
    try:
        drawn = draw(Request(store=store, settings=settings, study=study, trained=trained, **asked))
    except DvtaError as error:
        # what cannot be filled is left out; the command of the figure says why
        log.info("no picture %r: %s", title, error)
        return None
    data = base64.b64encode(drawn.write("png")).decode()
    words = [f"--{name} {_quoted(value)}" for name, value in options.items() if name != "name"]
    if key is None:
        words.insert(0, f"--study {study}")
    command = " ".join(["dvta-orch figure", options["name"], *words, f"--output {options['name']}.pdf"])
    marked = f"SIMULATED data. {alt}" if drawn.simulated else alt
    return Picture(title, html.unescape(marked), f"data:image/png;base64,{data}", command)


def _load(store: Store, settings: Settings, key: str) -> TrainedTrial:
    # a study without kept weights needs no PyTorch
    from orchestrator.execute.trained import load_trained

    return load_trained(store, settings, store.trial(key), lambda line: None)


def _quoted(value: str) -> str:
    import shlex

    return shlex.quote(value[:16] if len(value) == 64 else value)
