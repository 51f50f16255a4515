"""A motion classified while it happens: sliding windows over arriving frames, scored by a trained model."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from dvta.errors import DataError, OptionError
from dvta.skeleton.bodies import clean
from dvta.skeleton.ntu import NtuRecording
from dvta.skeleton.preprocess import CLEAN, WINDOWS, frames50, normalise, recipe_of, resample
from dvta.skeleton.sequences import to_ntu
from dvta.skeleton.stream import Frame, Stream

#: seconds of a window, and between two
WINDOW, EVERY = "2s", "0.25s"
FEWEST = 2  # frames of a window
AT_ONCE = 64  # windows scored together, where several are due
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(s?)")


@dataclasses.dataclass(frozen=True)
class Span:
    """A length of time: frames, or seconds where ``seconds``."""

    value: float
    seconds: bool

    @classmethod
    def parse(cls, text: str, what: str) -> Span:
        """Read ``48`` (frames) or ``1.5s``.

        Raises:
            OptionError: it is neither, or nothing.
        """
        match = _SPAN.fullmatch(text.strip())
        span = cls(float(match[1]), match[2] == "s") if match else None
        if span is None or span.value <= 0 or (not span.seconds and span.value != int(span.value)):
            raise OptionError(
                f"{what}: {text!r} is impossible; allowed: frames such as 48, or seconds such as 1.5s"
            )
        return span

    def frames(self, rate: float, least: int) -> int:
        """Return the frames of it at a rate, at least so many."""
        return max(least, round(self.value * rate) if self.seconds else int(self.value))


@dataclasses.dataclass(frozen=True)
class Window:
    """Frames ``start`` up to ``stop`` of a stream with their scores (U,); ``seconds`` is where it ends."""

    start: int
    stop: int
    seconds: float
    scores: Tensor


class Live:
    """Cuts a stream into windows and scores them.

    Windows of equal length begin every few frames, so that a stream in pieces has the same windows as the whole
    recording. A recording shorter than one window is a window by itself.

    Args:
        stream: the recording.
        recipe: as the encoder was trained (:func:`dvta.skeleton.splits.recipe_name`).
        score: from (N, 3, T, 25, M) network input to scores (N, U).
        window, every: how long a window is, and how far apart two begin.
    """

    def __init__(
        self,
        stream: Stream,
        recipe: str,
        score: Callable[[Tensor], Tensor],
        window: Span,
        every: Span,
    ) -> None:
        self._stream, self._recipe, self._score = stream, recipe, score
        self._window, self._every = window, every
        self._frames: list[Frame] = []  # those that a coming window needs
        self._first = self._next = 0  # number of the first of them, and of the next window's first
        self._made = 0

    def push(self, data: bytes) -> list[Window]:
        """Take bytes and return the windows that are complete with them.

        Raises:
            DataError: the recording is malformed.
        """
        return self._take(self._stream.feed(data))

    def finish(self) -> list[Window]:
        """Return the last windows: nothing follows."""
        found = self._take(self._stream.finish())
        if not self._made and len(self._frames) >= FEWEST:
            found = self._scored([(self._first, self._frames)])
        return found

    @property
    def frames(self) -> int:
        """The frames that were taken."""
        return self._first + len(self._frames)

    @property
    def step_seconds(self) -> float:
        """Seconds between two windows; 0 before the first frame."""
        form = self._stream.format
        return self._every.frames(form.rate, 1) / form.rate if form else 0.0

    def _take(self, frames: list[Frame]) -> list[Window]:
        form = self._stream.format
        if form is None:
            return []
        if form.camera and self._recipe == WINDOWS:
            # as when a file is read: windows are of frames that show somebody
            frames = [frame for frame in frames if frame.joints[0].any()]
        self._frames += frames
        length, step = self._window.frames(form.rate, FEWEST), self._every.frames(form.rate, 1)
        due = []
        while self._next + length <= self.frames:
            begin = self._next - self._first
            due.append((self._next, self._frames[begin : begin + length]))
            self._next += step
        gone = min(self._next, self.frames) - self._first
        self._first, self._frames = self._first + gone, self._frames[gone:]
        return self._scored(due)

    def _scored(self, due: Sequence[tuple[int, list[Frame]]]) -> list[Window]:
        """Score windows; one in which nobody is seen has scores that are not a number."""
        form = self._stream.format
        assert form is not None
        self._made += len(due)
        inputs = [prepared(frames, self._recipe) for _, frames in due]
        there = [x for x in inputs if x is not None]
        # bodies may come and go between windows, and the network takes as many as there are at most
        scores = iter([row for run in stacked_runs(there) for row in self._score(run)])
        found = []
        for (start, frames), x in zip(due, inputs, strict=True):
            stop = start + len(frames)
            row = torch.tensor([torch.nan]) if x is None else next(scores)
            found.append(Window(start, stop, stop / form.rate, row))
        return found


def prepared(frames: Sequence[Frame], recipe: str) -> np.ndarray | None:
    """Return the network input (3, T, 25, M) of one window, None where nobody is seen in it."""
    most = max(len(frame.joints) for frame in frames)
    joints = max((frame.joints for frame in frames), key=lambda j: bool(j.any())).shape[1:]
    padded = np.zeros((len(frames), most, *joints), frames[0].joints.dtype)
    ids = np.zeros((len(frames), most), np.int64)
    for index, frame in enumerate(frames):
        if frame.joints.any():
            padded[index, : len(frame.joints)] = frame.joints
            if frame.ids is not None:
                ids[index, : len(frame.ids)] = frame.ids
    if not padded.any():
        return None
    positions = padded if joints[0] == 25 else to_ntu(np.moveaxis(padded, 0, 1))[0]
    if recipe == WINDOWS:
        window = normalise(resample(positions[:, 0], 50)).astype(np.float32)
        return np.ascontiguousarray(window.transpose(2, 0, 1)[..., None])
    centred = frames[0].ids is None  # formats without ids have their origin anywhere
    try:
        if recipe == CLEAN:
            people = clean(NtuRecording(positions, ids)) if ids.any() else positions
            return frames50(people, centred=centred)
        return recipe_of(recipe, centred=centred)(positions)
    except DataError:  # somebody, but never the first body
        return None


def stacked_runs(inputs: Sequence[np.ndarray]) -> list[Tensor]:
    """Return runs of inputs of one shape, stacked."""
    runs: list[list[np.ndarray]] = []
    for x in inputs:
        if runs and runs[-1][0].shape == x.shape and len(runs[-1]) < AT_ONCE:
            runs[-1].append(x)
        else:
            runs.append([x])
    return [torch.from_numpy(np.stack(run)) for run in runs]
