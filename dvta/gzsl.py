"""Generalised zero-shot evaluation: SynSE's gate, calibrated stacking, and the area under the whole curve.

A gate decides for every test sample between a classifier of the seen classes and the zero-shot
method. It is fitted without any test sample: another copy of the method is trained without the
validation classes and without some seen-class samples, and the gate learns to tell those two apart
(SynSE, Gupta et al., 2021). Thresholds are compared with P(unseen) throughout. The same copy and the
same samples give calibrated stacking its factor (:mod:`dvta.generalised`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dvta.errors import DataError
from dvta.features import FeatureSet, hold_out
from dvta.generalised import Curve, harmonic_mean
from dvta.methods.base import Method
from dvta.optimizers import adam
from dvta.training import derived_seed, fit
from dvta.training_config import TrainingConfig

TEMPERATURES = tuple(range(1, 10))
THRESHOLDS = tuple(round(0.25 + 0.01 * i, 2) for i in range(50))  # of P(unseen)
HELD_OUT = 0.2  # of every seen class's training samples, for the gate
SELECT_UNSEEN, SELECT_SEEN = 300, 400  # at most so many of them choose temperature and threshold
SELECT_SEED = 5
GATES = 5  # gates on other draws of the selection samples, for the spread of the harmonic mean


@dataclasses.dataclass(frozen=True)
class Generalised:
    """Accuracies as fractions over candidates of all classes.

    Attributes:
        seen, unseen: through the gate. temperature, threshold: what the gate chose.
        gate_spread: standard deviation of the harmonic mean over gates that are fitted and chosen
            on other draws of the same samples; the first draw is the one of ``seen`` and ``unseen``.
        stacking_seen, stacking_unseen: with a factor off the scores of the seen classes.
        stacking_factor: the factor, chosen on validation classes.
        ausuc: area under the whole seen-unseen curve; nothing is chosen for it.
        test_tuned_harmonic: the largest harmonic mean of the curve, its factor chosen on the test samples.
    """

    seen: float
    unseen: float
    temperature: int
    threshold: float
    gate_spread: float = 0.0
    stacking_seen: float = 0.0
    stacking_unseen: float = 0.0
    stacking_factor: float = 0.0
    ausuc: float = 0.0
    test_tuned_harmonic: float = 0.0

    @property
    def harmonic(self) -> float:
        """``2 S U / (S + U)``."""
        return harmonic_mean(self.seen, self.unseen)

    @property
    def stacking_harmonic(self) -> float:
        """The harmonic mean of calibrated stacking."""
        return harmonic_mean(self.stacking_seen, self.stacking_unseen)

    def results(self) -> dict[str, float]:
        """Return everything by the names it is stored under."""
        means = {"harmonic": self.harmonic, "stacking_harmonic": self.stacking_harmonic}
        values = {**dataclasses.asdict(self), **means}
        return {f"gzsl_{name}": float(value) for name, value in values.items()}


@dataclasses.dataclass(frozen=True)
class Gate:
    """Logistic regression on the largest probabilities of both classifiers."""

    weight: np.ndarray
    bias: float
    temperature: int
    threshold: float
    width: int

    def unseen_probability(self, zero_shot: Tensor, seen: Tensor) -> np.ndarray:
        """Return P(unseen) (N,) from zero-shot scores (N, U) and seen-class logits (N, S)."""
        x = gate_input(zero_shot, seen, self.temperature, self.width)
        return np.asarray(1 / (1 + np.exp(-(x @ self.weight + self.bias))))


def evaluate(
    method: Method,
    features: FeatureSet,
    validation: tuple[int, ...],
    build: Callable[[], Method],
    config: TrainingConfig,
    *,
    seed: int = 0,
    device: str = "cpu",
    precision: str = "fp32",
) -> Generalised:
    """Evaluate a trained method on the test samples of all classes.

    Args:
        method: trained on all seen classes of ``features``.
        validation: seen classes that stand for unseen ones while the gate is fitted.
        build: makes an untrained copy of the method with its initial weights.
        config: how it was trained; the copy is trained likewise.

    Raises:
        DataError: there are no test samples of all classes, or too few training samples for the gate.
    """
    if features.gtest is None or features.g_label is None:
        raise DataError(
            f"{features.dataset} {features.split}: protocol gzsl needs gtest.npy and g_label.npy, "
            "the test samples of all classes"
        )
    gates, factor = calibrate(
        features, validation, build, config, seed=seed, device=device, precision=precision
    )
    zero_shot = _scores(method, features.gtest, features, features.unseen)
    classifier = SeenClassifier.fit(features.train, features.train_label, features.seen, seed)
    logits = classifier.logits(features.gtest)
    label, unseen_ids = features.g_label.numpy(), np.array(features.unseen)
    is_unseen = np.isin(label, unseen_ids)
    chosen = (unseen_ids[zero_shot.argmax(1)], classifier.classes[logits.argmax(1)])
    through = []
    for gate in gates:
        right = np.where(gate.unseen_probability(zero_shot, logits) > gate.threshold, *chosen) == label
        through.append((float(right[~is_unseen].mean()), float(right[is_unseen].mean())))
    curve = _curve(method, features.gtest, label, features, features.seen, features.unseen)
    stacked = curve.at(factor)
    return Generalised(
        *through[0],
        temperature=gates[0].temperature,
        threshold=gates[0].threshold,
        gate_spread=float(np.std([harmonic_mean(*pair) for pair in through], ddof=1)),
        stacking_seen=stacked[0],
        stacking_unseen=stacked[1],
        stacking_factor=factor,
        ausuc=curve.area(),
        test_tuned_harmonic=curve.largest_harmonic(),
    )


def calibrate(
    features: FeatureSet,
    validation: tuple[int, ...],
    build: Callable[[], Method],
    config: TrainingConfig,
    *,
    seed: int = 0,
    device: str = "cpu",
    precision: str = "fp32",
) -> tuple[list[Gate], float]:
    """Train a copy of the method without the validation classes; return the gates and the factor it gives."""
    stage = hold_out(features, validation)
    kept = _keep(stage.train_label, seed)
    new, known = len(stage.ztest), int((~kept).sum())
    if not new or not known or new + known < 3:
        raise DataError(
            f"{features.dataset} {features.split}: too few training samples for the gate of protocol gzsl, {new} of "
            f"validation classes and {known} held out of the other seen ones; needed: 3, and 1 of each"
        )
    trained = dataclasses.replace(
        stage,
        train=stage.train[kept],
        train_label=stage.train_label[kept],
        masked=None if stage.masked is None else stage.masked[kept],
    )
    run = fit(build(), trained, config, seed=seed, device=device, precision=precision)
    for _ in run:
        pass
    classifier = SeenClassifier.fit(trained.train, trained.train_label, trained.seen, seed)
    visual = torch.cat((stage.train[~kept], stage.ztest))
    label = torch.cat((stage.train_label[~kept], stage.z_label)).numpy()
    zero_shot, logits = _scores(run.method, visual, stage, validation), classifier.logits(visual)
    gates = [
        choose_gate(
            zero_shot,
            logits,
            label,
            np.isin(label, validation),
            np.array(validation),
            classifier.classes,
            width=min(len(validation), len(features.unseen), len(trained.seen)),
            select_seed=SELECT_SEED + i,
        )
        for i in range(GATES)
    ]
    curve = _curve(run.method, visual, label, stage, trained.seen, validation)
    return gates, curve.best_factor()


def choose_gate(
    zero_shot: Tensor,
    logits: Tensor,
    label: np.ndarray,
    unseen: np.ndarray,
    unseen_ids: np.ndarray,
    seen_ids: np.ndarray,
    *,
    width: int,
    select_seed: int = SELECT_SEED,
) -> Gate:
    """Fit a gate for every temperature and choose temperature and threshold by accuracy.

    Args:
        zero_shot: (N, U) scores, logits: (N, S), of samples with global ids ``label`` (N,).
        unseen: (N,) which of them are of unseen classes.
        width: how many of the largest probabilities of each side the gate sees.
        select_seed: draws the samples that choose; the others fit.
    """
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(select_seed)
    select = np.zeros(len(label), dtype=bool)
    for members, most in ((np.flatnonzero(unseen), SELECT_UNSEEN), (np.flatnonzero(~unseen), SELECT_SEEN)):
        select[rng.permutation(members)[: min(most, len(members) // 2)]] = True
    right_unseen = unseen_ids[zero_shot.argmax(1).numpy()] == label
    right_seen = seen_ids[logits.argmax(1).numpy()] == label
    best: tuple[float, Gate] | None = None
    for temperature in TEMPERATURES:
        x = gate_input(zero_shot, logits, temperature, width)
        model = LogisticRegression(C=1.0, max_iter=5000).fit(x[~select], unseen[~select])
        gate = Gate(model.coef_[0], float(model.intercept_[0]), temperature, 0.5, width)
        probability = gate.unseen_probability(zero_shot, logits)[select]
        for threshold in THRESHOLDS:
            right = np.where(probability > threshold, right_unseen[select], right_seen[select])
            if best is None or right.mean() > best[0]:
                best = (float(right.mean()), dataclasses.replace(gate, threshold=threshold))
    assert best is not None
    return best[1]


def gate_input(zero_shot: Tensor, logits: Tensor, temperature: float, width: int) -> np.ndarray:
    """Return (N, 2 width): the largest zero-shot and temperature-scaled seen probabilities, descending."""
    top = zero_shot.softmax(1).topk(width, 1).values
    other = (logits / temperature).softmax(1).topk(width, 1).values
    return torch.cat((top, other), dim=1).double().numpy()


@dataclasses.dataclass(frozen=True)
class SeenClassifier:
    """Multinomial logistic regression on unit features, in place of a skeleton classifier's logits."""

    classes: np.ndarray
    weight: Tensor
    bias: Tensor

    @classmethod
    def fit(cls, visual: Tensor, label: Tensor, classes: tuple[int, ...], seed: int) -> SeenClassifier:
        """Train for 300 full-batch steps of Adam; un-pooled features are averaged."""
        x = _pooled(visual)
        ids = torch.tensor(classes)
        target = torch.searchsorted(ids, label)
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(seed, "seen classifier"))
            layer = torch.nn.Linear(x.shape[1], len(classes))
        optimizer = adam(layer.parameters(), lr=0.05)
        for _ in range(300):
            optimizer.zero_grad()
            F.cross_entropy(SCALE * layer(x), target).backward()
            optimizer.step()
        return cls(ids.numpy(), SCALE * layer.weight.detach(), SCALE * layer.bias.detach())

    def logits(self, visual: Tensor) -> Tensor:
        """Return (N, S) logits."""
        return F.linear(_pooled(visual), self.weight, self.bias)


SCALE = 10.0  # unit features give small logits


def _pooled(visual: Tensor) -> Tensor:
    return F.normalize(visual.flatten(1, -2).mean(1) if visual.ndim > 2 else visual, dim=-1)


def _keep(label: Tensor, seed: int) -> Tensor:
    """Return which samples stay in training: a fifth of every class is held out, at least one."""
    rng = np.random.default_rng(derived_seed(seed, "gate"))
    kept = torch.ones(len(label), dtype=torch.bool)
    for c in label.unique().tolist():
        members = torch.nonzero(label == c).flatten().numpy()
        count = min(max(1, int(HELD_OUT * len(members))), len(members) - 1)
        kept[rng.permutation(members)[:count]] = False
    return kept


def _curve(
    method: Method,
    visual: Tensor,
    label: np.ndarray,
    features: FeatureSet,
    seen: tuple[int, ...],
    unseen: tuple[int, ...],
) -> Curve:
    """Return the seen-unseen curve of a method that scores all of the classes itself."""
    classes = (*seen, *unseen)
    scores = _scores(method, visual, features, classes)
    return Curve.of(scores.numpy(), label, np.array(classes), np.array(unseen))


def _scores(method: Method, visual: Tensor, features: FeatureSet, classes: tuple[int, ...]) -> Tensor:
    """Return (N, U) scores on the CPU, the method adapted to the classes."""
    device = next(method.parameters()).device
    text = features.class_text.select(classes).to(device)
    training = method.training
    method.eval()
    try:
        method.adapt(text, torch.Generator().manual_seed(0))
        with torch.inference_mode():
            parts = [method.class_scores(part.to(device), text).float().cpu() for part in visual.split(1024)]
    finally:
        method.train(training)
    return torch.cat(parts).clone()
