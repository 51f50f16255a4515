"""One raw recording as samples: named, labelled network input."""

from __future__ import annotations

import dataclasses

import numpy as np

from dvta.errors import DataError
from dvta.skeleton import bodies, ntu, pku
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.motion import read_clip
from dvta.skeleton.preprocess import CLEAN, cmu_windows, frames50, recipe_of
from dvta.skeleton.tasks import Task

Row = tuple[str, int, np.ndarray]


class EmptyRecordingError(SkeletonError):
    """A recording shows nobody; the data set has such, and they are always left out."""


@dataclasses.dataclass(frozen=True)
class Processed:
    """What a file became: samples (name, class id, network input), how it was read, and what is wrong with it."""

    rows: list[Row]
    said: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    ignored: int = 0


def process(task: Task) -> Processed:
    """Turn one file into samples.

    Raises:
        SkeletonError: the file is broken or shows nobody.
    """
    try:
        if task.kind == "ntu":
            return _process_ntu(task)
        if task.kind == "pku":
            return _process_pku(task)
        clip = read_clip(task.path, task.how)
        windows, starts = cmu_windows(clip.joints)
    except SkeletonError:
        raise
    except DataError as error:
        raise SkeletonError(task.path, str(error)) from error
    rows = [
        (f"{task.name}:{start}", task.label, window.transpose(2, 0, 1)[..., None])
        for window, start in zip(windows, starts, strict=True)
    ]
    return Processed(rows, clip.said)


def _process_ntu(task: Task) -> Processed:
    recorded = ntu.read_ntu(task.path)
    if not recorded.positions.any():
        raise EmptyRecordingError(task.path, "no frame shows a person")
    positions = bodies.clean(recorded) if task.recipe == CLEAN else recorded.positions
    sample = frames50(positions) if task.recipe == CLEAN else recipe_of(task.recipe)(positions)
    return Processed([(task.name, task.label, sample)], problems=bodies.problems(recorded))


def _process_pku(task: Task) -> Processed:
    assert task.labels is not None
    shape, rows, ignored = recipe_of(task.recipe), [], 0
    for name, label, positions in pku.instances(task.path, task.labels):
        if name in task.ignore:
            ignored += 1
        # a stretch in which nobody was tracked is no sample; the rest of the file is
        elif positions[:, 0, 0].any():
            rows.append((name, label, shape(positions)))
    return Processed(rows, ignored=ignored)
