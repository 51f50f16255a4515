"""What a method trains on: visual features, labels, class texts and the split, all checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dvta import datasets
from dvta.data_ref import DataRef, read_texts, words_digest
from dvta.datasets import Dataset
from dvta.errors import DataChangedError, DataError
from dvta.feature_files import read_arrays


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
        """Return the texts of the given global ids, in that order; a tensor's are taken for granted.

        Raises:
            DataError: one of other ids has no text here.
        """
        if not isinstance(ids, Tensor):
            ids = torch.tensor(list(ids), dtype=torch.int64)
            if len(absent := ids[~torch.isin(ids, self.ids.cpu())]):
                raise DataError(
                    f"class {int(absent[0])} is unknown; there are texts of {len(self.ids)} classes"
                )
        wanted = ids.to(self.ids)
        rows = (self.ids[None, :] == wanted[:, None]).int().argmax(1)
        return self._each(lambda tensor: tensor[rows])

    def equals(self, other: ClassText) -> bool:
        """Whether classes, texts and device are those of another."""
        for field in dataclasses.fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine is None or theirs is None:
                if mine is not theirs:
                    return False
            elif mine.device != theirs.device or not torch.equal(mine, theirs):
                return False
        return True

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


def load(ref: DataRef) -> FeatureSet:
    """Read or generate the features of a reference, and check everything.

    Raises:
        DataError: something does not fit; the message names the file.
        DataChangedError: a file is not what it was when it was found.
    """
    dataset = datasets.get(ref.dataset, ref.root)
    split = dataset.split(ref.split, ref.unseen)
    if ref.folder is not None:
        arrays = read_arrays(ref.folder, dataset, split, ref.needs, dict(ref.files))
    else:
        arrays = ref.stand_in.generate(dataset, split, ref.visual, ref.needs)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return described(
        ref,
        train=tensors["train"],
        train_label=tensors["train_label"],
        ztest=tensors["ztest"],
        z_label=tensors["z_label"],
        gtest=tensors.get("gtest"),
        g_label=tensors.get("g_label"),
        masked=tensors.get("train_masked"),
    )


def described(ref: DataRef, **visual: Tensor | None) -> FeatureSet:
    """Return a feature set of visual features and labels, by field, with the texts and classes of a reference.

    Raises:
        DataError: something does not fit; the message names the file.
        DataChangedError: the texts are not what they were when they were found.
    """
    dataset = datasets.get(ref.dataset, ref.root)
    split = dataset.split(ref.split, ref.unseen)
    texts = read_texts(ref.root, dataset, ref.text)
    if (found := words_digest(texts, ref.text_needs)) != (ref.words or found):
        raise DataChangedError(ref.root / ref.dataset / "text" / f"{ref.text}_*.npy", ref.words, found)
    return FeatureSet(
        dataset=ref.dataset,
        split=ref.split,
        visual=ref.visual,
        text=ref.text,
        source=ref.source,
        digest=ref.digest,
        class_text=_class_text(texts, dataset),
        class_names=dataset.class_names,
        seen=split.seen,
        unseen=split.unseen,
        **visual,  # type: ignore[arg-type]
    )


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


def _class_text(texts: dict[str, np.ndarray], dataset: Dataset) -> ClassText:
    def numbered(part: str) -> Tensor | None:
        # words are equal where their features are, but for what batches of a text model add
        if part not in texts:
            return None
        unit = torch.nn.functional.normalize(torch.from_numpy(texts[part]), dim=1)
        same = unit @ unit.T > SAME_WORD
        # a class without a word has features of zeros, which resemble nothing, not even themselves
        return (same | torch.eye(len(same), dtype=torch.bool)).int().argmax(1)

    tensors = {part: torch.from_numpy(array) for part, array in texts.items()}
    return ClassText(
        ids=torch.arange(len(dataset.class_names)),
        verb_ids=numbered("verbs"),
        noun_ids=numbered("nouns"),
        **tensors,
    )
