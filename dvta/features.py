"""What a method trains on: visual features, labels, class texts and the split, all checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dvta import datasets
from dvta.arrays import digest, file_digest, read
from dvta.datasets import PARTS, Dataset
from dvta.datasets.stand_in import VERSION, StandIn
from dvta.errors import DataChangedError, DataError, MissingTextsError, did_you_mean
from dvta.feature_files import FILES, OPTIONAL, feature_folder, file_names, present_files, read_arrays


@dataclasses.dataclass(frozen=True)
class ClassText:
    """The text features of some classes; row r belongs to global class id ``ids[r]``.

    Attributes:
        ids: (C,) int64 global class ids.
        labels: (C, Dt) float32 features of the label texts.
        contexts: (C, Dt) float32 features of the context sentences, where there are any.
        motions: (C, Dt) float32 features of a description of the motion; where a dataset has none of
            its own, the mean of the features of its three phases.
        verbs: (C, Dt) features of the verb of each label; ``verb_ids`` (C,) numbers equal verbs.
        nouns: (C, Dt) likewise for the nouns.
        parts: (C, 8, Dt) features of head, hands, torso, legs, start, middle, end, global texts.
    """

    ids: Tensor
    labels: Tensor
    contexts: Tensor | None = None
    verbs: Tensor | None = None
    nouns: Tensor | None = None
    verb_ids: Tensor | None = None
    noun_ids: Tensor | None = None
    parts: Tensor | None = None
    motions: Tensor | None = None

    def select(self, ids: Iterable[int] | Tensor) -> ClassText:
        """Return the texts of the given global ids, in that order."""
        wanted = torch.as_tensor(ids if isinstance(ids, Tensor) else list(ids)).to(self.ids)
        rows = (self.ids[None, :] == wanted[:, None]).int().argmax(1)
        return self._each(lambda tensor: tensor[rows])

    def to(self, device: torch.device | str) -> ClassText:
        """Move every tensor to a device."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> ClassText:
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        moved: dict[str, Any] = {k: None if v is None else change(v) for k, v in values.items()}
        return ClassText(**moved)


@dataclasses.dataclass(frozen=True)
class FeatureSet:
    """One (dataset, split, visual encoder, text encoder): everything a trial reads.

    Attributes:
        dataset, split, visual, text: ids as in the catalogue (``ntu60``, ``55/5``, ``shift_gcn``, ``sbert``).
        source: ``real`` or ``simulated``.
        digest: SHA-256 hex of what the method reads: equal digests mean equal content.
        train: (N, Dv) float32 seen-class training samples ((N, T, V, D) un-pooled), train_label (N,) int64.
        ztest, z_label: unseen-class test samples.
        gtest, g_label: test samples of all classes, or None.
        class_text: texts of all C classes, row = global id.
        class_names: C names.
        seen, unseen: global ids, ascending.
        masked: (N, K, Dv) features of K masked variants of every training sample, where needed.
    """

    dataset: str
    split: str
    visual: str
    text: str
    source: str
    digest: str
    train: Tensor
    train_label: Tensor
    ztest: Tensor
    z_label: Tensor
    gtest: Tensor | None
    g_label: Tensor | None
    class_text: ClassText
    class_names: tuple[str, ...]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    masked: Tensor | None = None

    def __repr__(self) -> str:
        return (
            f"FeatureSet({self.dataset} {self.split}, {self.visual}/{self.text}, {self.source}, "
            f"train {tuple(self.train.shape)}, ztest {tuple(self.ztest.shape)}, "
            f"{len(self.seen)} seen and {len(self.unseen)} unseen classes, digest {self.digest[:10]})"
        )

    @property
    def visual_dim(self) -> int:
        """Dv, the width of a visual feature."""
        return int(self.train.shape[-1])

    @property
    def text_dim(self) -> int:
        """Dt, the width of a text feature."""
        return int(self.class_text.labels.shape[-1])


SAME_WORD = 1 - 1e-4  # least cosine between the features of one word
PHASES = ("start", "middle", "end")

# --- finding and reading ------------------------------------------------------------------------

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
        dataset = datasets.get(self.dataset, self.root)
        split = dataset.split(self.split, self.unseen)
        if self.folder is not None:
            arrays = read_arrays(self.folder, dataset, split, self.needs, dict(self.files))
        else:
            arrays = self.stand_in.generate(dataset, split, self.visual, self.needs)
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return self.described(
            train=tensors["train"],
            train_label=tensors["train_label"],
            ztest=tensors["ztest"],
            z_label=tensors["z_label"],
            gtest=tensors.get("gtest"),
            g_label=tensors.get("g_label"),
            masked=tensors.get("train_masked"),
        )

    def described(self, **visual: Tensor | None) -> FeatureSet:
        """Return a feature set of visual features and labels, by field, with the texts and classes of this reference.

        Raises:
            DataError: something does not fit; the message names the file.
            DataChangedError: the texts are not what they were when they were found.
        """
        dataset = datasets.get(self.dataset, self.root)
        split = dataset.split(self.split, self.unseen)
        texts = _texts(self.root, dataset, self.text)
        if (found := _words(texts, self.text_needs)) != (self.words or found):
            raise DataChangedError(
                self.root / self.dataset / "text" / f"{self.text}_*.npy", self.words, found
            )
        return FeatureSet(
            dataset=self.dataset,
            split=self.split,
            visual=self.visual,
            text=self.text,
            source=self.source,
            digest=self.digest,
            class_text=_class_text(texts, dataset),
            class_names=dataset.class_names,
            seen=split.seen,
            unseen=split.unseen,
            **visual,  # type: ignore[arg-type]
        )


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
    """
    known = datasets.get(dataset, root)
    stamp = known.split(split, unseen).stamp
    names = (dataset, split, *([stamp] if stamp else []))
    for name in (dataset, visual, text, split):
        if ".." in name or name.startswith(("/", "\\")):
            raise DataError(f"{name!r} leads out of the data root {root}")
    folder = feature_folder(root, dataset, visual, split)
    visual_needs = needs & VISUAL_NEEDS
    if trained is not None:
        words = _words(_needed_texts(root, known, text, needs), needs)
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
    words = _words(_needed_texts(root, known, text, needs), needs)
    if source != "simulated" and not missing:
        files = {name: file_digest(path) for name, path in sorted(present.items())}
        content = digest(*names, words, *(f"{name} {sha256}" for name, sha256 in files.items()))
        kept = stand_in or StandIn()
        stems = tuple((present[name].stem, sha256) for name, sha256 in files.items())
        return DataRef(
            dataset, split, visual, text, "real", content, folder, root, kept, visual_needs, unseen,
            files=stems, words=words, text_needs=needs,
        )  # fmt: skip
    if source == "real" or (source == "auto" and any((folder / f"{n}.npy").is_file() for n in FILES)):
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


def _meant(root: Path, dataset: str, visual: str, *more: str) -> str:
    """Return what else was probably meant: encoders whose features of a data set lie there."""
    there = {*more, *(p.name for p in (root / dataset / "features").glob("*") if p.is_dir())}
    return "" if visual in there else did_you_mean(visual, sorted(there))


def _needed_texts(root: Path, dataset: Dataset, text: str, needs: frozenset[str]) -> dict[str, np.ndarray]:
    """Return the text features, which must have what the method needs of them."""
    texts = _texts(root, dataset, text)
    for need in sorted(needs - VISUAL_NEEDS - texts.keys()):
        where = root / dataset.name / "text"
        raise MissingTextsError(
            f"{dataset.name}: no {need} features by text encoder {text}: {where}/{text}_{need}.npy is missing",
            dataset.name,
            text,
        )
    return texts


def _words(texts: dict[str, np.ndarray], needs: frozenset[str]) -> str:
    """Return the digest of the texts that are read: labels, and what the method needs beyond them."""
    used = ["labels", *sorted(needs & texts.keys())]
    return digest(*(part for key in used for part in (key, texts[key])))


def hold_out(features: FeatureSet, classes: Iterable[int]) -> FeatureSet:
    """Return the features with some seen classes made unseen, for tuning without test data.

    Training loses those classes; their former training samples become the test samples. The real
    test samples are not reachable from the result.
    """
    held = tuple(sorted(classes))
    mask = torch.isin(features.train_label, torch.tensor(held))
    return dataclasses.replace(
        features,
        train=features.train[~mask],
        train_label=features.train_label[~mask],
        masked=None if features.masked is None else features.masked[~mask],
        ztest=features.train[mask],
        z_label=features.train_label[mask],
        gtest=None,
        g_label=None,
        seen=tuple(c for c in features.seen if c not in held),
        unseen=held,
    )


def _texts(root: Path, dataset: Dataset, text: str) -> dict[str, np.ndarray]:
    """Return the text features, (C, Dt) each: the data root's, else for sbert the shipped ones."""
    folder = root / dataset.name / "text"
    parts = {"labels": 2, "contexts": 2, "motions": 2, "verbs": 2, "nouns": 2, "parts": 3}
    paths = {part: folder / f"{text}_{part}.npy" for part in parts}
    if not paths["labels"].is_file():
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


def _class_text(texts: dict[str, np.ndarray], dataset: Dataset) -> ClassText:
    def numbered(part: str) -> Tensor | None:
        # words are equal where their features are, but for what batches of a text model add
        if part not in texts:
            return None
        unit = torch.nn.functional.normalize(torch.from_numpy(texts[part]), dim=1)
        return (unit @ unit.T > SAME_WORD).int().argmax(1)

    tensors = {part: torch.from_numpy(array) for part, array in texts.items()}
    return ClassText(
        ids=torch.arange(len(dataset.class_names)),
        verb_ids=numbered("verbs"),
        noun_ids=numbered("nouns"),
        **tensors,
    )
