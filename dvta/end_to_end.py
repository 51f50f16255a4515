"""Encoder and alignment trained together on skeletons, instead of an alignment on features made beforehand.

The paper names its "reliance on pre-extracted features" as its limitation. Here every batch of skeletons goes
through the encoder, and the alignment's loss reaches the encoder's weights. What is evaluated, and how, is the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.encoders import build_encoder
from dvta.encoders.base import WIDTH, SkeletonEncoder
from dvta.encoders.extract import segments
from dvta.end_to_end_config import EndToEndConfig, check_trains_jointly
from dvta.errors import DvtaError
from dvta.evaluation import Evaluation
from dvta.features import ClassText, FeatureSet
from dvta.joint_data import JointData, encode
from dvta.methods.base import Method
from dvta.parallel import Others, Part, distributed, opened, shareable
from dvta.skeleton.augment import Augmentation
from dvta.training import EpochResult, Fit, derived_seed
from dvta.training_config import TrainingConfig

ENCODER, METHOD = "encoder.", "method."  # before the names of weights


class WorkerLostError(DvtaError):
    """Other processes of a run have ended before it did."""

    def __init__(self, lost: list[int], workers: int) -> None:
        numbers = ", ".join(map(str, lost))
        super().__init__(f"of the {workers} processes that train this trial, number {numbers} died")


class EndToEndFit(Fit):
    """A training run of encoder and alignment together, epoch by epoch; see :class:`dvta.training.Fit`.

    Args:
        method: whose loss trains both.
        encoder: the network, with the weights it starts from.
        data: the skeletons and texts. config, joint: the settings.
        seed, device, precision, state: as of :func:`dvta.training.fit`.
        workers: processes that share in every batch (:mod:`dvta.parallel`); the others end with this object.
        part: which of them this is, in one of the others.

    Raises:
        OptionError: the method does not train on batches, or reads masked features.
    """

    _others: Others | None = None

    def __init__(
        self,
        method: Method,
        encoder: SkeletonEncoder,
        data: JointData,
        config: TrainingConfig,
        joint: EndToEndConfig,
        *,
        seed: int = 0,
        device: str = "cpu",
        precision: str = "fp32",
        state: dict[str, Any] | None = None,
        workers: int = 1,
        part: Part | None = None,
    ) -> None:
        check_trains_jointly(method, method.options)
        self._data, self._joint, self._part = data, joint, part
        self._unpooled = data.features.train.ndim == 4
        if workers > 1 and part is None:
            # they start as this one does, before anything is moved or changed
            work = _Work(method, encoder, data, config, joint, seed, precision, state)
            self._others = Others(work.shared, workers, device)
            self._part = self._others.part
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(seed, "head"))
            head = nn.Linear(WIDTH, data.skeletons.classes)
        self.encoder, self._head = encoder.to(device), head.to(device)
        super().__init__(
            method, data.features, config, seed=seed, device=device, precision=precision, state=state
        )
        model = _Model(
            self.method, self.encoder, self._head, joint.classification_weight, joint.augmentation(),
            self._unpooled, self._part,
        )  # fmt: skip
        self._model = model if self._part is None else distributed(model, self.device)

    def begin_epoch(self) -> None:
        """Set learning rates and tell the method; the encoder learns once it is no longer frozen."""
        super().begin_epoch()
        self.encoder.train(not self._is_frozen)

    def state(self) -> dict[str, Any]:
        """Return everything a continuation needs, as tensors and plain values."""
        return {
            **super().state(),
            "encoder": self.encoder.state_dict(),
            "head": self._head.state_dict(),
        }

    def weights(self) -> dict[str, Tensor]:
        """Return the weights of both, the encoder's as ``encoder.…``, the method's as ``method.…``."""
        return {
            **{ENCODER + name: value for name, value in self.encoder.state_dict().items()},
            **{METHOD + name: value for name, value in self.method.state_dict().items()},
        }

    def measured(self) -> FeatureSet:
        """Return the test samples' features by the encoder as it is now."""
        found = self._data.encoded(self.encoder)
        gtest = None if found.gtest is None else found.gtest.to(self.device)
        return dataclasses.replace(self.features, ztest=found.ztest.to(self.device), gtest=gtest)

    @property
    def _is_frozen(self) -> bool:
        return self.epoch < self._joint.frozen_epochs

    def _restore(self, state: dict[str, Any]) -> None:
        super()._restore(state)
        self.encoder.load_state_dict(state["encoder"])
        self._head.load_state_dict(state["head"])

    def _parameter_groups(self) -> list[dict[str, Any]]:
        config = self.config
        lr = config.lr if self._joint.encoder_lr is None else self._joint.encoder_lr
        own = self.encoder.parameter_groups(config.weight_decay)
        head = {"params": list(self._head.parameters()), "weight_decay": config.weight_decay}
        return [*super()._parameter_groups(), *({**group, "lr": lr} for group in (*own, head))]

    def _train(self) -> float:
        try:
            return super()._train()
        except RuntimeError as error:
            if self._others is not None and (lost := self._others.lost()):
                raise WorkerLostError(lost, self._others.part.workers) from error
            raise

    def _loss(self, batch: Tensor) -> Tensor:
        part = self._part
        own = batch if part is None else part.of(batch)
        x = torch.from_numpy(self._data.skeletons.train.batch(own.cpu().numpy())).to(self.device)
        labels = self.features.train_label[batch]
        seed = (self.seed, self.epoch, batch.tolist()) if part is not None else ()
        loss: Tensor = self._model(x, labels, self.features.class_text, self._is_frozen, seed)
        return loss

    def _evaluate(self, epoch: int) -> Evaluation:
        ztest = encode(self.encoder, self._data.skeletons.ztest, unpooled=self._unpooled)
        self.features = dataclasses.replace(self.features, ztest=ztest.to(self.device))
        return super()._evaluate(epoch)


class _Model(nn.Module):
    """Encoder, method and head as one module with the loss of a batch, or of this process's part of it."""

    def __init__(
        self,
        method: Method,
        encoder: SkeletonEncoder,
        head: nn.Linear,
        classification_weight: float,
        augment: Augmentation,
        unpooled: bool,
        part: Part | None,
    ) -> None:
        super().__init__()
        self._augment = augment
        self.method, self.encoder, self.head = method, encoder, head
        self._weight, self._unpooled, self._part = classification_weight, unpooled, part

    def forward(
        self, x: Tensor, labels: Tensor, text: ClassText, frozen: bool, seed: tuple[object, ...]
    ) -> Tensor:
        """Return the loss; x (n, 3, T, 25, M) may be a part of the batch that labels (B,) are of, with noise by ``seed``."""
        noise = contextlib.nullcontext() if self._part is None else self._part.own_noise(*seed)
        with noise, torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            maps = self.encoder.feature_map(self._augment(x))
            pooled = maps.mean((1, 2))
        visual = segments(maps) if self._unpooled else pooled
        if self._part is not None:
            visual = self._part.gather(visual, len(labels))
            pooled = self._part.gather(pooled, len(labels))
        loss = self.method.training_loss(visual, labels, text)
        if self._weight and not frozen:
            loss = loss + self._weight * F.cross_entropy(self.head(pooled), labels)
        return loss


@dataclasses.dataclass(frozen=True)
class _Work:
    """What the other processes of a run train along with."""

    method: Method
    encoder: SkeletonEncoder
    data: JointData
    config: TrainingConfig
    joint: EndToEndConfig
    seed: int
    precision: str
    state: dict[str, Any] | None

    def shared(self, folder: Path) -> _Work:
        """Return the work as other processes take it: without test samples, its positions in a file."""
        skeletons = self.data.skeletons
        train = shareable(skeletons.train, folder)
        nothing = train.where(np.zeros(len(train), bool))
        light = dataclasses.replace(skeletons, train=train, ztest=nothing, gtest=nothing)
        return dataclasses.replace(self, data=dataclasses.replace(self.data, skeletons=light))

    def __call__(self, part: Part, device: str) -> None:
        data = dataclasses.replace(
            self.data,
            skeletons=dataclasses.replace(self.data.skeletons, train=opened(self.data.skeletons.train)),
        )
        run = _Along(
            self.method, self.encoder, data, self.config, self.joint,
            seed=self.seed, device=device, precision=self.precision, state=self.state, part=part,
        )  # fmt: skip
        for _ in run:
            pass


class _Along(EndToEndFit):
    """Trains along in another process; process 0 alone evaluates."""

    def end_epoch(self, loss: float, began: float) -> EpochResult:
        self.epoch += 1
        return EpochResult(self.epoch, {}, 0.0)


def initial_encoder(name: str, options: Mapping[str, Any], seed: int) -> SkeletonEncoder:
    """Return an encoder with its random weights, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(seed, "encoder"))
        return build_encoder(name, options)
