"""Which of the bodies that a depth camera tracked is a person: problems of NTU recordings, and the clean recipe."""

from __future__ import annotations

import dataclasses

import numpy as np

from dvta.errors import DataError
from dvta.skeleton.ntu import NtuRecording

#: a track of fewer frames beside a longer one is a ghost, as in CTR-GCN's denoising by length
SHORTEST = 11
#: metres: joints of a living body sway more than this around their mean
STILL = 0.005

PROBLEMS = (
    "nobody in a frame before the last person",
    "the main actor is not always the first body",
    "a body that is no person",
    "more than two bodies",
)


@dataclasses.dataclass(frozen=True)
class Track:
    """One body through a recording: where it is tracked (F,) bool, and its positions (F, 25, 3), else zero."""

    present: np.ndarray
    positions: np.ndarray

    @property
    def motion(self) -> float:
        """Metres: the mean standard deviation of the joints around their mean places."""
        seen = self.positions[self.present].astype(np.float64)
        return float(np.sqrt(seen.var(0).sum(-1)).mean())


def tracks(recording: NtuRecording) -> list[Track]:
    """Return the bodies of a recording by their ids, the one that moves most first."""
    shown = recording.positions.any((2, 3))  # (F, M)
    found = []
    for body in np.unique(recording.body_ids[shown]):
        mask = shown & (recording.body_ids == body)
        present = mask.any(1)
        positions = np.zeros((len(mask), *recording.positions.shape[2:]), recording.positions.dtype)
        positions[present] = recording.positions[present, mask[present].argmax(1)]
        found.append(Track(present, positions))
    return sorted(found, key=lambda track: -track.motion)


def persons(found: list[Track]) -> list[Track]:
    """Return the tracks that are persons: long enough and moving, unless none would be left."""
    for keep in (lambda t: t.present.sum() >= SHORTEST, lambda t: t.motion >= STILL):
        found = [track for track in found if keep(track)] or found
    return found


def problems(recording: NtuRecording) -> tuple[str, ...]:
    """Return which of ``PROBLEMS`` a recording has; the published recipe takes such recordings as they are."""
    found = tracks(recording)
    if not found:
        return ()
    people = persons(found)
    anybody: np.ndarray = np.asarray(recording.positions.any((1, 2, 3)))
    main = people[0]
    first = recording.positions[:, 0]
    has = (
        not anybody[: int(np.flatnonzero(anybody)[-1]) + 1].all(),
        bool((first[main.present] != main.positions[main.present]).any()),
        len(people) < len(found),
        len(people) > 2,
    )
    return tuple(name for name, true in zip(PROBLEMS, has, strict=True) if true)


def clean(recording: NtuRecording) -> np.ndarray:
    """Return the two most moving persons, the main actor first, in the frames that show the main actor.

    Tracks are followed by body id; ghosts (short or motionless tracks beside others) are dropped.

    Returns:
        (F', 2, 25, 3) positions; a second person is zero where absent.

    Raises:
        DataError: no frame shows a person.
    """
    people = persons(tracks(recording))[:2]
    if not people:
        raise DataError("no frame shows a person")
    rows = people[0].present
    chosen = np.zeros((int(rows.sum()), 2, *recording.positions.shape[2:]), recording.positions.dtype)
    for index, track in enumerate(people):
        chosen[:, index] = track.positions[rows]
    return chosen
