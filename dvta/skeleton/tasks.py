"""Finding the recordings of a folder: what each is, which part and class it has, and what does not fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from dvta.errors import DataError, OptionError, did_you_mean
from dvta.skeleton import clips, ntu, pku
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.motion import ENDINGS, Reading


@dataclasses.dataclass(frozen=True)
class Task:
    """One file to turn into samples: what a worker process gets.

    ``name`` is that of its samples (``bvh``); ``ignore`` are samples to leave out (``pku``).
    """

    kind: str
    path: Path
    part: str
    name: str = ""
    label: int = -1
    labels: Path | None = None
    recipe: str = "frames50"
    how: Reading = Reading()  # noqa: RUF009
    ignore: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Found:
    """The tasks of a folder, in the order of samples.

    Attributes:
        tasks: the files to turn into samples.
        absent: clips of the class table, or names of the train/test list, without a recording.
        unlisted: recordings that the class table lacks.
        left_out: recordings that the ignore list names.
    """

    tasks: list[Task]
    absent: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def ntu_tasks(folder: Path, dataset: str, protocol: str, ignore: Path | None) -> Found:
    """Find ``.skeleton`` files.

    Raises:
        OptionError: the data set is not NTU, or has no such protocol.
        DataError: a name is not NTU's, two files have the same name, or the list is unreadable.
    """
    if dataset not in ntu.PROTOCOLS:
        raise OptionError(f"dataset: {dataset!r} is not NTU; allowed: {', '.join(ntu.PROTOCOLS)}")
    left_out = ntu.missing_skeletons(ignore) if ignore is not None else frozenset()
    paths = _files(folder, (".skeleton",))
    _once(folder, paths)
    tasks = []
    for path in paths:
        name = ntu.NtuName.parse(path)
        part = "train" if name.trains(dataset, protocol) else "val"
        if name.belongs_to(dataset) and path.stem not in left_out:
            tasks.append(Task("ntu", path, part, path.stem, name.label))
    return Found(tasks, left_out=tuple(path.stem for path in paths if path.stem in left_out))


def pku_tasks(folder: Path, protocol: str, ignore: Path | None) -> Found:
    """Find PKU-MMD's recordings with their label files and the train/test list.

    Raises:
        OptionError: PKU-MMD has no such protocol.
        DataError: a list or label file is missing, or two recordings or two label files have the same name.
    """
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
    left_out = pku.missing_samples(ignore) if ignore is not None else frozenset()
    texts = _files(folder, (".txt",))
    listed = [path for path in texts if path.stem in train | test]
    tables = [path for path in listed if "label" in path.parent.name.lower()]
    paths = [path for path in listed if "skeleton" in path.parent.name.lower()]
    for files in (tables, paths):
        _once(folder, files)
    labels = {path.stem: path for path in tables}
    tasks = []
    for path in paths:
        if path.stem in left_out:
            continue
        if path.stem not in labels:
            raise SkeletonError(path, f"no label file {path.name} in a folder named …Label…")
        part = "train" if path.stem in train else "val"
        tasks.append(Task("pku", path, part, path.stem, labels=labels[path.stem], ignore=left_out))
    absent = (train | test) - {path.stem for path in paths} - left_out
    return Found(
        tasks, tuple(sorted(absent)), left_out=tuple(path.stem for path in paths if path.stem in left_out)
    )


def clip_tasks(folder: Path, classes: Path | None, class_names: Sequence[str] | None, how: Reading) -> Found:
    """Find BVH and Acclaim clips and their classes.

    A clip of the table is a file's name or its path below the folder, in any case of letters. Where a
    clip is there as ``.amc`` and as ``.bvh``, the native file wins: the BVH conversion moves neck and
    shoulders of some subjects.

    Args:
        folder: searched with its subfolders.
        classes: a class table; None: the CMU benchmark's own.
        class_names: of the data set, where it is known.
        how: how the recordings are read.

    Raises:
        DataError: the table is unreadable, or a clip of it is the name of several files.
    """
    labels: Mapping[str, int]
    labels = clips.cmu_classes() if classes is None else clips.read_clip_classes(classes, class_names)
    native: dict[str, Path] = {}
    for path in _files(folder, ENDINGS):
        name = path.relative_to(folder).with_suffix("").as_posix()
        # .amc stands before .bvh in the sorted list
        native.setdefault(name, path)
    index = _Clips(native)
    tasks, absent, used = [], [], set()
    for clip, label in sorted(labels.items(), key=lambda item: (item[1], item[0])):
        names = index.find(clip)
        if not names:
            absent.append(clip)
            continue
        if len(names) > 1:
            table = classes or "the class table"
            raise DataError(
                f"{table}: clip {clip!r} is the name of {' and '.join(str(native[n]) for n in names[:3])}; "
                f"tell them apart by their paths, such as {names[0]}"
            )
        if names[0] in used:
            raise DataError(f"{classes or 'the class table'}: two of its clips mean {native[names[0]]}")
        used.add(names[0])
        tasks.append(Task("bvh", native[names[0]], "all", clip, label, how=how))
    unlisted = [name for name in native if name not in used and not index.shadowed(name, used)]
    return Found(tasks, tuple(sorted(absent)), tuple(sorted(unlisted)))


class _Clips:
    """The recordings of a folder by path and by name, in the case they are written and in any."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._by_key: dict[str, list[str]] = {}
        for name in paths:
            stem = name.rpartition("/")[2]
            for key in {name, stem, name.casefold(), stem.casefold()}:
                self._by_key.setdefault(key, []).append(name)

    def find(self, clip: str) -> list[str]:
        """Return the recordings that a clip of the table may mean: one, none, or several of one kind."""
        if clip in self._paths:
            return [clip]
        found = self._by_key.get(clip) or self._by_key.get(clip.casefold()) or []
        acclaim = [name for name in found if self._paths[name].suffix.lower() == ".amc"]
        return acclaim or found

    def shadowed(self, name: str, used: set[str]) -> bool:
        """Return whether a native file of the same name, elsewhere in the folder, was taken instead."""
        stem = name.rpartition("/")[2]
        native = [n for n in self._by_key.get(stem, []) if n in used]
        return any(self._paths[n].suffix.lower() == ".amc" for n in native)


def _files(folder: Path, endings: Sequence[str]) -> list[Path]:
    """Return the files of a folder and its subfolders with one of the endings, in any case, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings and not path.is_dir())


def _once(folder: Path, paths: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            raise DataError(f"{folder}: {seen[path.stem]} and {path} have the same name; keep one")
        seen[path.stem] = path
