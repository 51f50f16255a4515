"""Accuracies on unseen classes: true mean, mean of batches, per class, confusion."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from dvta.features import ClassText, FeatureSet
from dvta.methods.base import Method


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What one pass over labelled samples measured; accuracies are fractions.

    Attributes:
        accuracy: correct / total.
        batch_accuracy: mean over evaluation batches of the batch's accuracy, the short last batch
            weighing as much as the others (DVTA's and SMIE's published protocol).
        class_accuracy: mean over the classes present of each class's accuracy.
        correct, total: class id -> count.
        confusion: (U, U) int64, rows true and columns predicted, in the order of ``classes``.
        classes: the candidate class ids.
    """

    accuracy: float
    batch_accuracy: float
    class_accuracy: float
    correct: dict[int, int]
    total: dict[int, int]
    confusion: Tensor
    classes: tuple[int, ...]

    @classmethod
    def of(cls, predicted: Tensor, labels: Tensor, classes: tuple[int, ...], batch_size: int) -> Evaluation:
        """Measure predictions.

        Args:
            predicted, labels: (N,) global ids, every one of them in ``classes``.
            classes: the candidate ids.
            batch_size: samples in a batch, for ``batch_accuracy``.
        """
        ids = torch.tensor(classes, dtype=torch.int64)
        rows = torch.searchsorted(ids, labels.cpu())
        columns = torch.searchsorted(ids, predicted.cpu())
        size = len(classes)
        confusion = torch.bincount(rows * size + columns, minlength=size * size).reshape(size, size)
        total, correct = confusion.sum(1), confusion.diagonal()
        hits = (rows == columns).float()
        present = total > 0
        return cls(
            accuracy=float(hits.mean()),
            batch_accuracy=float(torch.stack([b.mean() for b in hits.split(batch_size)]).mean()),
            class_accuracy=float((correct[present] / total[present]).mean()),
            correct=dict(zip(classes, correct.tolist(), strict=True)),
            total=dict(zip(classes, total.tolist(), strict=True)),
            confusion=confusion,
            classes=classes,
        )


def predict(
    method: Method, visual: Tensor, features: FeatureSet, classes: tuple[int, ...], *, chunk: int = 1024
) -> Tensor:
    """Return the (N,) predicted global ids of (N, ...) features among ``classes``.

    ``chunk`` bounds the memory and changes nothing.
    """
    text = features.class_text.select(classes).to(visual.device)
    return text.ids[scored(method, visual, text, chunk=chunk).argmax(1)]


def scored(method: Method, visual: Tensor, text: ClassText, *, chunk: int = 1024) -> Tensor:
    """Return the scores (N, U) of (N, ...) features for the classes in ``text``.

    The method is put in evaluation mode and back.
    """
    training = method.training
    method.eval()
    try:
        with torch.inference_mode():
            return torch.cat([method.class_scores(part, text) for part in visual.split(chunk)])
    finally:
        method.train(training)


def evaluate(method: Method, features: FeatureSet, *, batch_size: int = 64) -> Evaluation:
    """Measure a method on the unseen-class test samples of ``features``."""
    predicted = predict(method, features.ztest, features, features.unseen)
    return Evaluation.of(predicted, features.z_label, features.unseen, batch_size)
