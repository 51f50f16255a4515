"""Training as an iterator of epochs: checkpointable, and resumable bit for bit on CPU."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dvta.errors import DataError, NonFiniteLossError, OptionError, did_you_mean
from dvta.evaluation import Evaluation, evaluate
from dvta.features import FeatureSet
from dvta.files import write_file
from dvta.methods.base import Method
from dvta.optimizers import adam
from dvta.training_config import TrainingConfig

PRECISIONS = ("fp32", "bf16")


@dataclasses.dataclass(frozen=True)
class EpochResult:
    """One finished epoch, numbered from 1; ``seconds`` includes its evaluation."""

    epoch: int
    metrics: dict[str, float]
    seconds: float


@dataclasses.dataclass(frozen=True)
class TrainingOutcome:
    """The last epoch's evaluation, the best by ``batch_accuracy`` on the test classes, and extras."""

    final: Evaluation
    best: Evaluation
    best_epoch: int
    extra: dict[str, float]


def learning_rate(config: TrainingConfig, epoch: int) -> float:
    """Return the learning rate of epoch ``epoch`` (from 1).

    With e = epoch - 1 and w warm-up epochs: ``lr e/w`` for e < w, then half a cosine over the rest,
    or lr throughout.
    """
    e, w = epoch - 1, config.warmup_epochs
    if e < w:
        return config.lr * e / w
    if config.schedule == "constant":
        return config.lr
    return config.lr * (1 + math.cos(math.pi * (e - w) / (config.epochs - w))) / 2


class Fit:
    """A training run: iterate over it for its epochs.

    Randomness is seeded anew for every epoch from (seed, epoch), so a run continued from
    :meth:`state` gives the bits it would have given. The caller's random state is left alone.
    """

    def __init__(
        self,
        method: Method,
        features: FeatureSet,
        config: TrainingConfig,
        *,
        seed: int = 0,
        device: str = "cpu",
        precision: str = "fp32",
        state: dict[str, Any] | None = None,
    ) -> None:
        check_precision(precision)
        self.config, self.seed, self.precision = config, seed, precision
        self.device = torch.device(device)
        if "masked" in method.needs(method.options):
            features = _with_variants(features)
        self.features = _on(features, self.device)
        self.method = method.to(self.device)
        self.method.prepare(self.features)
        groups = self._parameter_groups()
        self._scales = [float(group["lr"]) / config.lr if config.lr else 1.0 for group in groups]
        self.optimizer = adam(groups, lr=config.lr, weight_decay=config.weight_decay)
        self.epoch = 0
        self._final: Evaluation | None = None
        self._best: Evaluation | None = None
        self._best_epoch = 0
        if state is not None:
            self._restore(state)

    def __iter__(self) -> Fit:
        return self

    def __next__(self) -> EpochResult:
        """Train and evaluate one epoch.

        Raises:
            NonFiniteLossError: the loss became NaN or infinite.
        """
        if self.epoch >= self.config.epochs:
            raise StopIteration
        began = time.perf_counter()
        cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda):
            torch.manual_seed(derived_seed(self.seed, self.epoch + 1))
            self.begin_epoch()
            return self.end_epoch(self._train(), began)

    def begin_epoch(self) -> None:
        """Set the next epoch's learning rates and tell the method."""
        epoch = self.epoch + 1
        lr = learning_rate(self.config, epoch)
        for group, scale in zip(self.optimizer.param_groups, self._scales, strict=True):
            group["lr"] = lr * scale
        self.method.train()
        self.method.begin_epoch(epoch, self.config.epochs)

    def end_epoch(self, loss: float, began: float) -> EpochResult:
        """Evaluate the epoch whose training had this mean loss and began at ``perf_counter() == began``."""
        epoch = self.epoch + 1
        evaluation = self._evaluate(epoch)
        self.epoch, self._final = epoch, evaluation
        if self._best is None or evaluation.batch_accuracy > self._best.batch_accuracy:
            self._best, self._best_epoch = evaluation, epoch
        metrics = {
            "loss": loss,
            "lr": learning_rate(self.config, epoch),
            "accuracy": evaluation.accuracy,
            "batch_accuracy": evaluation.batch_accuracy,
            "class_accuracy": evaluation.class_accuracy,
        }
        return EpochResult(epoch, metrics, time.perf_counter() - began)

    def outcome(self) -> TrainingOutcome:
        """Return what was measured up to here; needs at least one epoch."""
        assert self._final is not None
        assert self._best is not None
        return TrainingOutcome(self._final, self._best, self._best_epoch, self.method.extra_metrics())

    def state(self) -> dict[str, Any]:
        """Return everything a continuation needs, as tensors and plain values."""
        return {
            "epoch": self.epoch,
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "final": _packed(self._final),
            "best": _packed(self._best),
            "best_epoch": self._best_epoch,
        }

    def weights(self) -> dict[str, Tensor]:
        """Return what a trained model is kept as."""
        return self.method.state_dict()

    def measured(self) -> FeatureSet:
        """Return the features that the trained method is measured on."""
        return self.features

    def save(self, path: Path) -> None:
        """Write :meth:`state` to a file, complete or not at all."""
        buffer = io.BytesIO()
        torch.save(self.state(), buffer)
        write_file(path, buffer.getvalue())

    def _restore(self, state: dict[str, Any]) -> None:
        self.epoch = int(state["epoch"])
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._final, self._best = _unpacked(state["final"]), _unpacked(state["best"])
        self._best_epoch = int(state["best_epoch"])

    def _train(self) -> float:
        """Return the mean loss of one pass, each step weighing by its samples."""
        size = self.config.batch_size
        order, steps = self.batch_order()
        order = order.to(self.device)
        total, seen = torch.zeros((), device=self.device), 0
        bf16 = self.precision == "bf16"
        for step in range(steps):
            batch = order[step * size : (step + 1) * size]
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                loss = self._loss(batch)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(batch)
            seen += len(batch)
            if self.device.type == "cpu" and not math.isfinite(loss.item()):
                raise NonFiniteLossError(self.epoch + 1, step + 1, loss.item())
        mean = float(total) / seen
        if not math.isfinite(mean):
            raise NonFiniteLossError(self.epoch + 1, steps, mean)
        return mean

    def _parameter_groups(self) -> list[dict[str, Any]]:
        return self.method.parameter_groups(self.config.lr)

    def _loss(self, batch: Tensor) -> Tensor:
        features = self.features
        return self.method.training_loss(
            features.train[batch], features.train_label[batch], features.class_text
        )

    def batch_order(self, generator: torch.Generator | None = None) -> tuple[Tensor, int]:
        """Return the order of an epoch's samples, drawn anew, and the number of its batches."""
        samples, size = len(self.features.train), self.config.batch_size
        steps = self.method.batches_per_epoch(samples, size)
        order = torch.randperm(samples, generator=generator)
        while len(order) < steps * size and steps > -(-samples // size):
            order = torch.cat((order, torch.randperm(samples, generator=generator)))
        return order, steps

    def _evaluate(self, epoch: int) -> Evaluation:
        features = self.features
        generator = torch.Generator().manual_seed(derived_seed(self.seed, epoch, "adapt"))
        self.method.adapt(features.class_text.select(features.unseen), generator)
        return evaluate(self.method, features, batch_size=self.config.eval_batch_size)


def fit(
    method: Method,
    features: FeatureSet,
    config: TrainingConfig,
    *,
    seed: int = 0,
    device: str = "cpu",
    precision: str = "fp32",
    state: dict[str, Any] | None = None,
) -> Fit:
    """Train a method on the seen classes; iterate over the result for its epochs.

    Args:
        method: any :class:`~dvta.methods.base.Method`; it is trained in place.
        features: what it trains on and is evaluated on after every epoch.
        config: the settings.
        seed: seeds batch order and noise (the caller seeds the initial weights).
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, or ``bf16`` autocast.
        state: of an earlier :meth:`Fit.state`, to continue from.

    Raises:
        OptionError: the precision is unknown.
    """
    return Fit(method, features, config, seed=seed, device=device, precision=precision, state=state)


def check_precision(precision: str) -> None:
    """Refuse a precision that nothing is trained in.

    Raises:
        OptionError: it is neither ``fp32`` nor ``bf16``.
    """
    if precision not in PRECISIONS:
        raise OptionError(
            f"precision: {precision!r} is unknown{did_you_mean(precision, PRECISIONS)}; allowed: {', '.join(PRECISIONS)}"
        )


def native_precision(device: str) -> str:
    """Return ``bf16`` for a device that has instructions for its products, else ``fp32``.

    On a CPU these are AMX, AVX-512's or Arm's; elsewhere bf16 is imitated and slower than fp32.
    """
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    has = torch.cpu.get_capabilities()
    return "bf16" if any(has.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16")) else "fp32"


def load_state(path: Path) -> dict[str, Any]:
    """Read what :meth:`Fit.save` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        return torch.load(path, weights_only=True, map_location="cpu")  # type: ignore[no-any-return]
    except Exception as error:  # torch raises many types on a damaged file
        raise DataError(f"{path}: not a readable checkpoint ({error})") from error


def derived_seed(*parts: object) -> int:
    """Return a 63-bit seed from any parts: equal parts, equal seed; no two streams correlate."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _on(features: FeatureSet, device: torch.device) -> FeatureSet:
    """Return the features on a device."""
    tensors = ("train", "train_label", "ztest", "z_label", "gtest", "g_label", "masked")
    moved: dict[str, Any] = {
        name: value.to(device) for name in tensors if isinstance(value := getattr(features, name), Tensor)
    }
    return dataclasses.replace(features, class_text=features.class_text.to(device), **moved)


def _with_variants(features: FeatureSet) -> FeatureSet:
    """Return the features with training samples (N, 1 + K, Dv): each before its masked variants."""
    assert features.masked is not None
    train = torch.cat((features.train[:, None], features.masked), dim=1)
    return dataclasses.replace(features, train=train)


def _packed(evaluation: Evaluation | None) -> dict[str, Any] | None:
    return (
        None
        if evaluation is None
        else {f.name: getattr(evaluation, f.name) for f in dataclasses.fields(evaluation)}
    )


def _unpacked(packed: dict[str, Any] | None) -> Evaluation | None:
    return None if packed is None else Evaluation(**packed)
