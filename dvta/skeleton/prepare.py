"""Preparing a folder of raw recordings: in parallel processes, streaming, with bounded memory."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np

from dvta.errors import DataError, OptionError, did_you_mean
from dvta.files import RowWriter, staged_folder, write_json
from dvta.skeleton import bvh, clips, ntu, pku
from dvta.skeleton.acclaim import acclaim_joints
from dvta.skeleton.arrays import open_positions, read_labels
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.preprocess import RECIPES, WINDOWS, cmu_windows, recipe_of
from dvta.skeleton.splits import CLIPS, read_names

KINDS = ("ntu", "pku", "bvh")
#: windows a class of clip data keeps at most
MOST_WINDOWS = 150

Progress = Callable[[int, int, str], None]
Row = tuple[str, int, np.ndarray]


class NobodyError(SkeletonError):
    """A recording shows nobody; the data set has such, and they are always left out."""


@dataclasses.dataclass(frozen=True)
class Task:
    """One file to turn into samples: what a worker process gets."""

    kind: str
    path: Path
    part: str
    label: int = -1
    labels: Path | None = None
    recipe: str = "frames50"


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What was written: the folder, samples by part, files left out with the reason, clips without a recording."""

    folder: Path
    samples: dict[str, int]
    skipped: tuple[tuple[str, str], ...]
    absent: tuple[str, ...] = ()


def prepare(
    kind: str,
    folder: Path,
    root: Path,
    *,
    dataset: str | None = None,
    protocol: str = "xsub",
    recipe: str = "frames50",
    ignore: Path | None = None,
    classes: Path | None = None,
    add: bool = False,
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
        protocol: ``xsub``, ``xview`` or ``xsetup``; without effect for ``bvh``.
        recipe: ``frames50`` or ``frames300`` (into ``<protocol>_300``); without effect for ``bvh``.
        ignore: a list of incomplete recordings (``ntu``).
        classes: a table ``clip,class id`` (``bvh``; default: the CMU benchmark's own).
        add: keep the windows of clips prepared earlier that are not in ``folder`` (``bvh``).
        on_error: ``stop`` at the first broken file, or ``skip`` it and name it in the result.
        processes: worker processes; None: one per core, 1: this process.
        progress: called with (files done, files, current file name).

    Raises:
        OptionError: an argument is impossible.
        DataError: no file fits, or a file is broken and ``on_error`` is ``stop``.
    """
    for name, value, allowed in (
        ("kind", kind, KINDS),
        ("recipe", recipe, tuple(RECIPES)),
        ("on_error", on_error, ("stop", "skip")),
    ):
        if value not in allowed:
            raise OptionError(
                f"{name}: {value!r} is unknown{did_you_mean(value, allowed)}; allowed: {', '.join(allowed)}"
            )
    dataset = dataset or {"ntu": "ntu60", "pku": "pku", "bvh": "cmu"}[kind]
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    absent: tuple[str, ...] = ()
    if kind == "bvh":
        tasks, absent = _clip_tasks(folder, classes)
        name = CLIPS
    else:
        if add:
            raise OptionError(f"add: {kind} recordings are prepared as a whole; allowed: bvh")
        tasks = (
            _ntu_tasks(folder, dataset, protocol, ignore) if kind == "ntu" else _pku_tasks(folder, protocol)
        )
        tasks = [dataclasses.replace(task, recipe=recipe) for task in tasks]
        name = protocol if recipe == "frames50" else f"{protocol}_300"
    if not tasks:
        raise DataError(f"{folder}: no {kind} recording of {dataset} in it")
    target = root / dataset / "skeletons" / name
    with staged_folder(target) as stage:
        counts, skipped = _write(tasks, stage, on_error, processes, progress)
        if kind == "bvh":
            earlier = [target] if add and target.exists() else []
            counts["all"] = _select(stage, earlier, MOST_WINDOWS)
        if not sum(counts.values()):
            raise DataError(
                f"{folder}: every recording was left out; the first: {skipped[0][0]}: {skipped[0][1]}"
            )
        about = {
            "dataset": dataset,
            "protocol": name,
            "recipe": recipe if kind != "bvh" else WINDOWS,
            "samples": counts,
            "skipped": [list(entry) for entry in skipped],
        }
        write_json(stage / "about.json", about)
    return Prepared(target, counts, tuple(skipped), absent)


def process(task: Task) -> list[Row]:
    """Turn one file into samples: name, class id, network input.

    Raises:
        SkeletonError: the file is broken or shows nobody.
    """
    shape = recipe_of(task.recipe)
    try:
        if task.kind == "ntu":
            recorded = ntu.read_ntu(task.path).positions
            if not recorded.any():
                raise NobodyError(task.path, "no frame shows a person")
            return [(task.path.stem, task.label, shape(recorded))]
        if task.kind == "pku":
            assert task.labels is not None
            found = []
            for name, label, positions in pku.instances(task.path, task.labels):
                # a stretch in which nobody was tracked is no sample; the rest of the file is
                if positions[:, 0, 0].any():
                    found.append((name, label, shape(positions)))
            return found
        windows, starts = cmu_windows(clip_joints(task.path))
    except SkeletonError:
        raise
    except DataError as error:
        raise SkeletonError(task.path, str(error)) from error
    return [
        (f"{task.path.stem}:{start}", task.label, window.transpose(2, 0, 1)[..., None])
        for window, start in zip(windows, starts, strict=True)
    ]


def clip_joints(path: Path) -> np.ndarray:
    """Return the (F, 25, 3) joints of a ``.bvh`` or ``.amc`` clip at 60 frames a second, in metres."""
    return acclaim_joints(path) if path.suffix.lower() == ".amc" else bvh.cmu_joints(path)


def _ntu_tasks(folder: Path, dataset: str, protocol: str, ignore: Path | None) -> list[Task]:
    if dataset not in ntu.PROTOCOLS:
        raise OptionError(f"dataset: {dataset!r} is not NTU; allowed: {', '.join(ntu.PROTOCOLS)}")
    left_out = ntu.missing_skeletons(ignore) if ignore is not None else frozenset()
    tasks = []
    for path in sorted(folder.rglob("*.skeleton")):
        name = ntu.NtuName.parse(path)
        part = "train" if name.trains(dataset, protocol) else "val"
        if name.belongs_to(dataset) and path.stem not in left_out:
            tasks.append(Task("ntu", path, part, name.label))
    return tasks


def _pku_tasks(folder: Path, protocol: str) -> list[Task]:
    if protocol not in pku.LISTS:
        raise OptionError(
            f"protocol: {protocol!r} is unknown for pku{did_you_mean(protocol, pku.LISTS)}; "
            f"allowed: {', '.join(pku.LISTS)}"
        )
    lists = sorted(folder.rglob(pku.LISTS[protocol]))
    if not lists:
        raise DataError(
            f"{folder}: no {pku.LISTS[protocol]} in it, which says what is training and what test"
        )
    train, test = pku.read_lists(lists[0])
    texts = sorted(folder.rglob("*.txt"))
    labels = {path.stem: path for path in texts if "label" in path.parent.name.lower()}
    tasks = []
    for path in texts:
        if path.stem in train | test and "skeleton" in path.parent.name.lower():
            if path.stem not in labels:
                raise SkeletonError(path, f"no label file {path.name} in a folder named …Label…")
            tasks.append(
                Task("pku", path, "train" if path.stem in train else "val", labels=labels[path.stem])
            )
    return tasks


def _clip_tasks(folder: Path, classes: Path | None) -> tuple[list[Task], tuple[str, ...]]:
    labels = clips.cmu_classes() if classes is None else clips.read_clip_classes(classes)
    found: dict[str, Path] = {}
    for pattern in ("*.bvh", "*.amc"):
        for path in folder.rglob(pattern):
            # the native file wins: the BVH conversion moves neck and shoulders of some subjects
            found[path.stem] = path
    order = sorted(found.items(), key=lambda item: (labels.get(item[0], -1), item[0]))
    tasks = [Task("bvh", path, "all", labels[clip]) for clip, path in order if clip in labels]
    return tasks, tuple(sorted(labels.keys() - found.keys()))


def _write(
    tasks: list[Task], stage: Path, on_error: str, processes: int | None, progress: Progress | None
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    skipped: list[tuple[str, str]] = []
    parts = sorted({task.part for task in tasks} | ({"train", "val"} if tasks[0].part != "all" else set()))
    frames = 50 if tasks[0].kind == "bvh" else RECIPES[tasks[0].recipe]
    shape = (3, frames, 25, 1 if tasks[0].kind == "bvh" else 2)
    with ExitStack() as stack:
        positions = {
            p: stack.enter_context(RowWriter(stage / f"{p}_position.npy", shape, "<f4")) for p in parts
        }
        labels = {p: stack.enter_context(RowWriter(stage / f"{p}_label.npy", (), "<i8")) for p in parts}
        names = {p: stack.enter_context((stage / f"{p}_name.txt").open("w", encoding="utf-8")) for p in parts}
        results = stack.enter_context(_Ordered(tasks, processes))
        for done, (task, rows) in enumerate(results, 1):
            if isinstance(rows, SkeletonError):
                if on_error == "stop" and not isinstance(rows, NobodyError):
                    raise rows
                skipped.append((rows.path, str(rows)))
            else:
                for name, label, sample in rows:
                    positions[task.part].append(sample)
                    labels[task.part].append(label)
                    names[task.part].write(name + "\n")
            if progress is not None:
                progress(done, len(tasks), task.path.name)
        return {part: writer.count for part, writer in positions.items()}, skipped


class _Ordered:
    """Runs tasks in worker processes and gives results in task order, a bounded number ahead."""

    def __init__(self, tasks: list[Task], processes: int | None) -> None:
        self.tasks = tasks
        self.workers = min(processes or os.cpu_count() or 1, len(tasks))
        # spawned workers inherit no threads or locks of this process, as forked ones would
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(self.workers, context) if self.workers > 1 else None

    def __enter__(self) -> Iterator[tuple[Task, list[Row] | SkeletonError]]:
        return self._results()

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def _results(self) -> Iterator[tuple[Task, list[Row] | SkeletonError]]:
        if self.pool is None:
            for task in self.tasks:
                yield task, _attempt(task)
            return
        waiting: deque[tuple[Task, Future[list[Row] | SkeletonError]]] = deque()
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


def _attempt(task: Task) -> list[Row] | SkeletonError:
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
