"""A table as LaTeX for a paper: booktabs, a short caption, notes below, what all trials share in a comment."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dvta import datasets
from orchestrator.report.number import GAIN, Number
from orchestrator.report.table import Table
from orchestrator.tables import DATASETS, GENERALISED

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "τ": r"$\tau$", "γ": r"$\gamma$", "±": r"$\pm$",
    "—": "---", "Δ": r"$\Delta$", "→": r"$\to$", "×": r"$\times$", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "≥": r"$\geq$", "≤": r"$\leq$",
}  # fmt: skip
# points: of a column of a two-column paper, of a page of either kind, of a character, between columns
COLUMN_WIDTH, PAGE_WIDTH, CHARACTER, GAP = 235.0, 340.0, 4.6, 12.0
SMALL = 0.66  # of a character, in the lines below a number
HIGHER_IS_BETTER = frozenset(GENERALISED.values())


def latex(table: Table, *, siunitx: bool = False) -> str:
    """Return the table as a LaTeX float.

    The best number of a column of accuracies is bold, the second underlined. Columns of a data set
    stand under its name; a table that is too wide for a page is cut between data sets into several
    below each other, each with all rows.

    Args:
        siunitx: align numbers at the decimal point, with the package of that name.
    """
    count = _count(table)
    body = _Body(table, siunitx=siunitx, counted=count is None)
    width = body.width(table.columns)
    chunks = [table.columns] if width <= PAGE_WIDTH else body.chunks(PAGE_WIDTH)
    kind = "table" if width <= COLUMN_WIDTH else "table*"
    warning, notes, comments = _lines(table, count)
    title = re.sub(r"^Table \d+: ", "", table.title)
    needs = ["booktabs", "siunitx"] if siunitx else ["booktabs"]
    lines = [
        *(f"% needs \\usepackage{{{package}}}" for package in needs),
        *(f"% {escape(comment)}" for comment in comments),
        f"\\begin{{{kind}}}",
        "\\centering",
        f"\\caption{{{escape('. '.join([title, *warning]))}}}",
        f"\\label{{tab:{_slug(table.title)}}}",
        "\\footnotesize",
        *([r"\sisetup{mode=text,reset-text-series=false}"] if siunitx else []),
    ]
    for chunk in chunks:
        lines += [*body.tabular(chunk), "\\par\\smallskip"]
    lines += [
        "\\begin{minipage}{\\linewidth}",
        "\\scriptsize\\raggedright",
        " ".join(f"{escape(note)}." for note in notes),
        "\\end{minipage}",
        f"\\end{{{kind}}}",
    ]
    return "\n".join(lines) + "\n"


class _Body:
    """The cells of a table and how wide they are."""

    def __init__(self, table: Table, *, siunitx: bool, counted: bool) -> None:
        self._table, self._siunitx, self._counted = table, siunitx, counted
        self._marks = {
            (row, column): mark
            for column in table.columns
            for row, mark in _marked({r: table.numbers[r, column] for r in table.rows}).items()
        }

    def tabular(self, columns: Sequence[str]) -> list[str]:
        each = "S[table-format=2.2]@{\\,}l" if self._siunitx else "r"
        lines = [f"\\begin{{tabular}}{{@{{}}l{each * len(columns)}@{{}}}}", "\\toprule", *self._head(columns)]
        lines.append("\\midrule")
        for row in self._table.rows:
            numbers = [self._table.numbers[row, c] for c in columns]
            cells = [
                self._number(n, self._marks.get((row, c))) for c, n in zip(columns, numbers, strict=True)
            ]
            lines.append(" & ".join([escape(row), *cells]) + r" \\")
            for below in (_interval, _paper, _paired):
                texts = [below(n) for n in numbers]
                if any(texts):
                    small = [self._over(f"\\tiny {escape(t)}" if t else "", "r") for t in texts]
                    lines.append(" & ".join(["", *small]) + r" \\")
        return [*lines, "\\bottomrule", "\\end{tabular}"]

    def width(self, columns: Sequence[str]) -> float:
        """Return about how many points wide the columns are with the labels."""
        labels = max(map(len, (self._table.row_name, *self._table.rows)))
        return CHARACTER * labels + sum(map(self._column_width, columns)) + GAP

    def chunks(self, width: float) -> list[Sequence[str]]:
        """Return the columns in pieces that fit, cut between data sets where that is possible."""
        chunks: list[list[str]] = [[]]
        for group in _groups(self._table.columns):
            if chunks[-1] and self.width([*chunks[-1], *group]) > width:
                chunks.append([])
            for column in group:
                if chunks[-1] and self.width([*chunks[-1], column]) > width:
                    chunks.append([])
                chunks[-1].append(column)
        return list(chunks)

    def _column_width(self, column: str) -> float:
        numbers = [self._table.numbers[row, column] for row in self._table.rows]
        texts = [f"{_mean(n)} {self._rest(n)}" for n in numbers]
        small = [below(n) for n in numbers for below in (_interval, _paper, _paired)]
        longest = max(len(_within(column)), *map(len, texts), *(SMALL * len(t) for t in small))
        return CHARACTER * longest + GAP

    def _head(self, columns: Sequence[str]) -> list[str]:
        groups = _groups(columns)
        per = 2 if self._siunitx else 1
        lines = []
        if any(_dataset(column) for column in columns):
            above, rules, at = [], [], 2
            for group in groups:
                span = per * len(group)
                above.append(f"\\multicolumn{{{span}}}{{c}}{{{escape(_dataset(group[0]) or '')}}}")
                if _dataset(group[0]):
                    rules.append(f"\\cmidrule(lr){{{at}-{at + span - 1}}}")
                at += span
            lines += [" & ".join(["", *above]) + r" \\", "".join(rules)]
        heads = [self._over(escape(_within(column)), "c" if self._siunitx else "r") for column in columns]
        return [*lines, " & ".join([escape(self._table.row_name), *heads]) + r" \\"]

    def _over(self, text: str, align: str) -> str:
        """Return a text over both parts of a number's column."""
        return f"\\multicolumn{{2}}{{{align}}}{{{text}}}" if self._siunitx else text

    def _number(self, number: Number, mark: str | None) -> str:
        mean, rest = escape(_mean(number)), escape(self._rest(number))
        if not self._siunitx:
            shown = f"\\{mark}{{{mean}}}" if mark else mean
            return f"{shown} {rest}".strip()
        if number.mean is None:
            return f"{{{mean}}} &"
        shown = {None: mean, "textbf": f"\\bfseries {mean}"}.get(mark, f"{{\\{mark}{{{mean}}}}}")
        return f"{shown} & {rest}"

    def _rest(self, number: Number) -> str:
        """Return what stands behind a mean: spreads, and n where the numbers of a table differ in it."""
        spread = "" if number.std is None else f"± {number.std:.2f}"
        splits = "" if number.split_std is None else f" / {number.split_std:.2f}"
        if not self._counted or number.mean is None:
            return spread + splits
        count = f"{number.n}" if number.n == number.expected else f"{number.n} of {number.expected}"
        return f"{spread}{splits} (n={count})"


def _mean(number: Number) -> str:
    if number.mean is None:
        return "—"
    return f"{number.mean:+.2f}" if number.protocol == GAIN else f"{number.mean:.2f}"


def _interval(number: Number) -> str:
    return "" if number.low is None else f"[{number.low:.2f}, {number.high:.2f}]"


def _paper(number: Number) -> str:
    if number.paper is None:
        return ""
    return f"paper {number.paper}" + ("" if number.difference is None else f", {number.difference:+.2f}")


def _paired(number: Number) -> str:
    return "" if number.paired is None else str(number.paired)


def _marked(numbers: dict[str, Number]) -> dict[str, str]:
    """Return the rows of the best and the second printed number of a column, with their marks."""
    shown = {
        row: round(n.mean, 2)
        for row, n in numbers.items()
        if n.mean is not None
        and (n.quantity in HIGHER_IS_BETTER or (n.protocol is not None and n.protocol != GAIN))
    }
    order = sorted(set(shown.values()), reverse=True)
    if len(order) < 2:
        return {}
    marks = dict(zip(order, ("textbf", "underline"), strict=False))
    return {row: marks[value] for row, value in shown.items() if value in marks}


def _count(table: Table) -> tuple[int, int] | None:
    """Return the n that all numbers share, and out of how many; None where they differ."""
    counts = {(n.n, n.expected) for n in table.numbers.values() if n.mean is not None}
    return counts.pop() if len(counts) == 1 else None


def _lines(table: Table, count: tuple[int, int] | None) -> tuple[list[str], list[str], list[str]]:
    """Return the caption's lines by where they stand: in the caption, in the note, in a comment."""
    warning = [line for line in table.caption if line.startswith("SIMULATED")]
    comments = [line for line in table.caption if line.startswith("all trials: ")]
    notes = [line for line in table.caption if line not in (*warning, *comments)]
    if count is not None:
        notes.append(f"n={count[0]}" if count[0] == count[1] else f"n={count[0]} of {count[1]}")
    if any(n.split_std is not None for n in table.numbers.values()):
        notes.append("behind /: ± between the splits")
    if any(_marked({r: table.numbers[r, c] for r in table.rows}) for c in table.columns):
        notes.append("bold: the best of a column, underlined: the second")
    return warning, notes, comments


def _dataset(column: str) -> str | None:
    """Return the data set a column's name begins with, where more follows."""
    first, _, rest = column.partition(" ")
    return first if rest and first in (*DATASETS.values(), *datasets.names()) else None


def _within(column: str) -> str:
    """Return a column's name without its data set."""
    return column.partition(" ")[2] if _dataset(column) else column


def _groups(columns: Sequence[str]) -> list[list[str]]:
    """Return the columns with neighbours of one data set together."""
    found: list[list[str]] = []
    for column in columns:
        if found and _dataset(column) and _dataset(column) == _dataset(found[-1][-1]):
            found[-1].append(column)
        else:
            found.append([column])
    return found


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.partition(":")[0].lower()).strip("-")


def escape(value: str) -> str:
    """Return a text that LaTeX shows as it is."""
    # a bracket or a star at the beginning would be an argument of the line above
    guard = "{}" if value[:1] in ("[", "*") else ""
    return guard + "".join(_LATEX.get(character, character) for character in value)
