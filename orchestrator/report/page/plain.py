"""One HTML page with every table of a study: nothing to serve, nothing to load."""

from __future__ import annotations

import html
from collections.abc import Mapping

from orchestrator.report.render import html_table
from orchestrator.report.table import Table

STYLE = (
    "body{font:16px/1.5 sans-serif;margin:2em auto;max-width:75em;padding:0 1em}td,th{padding:.3em .8em;text-align:right}"
    "th:first-child{text-align:left}table{border-collapse:collapse;border-top:2px solid;border-bottom:2px solid}"
    "thead{border-bottom:1px solid}p{color:#555;margin:.3em 0}section{overflow-x:auto;margin-bottom:3em}"
    ".warn{color:#a40000;font-weight:bold}"
)


def page(title: str, tables: Mapping[str, Table]) -> str:
    """Return the page: a list of contents, then the tables with their captions."""
    links = "".join(f'<li><a href="#{name}">{html.escape(t.title)}</a></li>' for name, t in tables.items())
    sections = "\n".join(f'<section id="{name}">{html_table(t)}</section>' for name, t in tables.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n<h1>{html.escape(title)}</h1>\n<ul>{links}</ul>\n{sections}\n</html>\n"
    )
