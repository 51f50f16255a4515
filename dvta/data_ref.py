"""Finding the features and texts of a trial, and their digest, without PyTorch; loading is :mod:`dvta.features`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dvta import datasets
from dvta.arrays import digest, file_digest, read
from dvta.datasets import PARTS, Dataset
from dvta.datasets.stand_in import VERSION, StandIn
from dvta.errors import DataError, MissingTextsError, OptionError, did_you_mean
from dvta.feature_files import FILES, OPTIONAL, feature_folder, file_names, has_any, present_files

if TYPE_CHECKING:
    from dvta.features import FeatureSet

PHASES = ("start", "middle", "end")
SOURCES = ("auto", "real", "simulated")
#: visual encoders whose features the stand-in imitates
SIMULATED = ("st_gcn", "shift_gcn", "ctr_gcn", "kinematic", "st_gcn_classical")
VISUAL_NEEDS = frozenset({"unpooled", "masked", "generalised"})


@dataclasses.dataclass(frozen=True)
class DataRef:
    """Features that were found, or will be simulated: cheap to pass around, loaded on demand.

    ``needs`` is what a method asked for beyond pooled features (:meth:`dvta.methods.Method.needs`);
    ``unseen`` are the unseen classes of a split that the dataset itself does not name. ``files`` are the
    SHA-256 of the files (by name without ``.npy``), ``words`` that of the texts in ``text_needs``, as they
    were found: what is loaded must still have them.
    """

    dataset: str
    split: str
    visual: str
    text: str
    source: str
    digest: str
    folder: Path | None
    root: Path
    stand_in: StandIn
    needs: frozenset[str] = frozenset()
    unseen: tuple[str | int, ...] | None = None
    files: tuple[tuple[str, str], ...] = ()
    words: str = ""
    text_needs: frozenset[str] = frozenset()

    def load(self) -> FeatureSet:
        """Read or generate the features, and check everything.

        Raises:
            DataError: something does not fit; the message names the file.
            DataChangedError: a file is not what it was when it was found.
        """
        from dvta.features import load

        return load(self)


def locate(
    root: Path,
    dataset: str,
    split: str,
    visual: str,
    text: str,
    *,
    source: str = "auto",
    stand_in: StandIn | None = None,
    needs: frozenset[str] = frozenset(),
    trained: tuple[str, str] | None = None,
    unseen: tuple[str | int, ...] | None = None,
) -> DataRef:
    """Find features without keeping them.

    Args:
        root: the data root; real features lie under ``<dataset>/features/<visual>/<split>``.
        source: ``real`` (missing files are an error), ``simulated``, or ``auto`` (simulated where
            there are none).
        stand_in: settings of the simulated features.
        needs: what the method wants beyond pooled features and label texts.
        trained: folder (a path or URL) of features that an encoder trial writes later, and its key;
            nothing is looked for under the data root.
        unseen: the unseen classes, by name or id, of a split that the dataset itself does not name.

    Raises:
        DataError: files are missing where they must not be, or only some of a folder's are there.
        OptionError: ``source`` is none of the three.
    """
    _check(root, source, dataset, visual, text, split)
    known = datasets.get(dataset, root)
    stamp = known.split(split, unseen).stamp
    names = (dataset, split, *([stamp] if stamp else []))
    folder = feature_folder(root, dataset, visual, split)
    visual_needs = needs & VISUAL_NEEDS
    if trained is not None:
        words = words_digest(_needed_texts(root, known, text, needs), needs)
        form = "".join(f" {need}" for need in sorted(visual_needs - {"generalised"}))
        content = digest(*names, words, f"encoder {trained[1]}{form}")
        folder, kept = Path(trained[0]), StandIn()
        return DataRef(
            dataset, split, visual, text, "real", content, folder, root, kept, visual_needs, unseen,
            words=words, text_needs=needs,
        )  # fmt: skip
    present = present_files(folder, visual_needs)
    optional = set() if "generalised" in needs else OPTIONAL
    wanted = [*(n for n in FILES if n not in optional), *(["train_masked"] if "masked" in needs else [])]
    missing = [file_names(name, visual_needs)[0] for name in wanted if name not in present]
    words = words_digest(_needed_texts(root, known, text, needs), needs)
    if source != "simulated" and not missing:
        files = {name: file_digest(path) for name, path in sorted(present.items())}
        content = digest(*names, words, *(f"{name} {sha256}" for name, sha256 in files.items()))
        kept = stand_in or StandIn()
        stems = tuple((present[name].stem, sha256) for name, sha256 in files.items())
        return DataRef(
            dataset, split, visual, text, "real", content, folder, root, kept, visual_needs, unseen,
            files=stems, words=words, text_needs=needs,
        )  # fmt: skip
    if source == "real" or (source == "auto" and has_any(folder)):
        absent = ", ".join(f"{name}.npy" for name in missing)
        meant = _meant(root, dataset, visual)
        raise DataError(f"{folder}: missing {absent}{meant}; to get {dataset}: {known.where}")
    if visual not in SIMULATED:
        meant = _meant(root, dataset, visual, *SIMULATED)
        raise DataError(
            f"{folder}: no such features{meant}; simulated ones stand in for {', '.join(SIMULATED)}"
        )
    chosen = stand_in or StandIn()
    # pooled stand-ins have test samples of all classes anyway
    inert = frozenset() if "unpooled" in needs else frozenset({"generalised"})
    form = "".join(f" {need}" for need in sorted(visual_needs - inert))
    made = f"stand-in {VERSION} {dataclasses.astuple(chosen)!r}{form}"
    content = digest(*names, visual, words, made)
    return DataRef(
        dataset, split, visual, text, "simulated", content, None, root, chosen, visual_needs, unseen,
        words=words, text_needs=needs,
    )  # fmt: skip


def _check(root: Path, source: str, *names: str) -> None:
    """Refuse an unknown source, and names that lead out of the data root."""
    if source not in SOURCES:
        raise OptionError(
            f"source: {source!r} is unknown{did_you_mean(source, SOURCES)}; allowed: {', '.join(SOURCES)}"
        )
    for name in names:
        if ".." in name or name.startswith(("/", "\\")):
            raise DataError(f"{name!r} leads out of the data root {root}")


def _meant(root: Path, dataset: str, visual: str, *more: str) -> str:
    """Return what else was probably meant: encoders whose features of a data set lie there."""
    there = {*more, *(p.name for p in (root / dataset / "features").glob("*") if p.is_dir())}
    return "" if visual in there else did_you_mean(visual, sorted(there))


def _needed_texts(root: Path, dataset: Dataset, text: str, needs: frozenset[str]) -> dict[str, np.ndarray]:
    """Return the text features, which must have what the method needs of them."""
    texts = read_texts(root, dataset, text)
    for need in sorted(needs - VISUAL_NEEDS - texts.keys()):
        where = root / dataset.name / "text"
        raise MissingTextsError(
            f"{dataset.name}: no {need} features by text encoder {text}: {where}/{text}_{need}.npy is missing",
            dataset.name,
            text,
        )
    return texts


def words_digest(texts: dict[str, np.ndarray], needs: frozenset[str]) -> str:
    """Return the digest of the texts that are read: labels, and what the method needs beyond them."""
    used = ["labels", *sorted(needs & texts.keys())]
    return digest(*(part for key in used for part in (key, texts[key])))


def read_texts(root: Path, dataset: Dataset, text: str) -> dict[str, np.ndarray]:
    """Return the text features, (C, Dt) each: the data root's, else for sbert the shipped ones."""
    folder = root / dataset.name / "text"
    parts = {"labels": 2, "contexts": 2, "motions": 2, "verbs": 2, "nouns": 2, "parts": 3}
    paths = {part: folder / f"{text}_{part}.npy" for part in parts}
    if not paths["labels"].is_file():
        others = [path.name for path in paths.values() if path.is_file()]
        if others:
            raise DataError(
                f"{paths['labels']}: no such file, and {', '.join(others)} are nothing without it"
            )
        packaged = datasets.packaged_text(dataset)
        if packaged is None or text != "sbert":
            lie = {p.name.removesuffix("_labels.npy") for p in folder.glob("*_labels.npy")}
            there = sorted(lie if packaged is None else {*lie, "sbert"})
            known = f"; there are: {', '.join(there)}" if there else ""
            raise MissingTextsError(
                f"{paths['labels']}: no such file{did_you_mean(text, there)}{known}", dataset.name, text
            )
        return _with_motions(packaged)
    found = {part: read(path, "float", parts[part]) for part, path in paths.items() if path.is_file()}
    for part, array in found.items():
        if len(array) != len(dataset.class_names) or array.shape[-1] != found["labels"].shape[-1]:
            raise DataError(
                f"{paths[part]}: shape {array.shape}, allowed: {len(dataset.class_names)} rows "
                f"of width {found['labels'].shape[-1]}"
            )
    return _with_motions(found)


def _with_motions(texts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the texts with a description of the motion: their own, or what the phases tell of it."""
    if "motions" in texts or "parts" not in texts:
        return texts
    phases = [PARTS.index(phase) for phase in PHASES]
    return {**texts, "motions": texts["parts"][:, phases].mean(1)}
