"""What a method trains on: visual features, labels, class texts and the split, all checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class ClassText:
    """The text features of some classes; row r belongs to global class id ``ids[r]``.

    Attributes:
        ids: (C,) int64 global class ids.
        labels: (C, Dt) float32 features of the label texts.
        contexts: (C, Dt) float32 features of the context sentences, where there are any.
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

    def select(self, ids: Iterable[int] | Tensor) -> ClassText:
        """Return the texts of the given global ids, in that order."""
        wanted = torch.as_tensor(ids if isinstance(ids, Tensor) else list(ids)).to(self.ids)
        rows = (self.ids[None, :] == wanted[:, None]).int().argmax(1)
        return self._each(lambda tensor: tensor[rows])

    def to(self, *args: object, **kwargs: object) -> ClassText:
        """Move every tensor to a device; only floating tensors change dtype."""
        return self._each(
            lambda t: t.to(*args, **kwargs)  # type: ignore[call-overload]
            if t.is_floating_point()
            else t.to(*[a for a in args if not isinstance(a, torch.dtype)])
        )

    def _each(self, change: object) -> ClassText:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return ClassText(**{k: None if v is None else change(v) for k, v in values.items()})  # type: ignore[operator]


@dataclasses.dataclass(frozen=True)
class FeatureSet:
    """One (dataset, split, visual encoder, text encoder): everything a trial reads.

    Attributes:
        dataset, split, visual, text: ids as in the catalogue (``ntu60``, ``55/5``, ``shift_gcn``, ``sbert``).
        source: ``real`` or ``simulated``.
        digest: SHA-256 hex of everything below; equal digests mean equal content.
        train: (N, Dv) float32 seen-class training samples ((N, T, V, D) un-pooled), train_label (N,) int64.
        ztest, z_label: unseen-class test samples.
        gtest, g_label: test samples of all classes, or None.
        class_text: texts of all C classes, row = global id.
        class_names: C names.
        seen, unseen: global ids, ascending.
        skeletons: (N, 3, 50, 25, 2) of the training samples where a method needs them, else None.
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
    skeletons: Tensor | None = None

    @property
    def visual_dim(self) -> int:
        """Dv, the width of a visual feature."""
        return int(self.train.shape[-1])

    @property
    def text_dim(self) -> int:
        """Dt, the width of a text feature."""
        return int(self.class_text.labels.shape[-1])
