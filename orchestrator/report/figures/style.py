"""How every figure looks: sizes, colours, lines, the mark of simulated data, and how it becomes a file."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

COLUMN, TEXT = 3.4, 7.0  # inches: one column of a two-column paper, and both
NOTE = 0.12  # inches above the figure for what it is drawn from
#: the colours of Okabe and Ito (2008), told apart by colour-blind readers; yellow is left out as too light.
#: Lines and markers differ too, for grey prints
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SEQUENTIAL, DIVERGING = "viridis", "PuOr"
ENDINGS = ("png", "svg", "pdf")

_SETTINGS: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "dvta-orch",  # the same figure is the same file
}


def pyplot() -> Any:
    """Return matplotlib's pyplot with these settings, drawing into files."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update(_SETTINGS)
    return plt


def new(
    rows: int = 1, columns: int = 1, *, width: float = COLUMN, height: float = 2.4, **options: Any
) -> Any:
    """Return a figure and its axes; sizes in inches."""
    return pyplot().subplots(rows, columns, figsize=(width, height), layout="constrained", **options)


def looks() -> Iterator[dict[str, Any]]:
    """Yield colour, line and marker of one series after another, all distinct for the first 49."""
    for repeat in itertools.count():
        for i, colour in enumerate(COLOURS):
            yield {
                "color": colour,
                "linestyle": LINES[(i + repeat) % len(LINES)],
                "marker": MARKERS[(i + repeat) % len(MARKERS)],
            }


def epochs_axis(axes: Any) -> None:
    """Show whole epochs only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.set_xlabel("epoch")


def shorten(name: str, most: int = 28) -> str:
    """Return a label that fits beside an axis."""
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def legend_below(figure: Any, labels: Iterable[str]) -> None:
    """Put the legend under the axes, in two columns where the names are short enough."""
    narrow = max(map(len, labels), default=0) <= 17
    figure.legend(loc="outside lower center", ncols=2 if narrow else 1, handlelength=3)


def mark_simulated(figure: Any) -> None:
    """Write across the figure that its data are simulated, so that it never looks like a real one."""
    figure.text(
        0.5, 0.5, "SIMULATED", color="#a40000", alpha=0.22, ha="center", va="center", rotation=25,
        fontsize=min(10 * figure.get_figwidth(), 16 * figure.get_figheight()), fontweight="bold", zorder=100,
    )  # fmt: skip


def write(figure: Any, ending: str, *, of: str, simulated: bool) -> bytes:
    """Return the figure as a file and close it.

    Args:
        ending: one of :data:`ENDINGS`. of: what it is drawn from, printed above it.
    """
    if engine := figure.get_layout_engine():
        engine.set(rect=(0, 0, 1, 1 - NOTE / figure.get_figheight()))
    figure.text(
        0.99, 0.995, f"SIMULATED data · {of}" if simulated else of, fontsize=6, ha="right", va="top",
        color="#a40000" if simulated else "#595959",
    )  # fmt: skip
    if simulated:
        mark_simulated(figure)
    file = io.BytesIO()
    # a file says nothing of when it was drawn, so that equal figures are equal files
    stamps = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    box = None if figure.get_layout_engine() else "tight"
    figure.savefig(file, format=ending, dpi=200, metadata=stamps.get(ending), bbox_inches=box)
    pyplot().close(figure)
    return file.getvalue()
