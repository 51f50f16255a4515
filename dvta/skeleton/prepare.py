"""Preparing a folder of raw recordings: in parallel processes, streaming, with bounded memory."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np

from dvta import datasets
from dvta.arrays import header
from dvta.errors import DataError, OptionError, UnknownNameError, did_you_mean
from dvta.files import RowWriter, check_id, staged_folder, write_json
from dvta.skeleton import clips
from dvta.skeleton.arrays import open_positions, read_labels
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.motion import Reading
from dvta.skeleton.preprocess import CLEAN, RECIPES, WINDOWS, frames_of
from dvta.skeleton.samples import EmptyRecordingError, Processed, process
from dvta.skeleton.splits import CLIPS, read_names
from dvta.skeleton.tasks import Found, Task, clip_tasks, ntu_tasks, pku_tasks

KINDS = ("ntu", "pku", "bvh")
#: the data set that a kind of recordings is, unless the person says another
OWN_DATASET = {"ntu": "ntu60", "pku": "pku", "bvh": "cmu"}
#: windows a class of clip data keeps at most
MOST_WINDOWS = 150

_OF_KIND = {"ntu": ("ntu60", "ntu120"), "pku": ("pku",), "bvh": ("cmu",)}
_TAKES = {
    "ntu": ("protocol", "recipe", "ignore"),
    "pku": ("protocol", "recipe", "ignore"),
    "bvh": ("classes", "add", "joints", "unit", "fps", "first_frame"),
}

Progress = Callable[[int, int, str], None]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What was written.

    Attributes:
        folder: where.
        samples: their number by part.
        skipped: files left out, with the reason.
        absent: clips of the class table, or names of PKU-MMD's list, without a recording.
        unlisted: recordings that the class table lacks.
        replaced: samples of the same folder prepared earlier that are gone, by part.
        said: how recordings were read, with the number of recordings.
        problems: what recordings have, with the number of recordings (NTU).
        ignored: recordings or samples left out by the ignore list.
    """

    folder: Path
    samples: dict[str, int]
    skipped: tuple[tuple[str, str], ...]
    absent: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    replaced: dict[str, int] = dataclasses.field(default_factory=dict)
    said: dict[str, int] = dataclasses.field(default_factory=dict)
    problems: dict[str, int] = dataclasses.field(default_factory=dict)
    ignored: int = 0


def prepare(
    kind: str,
    folder: Path,
    root: Path,
    *,
    dataset: str | None = None,
    protocol: str | None = None,
    recipe: str | None = None,
    ignore: Path | None = None,
    classes: Path | None = None,
    add: bool = False,
    how: Reading | None = None,
    on_error: str = "stop",
    processes: int | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Turn raw recordings into ``<root>/<dataset>/skeletons/<protocol>/``.

    Written are ``{train,val}_position.npy`` (N, 3, 50, 25, 2) float32, ``_label.npy`` (N,) int64,
    ``_name.txt`` and ``about.json``; for ``bvh`` one part ``all`` of windows (N, 3, 50, 25, 1). The folder
    appears complete or not at all; an older one is replaced. The order of samples is that of the
    file names, whatever the number of processes.

    Args:
        kind: ``ntu``, ``pku`` or ``bvh`` (BVH, or ``.amc`` files with their ``.asf`` beside them).
        folder: searched with its subfolders.
        root: the data root.
        dataset: ``ntu60`` (default of ``ntu``), ``ntu120``, ``pku``, ``cmu``, or your own for ``bvh``.
        protocol: ``xsub`` (default), ``xview`` or ``xsetup``.
        recipe: ``frames50`` (default), ``frames300`` (into ``<protocol>_300``), or ``clean`` (``ntu``; into
            ``<protocol>_clean``): bodies told apart before the 50-frame recipe.
        ignore: a list of incomplete recordings (``ntu``), or of samples or recordings (``pku``).
        classes: a table of clips and classes (``bvh``; default: the CMU benchmark's own).
        add: keep the windows of clips prepared earlier that are not in ``folder`` (``bvh``).
        how: joint map, unit and frame rate of the recordings (``bvh``).
        on_error: ``stop`` at the first broken file, or ``skip`` it and name it in the result.
        processes: worker processes; None: one per core, 1: this process.
        progress: called with (files done, files, current file name).

    Raises:
        OptionError: an argument is impossible or has no effect for the kind.
        DataError: no file fits, or a file is broken and ``on_error`` is ``stop``.
    """
    how = how or Reading()
    given = {"protocol": protocol, "recipe": recipe, "ignore": ignore, "classes": classes, "add": add or None}
    given |= {key: value for key, value in dataclasses.asdict(how).items() if value != "auto"}
    dataset = _check_options(kind, dataset, recipe, on_error, given)
    if processes is not None and processes < 1:
        raise OptionError(f"processes: {processes} is impossible; allowed: 1 or more")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found, name = _found(
        kind, folder, root, dataset, protocol or "xsub", recipe or "frames50", ignore, classes, how
    )
    target = root / dataset / "skeletons" / name
    earlier = _earlier(target)
    with staged_folder(target) as stage:
        written = _write(found.tasks, stage, on_error, processes, progress)
        if kind == "bvh":
            written.samples["all"] = _select(stage, [target] if add and target.exists() else [], MOST_WINDOWS)
        if not sum(written.samples.values()):
            first = f"; the first: {written.skipped[0][1]}" if written.skipped else ""
            raise DataError(f"{folder}: every recording was left out{first}")
        about = {
            "dataset": dataset,
            "protocol": name,
            "recipe": WINDOWS if kind == "bvh" else recipe or "frames50",
            "samples": written.samples,
            "skipped": [list(entry) for entry in written.skipped],
            "recordings": len(found.tasks),
            "read": written.said,
            "problems": written.problems,
        }
        write_json(stage / "about.json", about)
    return Prepared(
        target, written.samples, tuple(written.skipped), found.absent, found.unlisted,
        {} if add else earlier, written.said, written.problems, written.ignored + len(found.left_out),
    )  # fmt: skip


def _check_options(
    kind: str, dataset: str | None, recipe: str | None, on_error: str, given: Mapping[str, object]
) -> str:
    """Return the data set's name.

    Raises:
        OptionError: a value is impossible, or an option has no effect for the kind.
        DataError: the data set's name is none of a folder.
    """
    recipes = (*RECIPES, CLEAN) if kind == "ntu" else tuple(RECIPES)
    for name, value, allowed in (
        ("kind", kind, KINDS),
        ("recipe", recipe or "frames50", recipes),
        ("on_error", on_error, ("stop", "skip")),
    ):
        if value not in allowed:
            raise OptionError(
                f"{name}: {value!r} is unknown{did_you_mean(value, allowed)}; allowed: {', '.join(allowed)}"
            )
    for option, present in given.items():
        if present is not None and option not in _TAKES[kind]:
            raise OptionError(f"{option}: has no effect for {kind}; {kind} takes {', '.join(_TAKES[kind])}")
    chosen = dataset or OWN_DATASET[kind]
    check_id("dataset", chosen)
    others = [name for other, names in _OF_KIND.items() if other != kind for name in names]
    if chosen in others or (kind == "ntu" and chosen not in _OF_KIND["ntu"]):
        fitting = ", ".join(_OF_KIND[kind]) + ("" if kind == "ntu" else ", or a name of your own")
        raise OptionError(f"dataset: {chosen!r} is impossible for {kind} recordings; allowed: {fitting}")
    if kind == "bvh" and chosen != "cmu" and given["classes"] is None:
        raise OptionError(
            f"classes: {chosen!r} needs a table of clips and classes (--classes FILE); only cmu has its own"
        )
    return chosen


def _found(
    kind: str, folder: Path, root: Path, dataset: str, protocol: str, recipe: str, ignore: Path | None,
    classes: Path | None, how: Reading,
) -> tuple[Found, str]:  # fmt: skip
    """Return the tasks and the name of the folder to write."""
    if kind == "bvh":
        found, name = clip_tasks(folder, classes, _class_names(dataset, root), how), CLIPS
    else:
        of_kind = (
            ntu_tasks(folder, dataset, protocol, ignore)
            if kind == "ntu"
            else pku_tasks(folder, protocol, ignore)
        )
        tasks = [dataclasses.replace(task, recipe=recipe) for task in of_kind.tasks]
        found = dataclasses.replace(of_kind, tasks=tasks)
        name = protocol + {"frames50": "", "frames300": "_300", CLEAN: f"_{CLEAN}"}[recipe]
    if not found.tasks:
        unlisted = (
            f"; {len(found.unlisted)} recordings in it are not in the class table" if found.unlisted else ""
        )
        raise DataError(f"{folder}: no {kind} recording of {dataset} in it{unlisted}")
    return found, name


def _class_names(dataset: str, root: Path) -> tuple[str, ...] | None:
    try:
        return datasets.get(dataset, root).class_names
    except UnknownNameError:
        return None


def _earlier(target: Path) -> dict[str, int]:
    """Return the numbers of samples prepared earlier, by part."""
    found = {}
    for path in sorted(target.glob("*_position.npy")):
        with contextlib.suppress(DataError):
            found[path.name.partition("_")[0]] = header(path)[0][0]
    return found


@dataclasses.dataclass
class _Written:
    samples: dict[str, int]
    skipped: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    said: dict[str, int] = dataclasses.field(default_factory=dict)
    problems: dict[str, int] = dataclasses.field(default_factory=dict)
    ignored: int = 0

    def count(self, done: Processed) -> None:
        """Add what is said of a file; figures after a colon differ from file to file."""
        for line in done.said:
            key = line.partition(":")[0]
            self.said[key] = self.said.get(key, 0) + 1
        for problem in done.problems:
            self.problems[problem] = self.problems.get(problem, 0) + 1
        self.ignored += done.ignored


def _write(
    tasks: list[Task], stage: Path, on_error: str, processes: int | None, progress: Progress | None
) -> _Written:
    written = _Written({})
    parts = sorted({task.part for task in tasks} | ({"train", "val"} if tasks[0].part != "all" else set()))
    shape = (3, frames_of(tasks[0].recipe), 25, 1 if tasks[0].kind == "bvh" else 2)
    with ExitStack() as stack:
        positions = {
            p: stack.enter_context(RowWriter(stage / f"{p}_position.npy", shape, "<f4")) for p in parts
        }
        labels = {p: stack.enter_context(RowWriter(stage / f"{p}_label.npy", (), "<i8")) for p in parts}
        names = {p: stack.enter_context((stage / f"{p}_name.txt").open("w", encoding="utf-8")) for p in parts}
        results = stack.enter_context(_Ordered(tasks, processes))
        for done, (task, result) in enumerate(results, 1):
            if isinstance(result, SkeletonError):
                if on_error == "stop" and not isinstance(result, EmptyRecordingError):
                    raise result
                written.skipped.append((result.path, str(result)))
            else:
                written.count(result)
                for name, label, sample in result.rows:
                    positions[task.part].append(sample)
                    labels[task.part].append(label)
                    names[task.part].write(name + "\n")
            if progress is not None:
                progress(done, len(tasks), task.path.name)
        written.samples = {part: writer.count for part, writer in positions.items()}
    return written


class _Ordered:
    """Runs tasks in worker processes and gives results in task order, a bounded number ahead."""

    def __init__(self, tasks: list[Task], processes: int | None) -> None:
        self.tasks = tasks
        self.workers = min(processes or os.cpu_count() or 1, len(tasks))
        # spawned workers inherit no threads or locks of this process, as forked ones would
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(self.workers, context) if self.workers > 1 else None

    def __enter__(self) -> Iterator[tuple[Task, Processed | SkeletonError]]:
        return self._results()

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def _results(self) -> Iterator[tuple[Task, Processed | SkeletonError]]:
        if self.pool is None:
            for task in self.tasks:
                yield task, _attempt(task)
            return
        waiting: deque[tuple[Task, Future[Processed | SkeletonError]]] = deque()
        queue = iter(self.tasks)
        while True:
            for upcoming in islice(queue, 4 * self.workers - len(waiting)):
                waiting.append((upcoming, self.pool.submit(_attempt, upcoming)))
            if not waiting:
                return
            task, future = waiting.popleft()
            try:
                yield task, future.result()
            except BrokenProcessPool as error:
                raise SkeletonError(task.path, "the worker process died near this file (memory?)") from error


def _attempt(task: Task) -> Processed | SkeletonError:
    try:
        return process(task)
    except SkeletonError as error:
        return error


def _select(stage: Path, earlier: list[Path], most: int) -> int:
    """Join the windows of clips that are not in ``stage`` to it, keep at most ``most`` a class; returns the count."""
    written: set[str] = set()
    found: list[tuple[int, str, int, int]] = []  # class, clip, folder, row
    arrays: list[np.ndarray] = []
    names: list[list[str]] = []
    for index, folder in enumerate([stage, *earlier]):
        arrays.append(open_positions(folder / "all_position.npy"))
        labels = read_labels(folder / "all_label.npy", len(arrays[-1]))
        names.append(read_names(folder / "all_name.txt", len(labels)))
        owners = [name.rpartition(":")[0] for name in names[-1]]
        found += [(int(labels[i]), o, index, i) for i, o in enumerate(owners) if o not in written]
        written.update(owners)
    if len({array.shape[2:] for array in arrays}) > 1:
        shapes = " and ".join(str(array.shape[2:]) for array in arrays)
        raise SkeletonError(earlier[0], f"windows of {shapes} (frames, joints, persons) cannot be joined")
    found.sort()
    classes = np.array([label for label, *_ in found])
    keep = [clips.evenly(np.flatnonzero(classes == label), most) for label in np.unique(classes)]
    rows = [found[i] for i in np.sort(np.concatenate(keep))] if keep else []
    if len(rows) == len(arrays[0]) and not earlier:
        return len(rows)
    with (
        RowWriter(stage / "kept_position.npy", arrays[0].shape[1:], "<f4") as positions,
        RowWriter(stage / "kept_label.npy", (), "<i8") as ids,
    ):
        for label, _, index, row in rows:
            positions.append(arrays[index][row])
            ids.append(label)
    lines = "".join(names[index][row] + "\n" for _, _, index, row in rows)
    (stage / "all_name.txt").write_text(lines, encoding="utf-8")
    for kind in ("position", "label"):
        os.replace(stage / f"kept_{kind}.npy", stage / f"all_{kind}.npy")
    return len(rows)
