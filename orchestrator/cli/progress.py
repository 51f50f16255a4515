"""What a person sees while a sweep runs: a live display on a terminal, log lines elsewhere."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from orchestrator.cli import output
from orchestrator.report.terminal import plain_console
from orchestrator.store import Claim
from orchestrator.trial import State, Trial, classes_measured

ERROR = "red"  # the style of what --quiet shows, too


@dataclasses.dataclass
class _Running:
    name: str
    epochs: int
    classes: str
    epoch: int = 0
    accuracy: float | None = None


class SweepProgress:
    """A :class:`orchestrator.sweep.Display` that shows a sweep.

    On a terminal: an overall bar with the time left, a line per running trial, failures as they
    happen. Elsewhere: a line for every failure and a summary line at most every ``LINE_SECONDS``.
    ``--verbose`` adds a line when a trial starts and when it is done; ``--quiet`` leaves failures only.
    """

    LINE_SECONDS = 10.0
    SHOWN = 12

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or plain_console(sys.stderr)
        self._running: dict[str, _Running] = {}
        self._ended = dict.fromkeys(State, 0)
        self.begin(0, lambda trial: trial.key, simulated=False)

    def begin(self, total: int, name: Callable[[Trial], str], *, simulated: bool) -> None:
        """Prepare for ``total`` trials, called by ``name``."""
        self._total, self._name = total, name
        self._began = time.monotonic()
        self._line_at = self._began
        marked = [TextColumn("simulated data", style="yellow", markup=False)] if simulated else []
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            *marked,
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=self._console,
            expand=True,
        )
        self._task = self._bar.add_task("trials", total=total, left="")
        terminal = self._console.is_terminal and not output.quiet
        self._live = Live(self, console=self._console, refresh_per_second=4) if terminal else None

    def say(self, line: str, *, error: bool = False) -> None:
        """Print a line."""
        self._print(line, "", ERROR if error else "yellow")

    def __enter__(self) -> SweepProgress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __rich__(self) -> Group:
        """Return the display of this moment."""
        grid = Table.grid(padding=(0, 2))
        for running in list(self._running.values())[: self.SHOWN]:
            accuracy = (
                "" if running.accuracy is None else f"{100 * running.accuracy:5.1f} % on {running.classes}"
            )
            grid.add_row(Text(running.name, "cyan"), f"epoch {running.epoch}/{running.epochs}", accuracy)
        return Group(self._bar, grid)

    def started(self, trial: Trial, claim: Claim) -> None:
        """Show a trial as running; say when it goes on from a checkpoint."""
        epochs = int(trial.training.get("epochs") or 0)
        name = self._name(trial) if self._live else ""  # it is looked up in the store
        self._running[trial.key] = _Running(name, epochs, classes_measured(trial.config()), claim.epoch)
        if claim.resumed:
            self._print("resumed ", self._name(trial))
        elif output.verbose:
            self._print("started ", self._name(trial))

    def epoch(self, trial: Trial, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show the newest epoch of a running trial."""
        running = self._running.get(trial.key)
        if running and epoch > running.epoch:
            running.epoch, running.accuracy = epoch, metrics.get("accuracy")
        self._line()

    def restarted(self, trial: Trial, error: str) -> None:
        """Say that a trial's worker died."""
        self._print("restarted ", f"{self._name(trial)}: {error}")

    def ended(self, trial: Trial, state: State, message: str) -> None:
        """Advance the bar; say what failed and why, at once."""
        self._running.pop(trial.key, None)
        self._ended[state] += 1
        if state is State.INTERRUPTED:
            self._print("interrupted ", f"{self._name(trial)} (resumable)")
            return
        self._bar.update(self._task, advance=1, left=self._left())
        if state is State.FAILED:
            self._print("failed ", f"{self._name(trial)}: {message}", ERROR)
        elif output.verbose:
            self._print(f"{state} ", self._name(trial))
        self._line()

    def _finished(self) -> int:
        return sum(self._ended[state] for state in State if state.is_finished)

    def _left(self) -> str:
        finished = self._finished()
        if not finished or finished >= self._total:
            return ""
        seconds = (time.monotonic() - self._began) / finished * (self._total - finished)
        return f"about {duration(seconds)} left"

    def _line(self) -> None:
        now, finished = time.monotonic(), self._finished()
        if self._live or (now - self._line_at < self.LINE_SECONDS and finished < self._total):
            return
        self._line_at = now
        failed = f", {self._ended[State.FAILED]} failed" if self._ended[State.FAILED] else ""
        left = self._left()
        self._print("", f"{finished}/{self._total} trials ended{failed}" + (f", {left}" if left else ""))

    def _print(self, word: str, rest: str, style: str = "yellow") -> None:
        """Print a line whose first word is in colour; nothing in it is markup."""
        if output.quiet and style != ERROR:
            return
        line = Text.assemble((word, style), rest)
        (self._live.console if self._live else self._console).print(line, soft_wrap=True)


def stderr_console() -> Console:
    """Return the console for talk: standard error, so that output can be piped; ``--quiet`` silences it."""
    console = plain_console(sys.stderr)
    console.quiet = output.quiet
    return console


def duration(seconds: float) -> str:
    """Return a length of time for people: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
