"""How far a method's shares can be believed: temperature, calibration error, and telling what is none of the classes.

Scores become shares by a softmax over the candidates, ``softmax(scores / T)``. The temperature T is fitted on test
samples of *seen* classes, never trained on, scored among as many seen classes as there are unseen ones: labels of
unseen classes would give away what is measured on them, and classes held out of training would need a second model.
Seen classes are easier than unseen ones, so T errs on the side of too much confidence; the calibration error on
unseen classes, with and without T, says by how much.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math

import torch
from torch import Tensor

from dvta.evaluation import scored
from dvta.features import FeatureSet
from dvta.methods.base import Method
from dvta.training import derived_seed

BINS = 15
#: groups of seen classes the temperature is fitted on, and samples of each
GROUPS, SAMPLES = 3, 1024
#: samples of seen classes that are none of the unseen ones
OUTSIDE = 4096
HOTTEST, STEPS = 1e4, 100
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What the shares of a method are worth.

    Attributes:
        temperature: of the softmax; None where there are no test samples of seen classes to fit it on.
        ece_uncalibrated: expected calibration error on unseen classes without a temperature.
        ece: the same with it.
        open_set_auroc: chance that a sample of one of the unseen classes has a larger share for its best
            candidate than a sample of a seen class, which is none of them.
    """

    temperature: float | None
    ece_uncalibrated: float
    ece: float | None
    open_set_auroc: float | None

    def results(self) -> dict[str, float]:
        """Return what was measured, by result name."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


def calibrate(method: Method, features: FeatureSet, *, seed: int) -> Calibration | None:
    """Measure a trained method; None where there is nothing to choose from, or a score is not finite.

    Args:
        method: it is left adapted to the unseen classes.
        features: those it was trained on. seed: of what a method fits to classes (:meth:`Method.adapt`).
    """
    if len(features.unseen) < 2:
        return None
    temperature = fitted_temperature(method, features, seed=seed)
    scores = _among(method, features, features.ztest, features.unseen, seed)
    if not scores.isfinite().all():
        return None
    columns = _columns(features.z_label, features.unseen)
    plain = expected_calibration_error(scores.softmax(1), columns)
    if temperature is None or features.gtest is None or features.g_label is None:
        return Calibration(None, plain, None, None)
    shares = (scores / temperature).softmax(1)
    rows = _evenly(torch.isin(features.g_label, _ids(features.seen, features.g_label)), OUTSIDE)
    others = scored(method, features.gtest[rows], features.class_text.select(features.unseen))
    outside = (others.double().cpu() / temperature).softmax(1).amax(1)
    return Calibration(
        temperature, plain, expected_calibration_error(shares, columns), auroc(shares.amax(1), outside)
    )


def fitted_temperature(method: Method, features: FeatureSet, *, seed: int) -> float | None:
    """Return the temperature fitted on seen classes; None without their test samples, or for scores not finite."""
    if features.gtest is None or features.g_label is None:
        return None
    found: list[Tensor] = []
    right: list[Tensor] = []
    for number, classes in enumerate(groups(features)):
        rows = _evenly(torch.isin(features.g_label, _ids(classes, features.g_label)), SAMPLES)
        part = derived_seed(seed, "calibration", number)
        found.append(_among(method, features, features.gtest[rows], classes, part))
        right.append(_columns(features.g_label[rows], classes))
    if not found or not all(scores.isfinite().all() for scores in found):
        return None
    return fit_temperature(torch.cat(found), torch.cat(right))


def groups(features: FeatureSet) -> list[tuple[int, ...]]:
    """Return up to three groups of as many seen classes as there are unseen ones (two at least), those with test samples.

    The classes are taken in the order of the SHA-256 of their ids: the same on every machine.
    """
    assert features.g_label is not None
    there = set(features.g_label.tolist())
    order = sorted(
        (c for c in features.seen if c in there), key=lambda c: hashlib.sha256(str(c).encode()).digest()
    )
    size = min(max(2, len(features.unseen)), len(order))
    if size < 2:
        return []
    starts = range(0, len(order) - size + 1, size)
    return [tuple(sorted(order[start : start + size])) for start in starts][:GROUPS]


def fit_temperature(scores: Tensor, columns: Tensor) -> float:
    """Return the temperature of the least cross-entropy, between 1e-4 and 1e4.

    The right class's target is (N + 1) / (N + 2), the others share the rest (Platt, 1999): without it scores that are
    all right, as those of few easy samples can be, would have no temperature but 0. The cross-entropy is convex in
    1 / T: a golden-section search over log T finds its one minimum.

    Args:
        scores: (N, U). columns: (N,) of the right classes.
    """
    scores = scores.double()
    samples, classes = scores.shape
    smoothing = classes / (classes - 1) / (samples + 2)

    def loss(log: float) -> float:
        tempered = scores / math.exp(log)
        return float(torch.nn.functional.cross_entropy(tempered, columns, label_smoothing=smoothing))

    low, high = -math.log(HOTTEST), math.log(HOTTEST)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
        if high - low < 1e-6:
            break
    return math.exp((low + high) / 2)


def expected_calibration_error(shares: Tensor, columns: Tensor, bins: int = BINS) -> float:
    """Return the expected calibration error (Guo et al., 2017) with bins of equal width.

    Samples are parted by the share of their best candidate, a bin having its upper bound; the error is the mean over
    samples of their bin's distance between accuracy and mean share.

    Args:
        shares: (N, U), each row sums to 1. columns: (N,) of the right classes.
    """
    confidence, predicted = shares.double().max(1)
    hit = (predicted == columns).double()
    # a share of exactly k / bins belongs to bin k
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=torch.float64).index_add_(0, place.cpu(), (hit - confidence).cpu())
    return float(gap.abs().sum() / len(shares))


def auroc(inside: Tensor, outside: Tensor) -> float:
    """Return the chance that a value of ``inside`` (A,) is above one of ``outside`` (B,); ties count half."""
    ordered = outside.sort().values
    below = torch.searchsorted(ordered, inside.contiguous()).double()
    not_above = torch.searchsorted(ordered, inside.contiguous(), right=True).double()
    return float(((below + not_above) / 2).mean() / len(outside))


def _among(
    method: Method, features: FeatureSet, visual: Tensor, classes: tuple[int, ...], seed: int
) -> Tensor:
    """Return the scores (N, U) of samples among some classes, float64 on the CPU."""
    text = features.class_text.select(classes)
    with torch.random.fork_rng():
        method.adapt(text, torch.Generator().manual_seed(seed))
    return scored(method, visual, text).double().cpu()


def _columns(labels: Tensor, classes: tuple[int, ...]) -> Tensor:
    return torch.searchsorted(torch.tensor(classes), labels.cpu())


def _ids(classes: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.tensor(classes, device=like.device)


def _evenly(mask: Tensor, most: int) -> Tensor:
    """Return at most ``most`` of the rows in a mask, evenly spaced."""
    rows = mask.nonzero()[:, 0]
    if len(rows) <= most:
        return rows
    return rows[torch.arange(most, device=rows.device) * len(rows) // most]
