"""The page of a study: one file that holds data, charts, pictures and the program that shows them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from orchestrator.report.page.data import StudyData
from orchestrator.report.page.pictures import Picture

SCRIPTS = ("uplot/uPlot.iife.min.js", "text.js", "tables.js", "details.js", "curves.js", "app.js")
STYLES = ("uplot/uPlot.min.css", "style.css")


def study_page(data: StudyData, pictures: Sequence[Picture], *, protocol: str, watched: bool = False) -> str:
    """Return the page as HTML; it asks for nothing from anywhere.

    Args:
        protocol: the one it opens with. watched: a new page is written while the study runs.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read), autoescape=True, undefined=jinja2.StrictUndefined
    )
    content: dict[str, Any] = {
        **data.content,
        "protocol": protocol,
        "pictures": [dataclasses.asdict(picture) for picture in pictures],
    }
    return environment.get_template("study.html.j2").render(
        title=f"Study {data.name}",
        about=data.content["about"],
        watched=watched,
        styles=[_read(name) for name in STYLES],
        scripts=[_read(name) for name in SCRIPTS],
        content=script_json(content),
        licence=_read("uplot/LICENSE.txt"),
    )


def script_json(content: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    encoded = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    return encoded.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
