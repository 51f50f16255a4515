"""Answers while a motion happens, and how long they took."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable

import numpy as np
import torch
import typer

from dvta.errors import DataError
from dvta.live import Live, Span, Window
from dvta.predict import Ranked, ranked
from dvta.skeleton.motion import Reading
from dvta.skeleton.stream import Stream
from orchestrator.cli.asked import Asked
from orchestrator.cli.common import counted
from orchestrator.cli.follow import Chunk, follow
from orchestrator.execute.trained import TrainedTrial

NONE = "none of these"
NOBODY = "nobody"


@dataclasses.dataclass(frozen=True)
class Watching:
    """How a stream is watched: length and distance of windows, seconds of silence that end a file, least share."""

    window: Span
    every: Span
    idle: float
    temperature: float = 1.0
    reject: float | None = None
    as_json: bool = False


@dataclasses.dataclass
class Latencies:
    """Seconds from the arrival of a window's last frame to its answer."""

    live: list[float] = dataclasses.field(default_factory=list)
    before: int = 0
    late: int = 0

    def add(self, seconds: float, step: float, *, before: bool) -> None:
        """Take one; windows that were there before watching began are only counted."""
        if before:
            self.before += 1
            return
        self.live.append(seconds)
        self.late += seconds > step

    def said(self, frames: int, step: float) -> str:
        """Return the whole in a sentence."""
        count = len(self.live) + self.before
        parts = [f"{counted(count, 'window')} of {counted(frames, 'frame')}, all answered"]
        if self.before:
            parts.append(f"{self.before} of them were there before")
        if self.live:
            median, most = np.percentile(self.live, (50, 99))
            parts.append(
                f"latency: median {1e3 * median:.1f} ms, 99th percentile {1e3 * most:.1f} ms, "
                f"longest {1e3 * max(self.live):.1f} ms"
            )
            parts.append(f"{self.late} late (answered after the next was due, {step:.3g} s)")
        return "; ".join(parts)


def watch(
    trained: TrainedTrial,
    source: str,
    asked: Asked,
    model: str | None,
    how: Reading,
    watching: Watching,
    say: Callable[[str], None],
) -> Latencies:
    """Print an answer for every window of a stream until it ends or is interrupted; then how long they took.

    Raises:
        DataError: the stream is malformed, or the trial has no encoder.
    """
    trained.need_encoder(source)
    recipe = trained.recipe
    assert recipe is not None
    trained.adapt(text := trained.text(asked.phrases, asked.contexts, model))
    stream = Stream(source, how)

    def score(x: torch.Tensor) -> torch.Tensor:
        features = trained.encode(x)
        with torch.inference_mode():
            return trained.method.class_scores(features, text)

    live, latencies = Live(stream, recipe, score, watching.window, watching.every), Latencies()

    def answer(windows: list[Window], chunk: Chunk) -> None:
        for window in windows:
            found = (
                []
                if window.scores.isnan().any()
                else ranked(window.scores, asked.phrases, watching.temperature)
            )
            seconds = time.perf_counter() - chunk.arrived
            line = told(window, found, watching, seconds)
            # counted first: who reads the line and interrupts at once finds it counted
            latencies.add(seconds, live.step_seconds, before=chunk.before)
            typer.echo(line)

    said = 0
    chunk = Chunk(b"", time.perf_counter())
    try:
        for chunk in follow(source, watching.idle, say):
            if _changed(asked, say):
                trained.adapt(text := trained.text(asked.phrases, asked.contexts, model))
                say(f"phrases: {', '.join(asked.phrases)}")
            answer(live.push(chunk.data), chunk)
            form = stream.format
            if form is not None and len(form.said) > said:
                say("; ".join(form.said[said:]))
                said = len(form.said)
            if form is not None and form.complete:
                break
        answer(live.finish(), dataclasses.replace(chunk, data=b""))
    except KeyboardInterrupt:
        say("interrupted")
    finally:
        say(latencies.said(live.frames, live.step_seconds))
    return latencies


def told(window: Window, found: list[Ranked], watching: Watching, seconds: float) -> str:
    """Return one answer as a line, of text or JSON."""
    name = answer_of(found, watching.reject)
    if watching.as_json:
        ranking = [dataclasses.asdict(entry) for entry in found]
        about = {"from": window.start, "to": window.stop, "seconds": round(window.seconds, 3)}
        return json.dumps(
            {**about, "answer": name, "ranking": ranking, "latency_ms": round(1e3 * seconds, 2)}
        )
    others = ", ".join(f"{entry.phrase} {100 * entry.probability:.1f} %" for entry in found)
    return f"{window.seconds:8.2f} s  {name}  ({others})" if found else f"{window.seconds:8.2f} s  {name}"


def answer_of(found: list[Ranked], reject: float | None) -> str:
    """Return the best phrase, or that it is none of them, or that nobody is seen."""
    if not found:
        return NOBODY
    return NONE if reject is not None and found[0].probability < reject else found[0].phrase


def calibrated(trained: TrainedTrial, reject: float | None) -> float:
    """Return the temperature that shares need to be held against a bound; 1 without one.

    Raises:
        DataError: there is nothing to fit one on.
    """
    if reject is None:
        return 1.0
    if trained.temperature is None:
        raise DataError(
            f"--reject {reject:g}: the shares of trial {trained.trial.key[:10]} cannot be calibrated: its features have "
            "no test samples of two seen classes (gtest.npy); allowed: without --reject"
        )
    return trained.temperature


def _changed(asked: Asked, say: Callable[[str], None]) -> bool:
    """Return whether the phrases are others now; a file that cannot be read is said, and the phrases stay."""
    try:
        return asked.changed()
    except DataError as error:
        say(f"{error}; the phrases stay as they were")
        return False
