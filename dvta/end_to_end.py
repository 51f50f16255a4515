"""Encoder and alignment trained together on skeletons, instead of an alignment on features made beforehand.

The paper names its "reliance on pre-extracted features" as its limitation. Here every batch of skeletons goes
through the encoder, and the alignment's loss reaches the encoder's weights. What is evaluated, and how, is the same.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.encoders import build_encoder
from dvta.encoders.base import WIDTH, SkeletonEncoder
from dvta.encoders.extract import SEGMENTS, segments
from dvta.encoders.training import chunk_rows
from dvta.errors import OptionError
from dvta.evaluation import Evaluation
from dvta.features import DataRef, FeatureSet
from dvta.methods.base import Method
from dvta.options import check_values
from dvta.skeleton.augment import Augmentation
from dvta.skeleton.splits import Samples, SkeletonSplit
from dvta.training import Fit, TrainingConfig, derived_seed

Init = Literal["scratch", "trained"]
ENCODER, METHOD = "encoder.", "method."  # before the names of weights


@dataclasses.dataclass(frozen=True)
class EndToEndConfig:
    """Settings of joint training beyond those of the alignment.

    Attributes:
        init: the encoder starts from ``scratch``, or as the trial that ``trained`` it on its own left it.
        encoder_lr: the encoder's largest learning rate; None is the alignment's. Both follow one schedule.
        frozen_epochs: first epochs in which the encoder stays as it is.
        classification_weight: of a classifier's cross-entropy over the seen classes beside the alignment's loss.
        shear, rotation, crop, mirror: see :class:`dvta.skeleton.augment.Augmentation`.
    """

    init: Init = "scratch"
    encoder_lr: float | None = None
    frozen_epochs: int = 0
    classification_weight: float = 1.0
    shear: float = 0.0
    rotation: float = 0.0
    crop: float = 0.0
    mirror: float = 0.0

    def __post_init__(self) -> None:
        check_values(type(self), vars(self))
        if self.encoder_lr is not None and not (math.isfinite(self.encoder_lr) and self.encoder_lr > 0):
            raise OptionError(f"encoder_lr: {self.encoder_lr!r} is impossible; allowed: a number above 0")
        if self.frozen_epochs < 0:
            raise OptionError(f"frozen_epochs: {self.frozen_epochs!r} is impossible; allowed: 0 or more")
        if self.frozen_epochs and self.init == "scratch":
            raise OptionError(
                f"frozen_epochs: {self.frozen_epochs} epochs on an encoder that has learned nothing; "
                "allowed: 0, or init: trained"
            )
        if not (math.isfinite(self.classification_weight) and self.classification_weight >= 0):
            raise OptionError(
                f"classification_weight: {self.classification_weight!r} is impossible; allowed: 0 or more"
            )
        self.augmentation()

    def augmentation(self) -> Augmentation:
        """Return the changes of the skeletons.

        Raises:
            OptionError: one is impossible.
        """
        return Augmentation(self.shear, self.rotation, self.crop, self.mirror)


@dataclasses.dataclass(frozen=True)
class JointData:
    """The skeletons of a split, with its texts and labels as a feature set without features."""

    skeletons: SkeletonSplit
    features: FeatureSet

    @classmethod
    def of(cls, skeletons: SkeletonSplit, ref: DataRef, *, unpooled: bool = False) -> JointData:
        """Return the data of a split; ``ref`` says which texts.

        Raises:
            DataError: the texts are not what they were when they were found.
        """
        shape = (SEGMENTS, 25, WIDTH) if unpooled else (WIDTH,)
        parts = {"train": skeletons.train, "ztest": skeletons.ztest, "gtest": skeletons.gtest}
        empty = {name: torch.zeros(1, *shape).expand(len(s), *shape) for name, s in parts.items()}
        label = {name: torch.from_numpy(s.labels) for name, s in parts.items()}
        features = ref.described(
            train=empty["train"],
            train_label=label["train"],
            ztest=empty["ztest"],
            z_label=label["ztest"],
            gtest=empty["gtest"],
            g_label=label["gtest"],
        )
        return cls(skeletons, features)

    def hold_out(self, classes: Iterable[int]) -> JointData:
        """Return the data with some seen classes made unseen, as :func:`dvta.features.hold_out` does."""
        held = tuple(sorted(classes))
        train = self.skeletons.train
        mask = np.isin(train.labels, held)
        kept, tested = _rows(train, ~mask), _rows(train, mask)
        seen = tuple(c for c in self.features.seen if c not in held)
        shape = self.features.train.shape[1:]
        features = dataclasses.replace(
            self.features,
            train=self.features.train[:1].expand(len(kept), *shape),
            train_label=torch.from_numpy(kept.labels),
            ztest=self.features.train[:1].expand(len(tested), *shape),
            z_label=torch.from_numpy(tested.labels),
            gtest=None,
            g_label=None,
            seen=seen,
            unseen=held,
        )
        skeletons = dataclasses.replace(
            self.skeletons, train=kept, ztest=tested, gtest=tested, seen=seen, unseen=held
        )
        return JointData(skeletons, features)

    def encoded(self, encoder: SkeletonEncoder) -> FeatureSet:
        """Return the feature set with the encoder's features of the test samples; the training ones stay empty."""
        features = self.features
        unpooled = features.train.ndim == 4
        ztest = encode(encoder, self.skeletons.ztest, unpooled=unpooled)
        gtest = None if features.gtest is None else encode(encoder, self.skeletons.gtest, unpooled=unpooled)
        return dataclasses.replace(features, ztest=ztest, gtest=gtest)


class EndToEndFit(Fit):
    """A training run of encoder and alignment together, epoch by epoch; see :class:`dvta.training.Fit`.

    Args:
        method: whose loss trains both.
        encoder: the network, with the weights it starts from.
        data: the skeletons and texts. config, joint: the settings.
        seed, device, precision, state: as of :func:`dvta.training.fit`.

    Raises:
        OptionError: the method does not train on batches, or reads masked features.
    """

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
    ) -> None:
        check_trains_jointly(method, method.options)
        self._data, self._joint = data, joint
        self._augment = joint.augmentation()
        self._unpooled = data.features.train.ndim == 4
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(seed, "head"))
            head = nn.Linear(WIDTH, data.skeletons.classes)
        self.encoder, self._head = encoder.to(device), head.to(device)
        super().__init__(
            method, data.features, config, seed=seed, device=device, precision=precision, state=state
        )

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

    def _loss(self, batch: Tensor) -> Tensor:
        x = torch.from_numpy(self._data.skeletons.train.batch(batch.cpu().numpy())).to(self.device)
        labels = self.features.train_label[batch]
        with torch.set_grad_enabled(not self._is_frozen):
            maps = self.encoder.feature_map(self._augment(x))
        visual = segments(maps) if self._unpooled else maps.mean((1, 2))
        loss = self.method.training_loss(visual, labels, self.features.class_text)
        if self._joint.classification_weight and not self._is_frozen:
            logits = self._head(maps.mean((1, 2)))
            loss = loss + self._joint.classification_weight * F.cross_entropy(logits, labels)
        return loss

    def _evaluate(self, epoch: int) -> Evaluation:
        ztest = encode(self.encoder, self._data.skeletons.ztest, unpooled=self._unpooled)
        self.features = dataclasses.replace(self.features, ztest=ztest.to(self.device))
        return super()._evaluate(epoch)


def encode(
    encoder: SkeletonEncoder, samples: Samples, *, unpooled: bool = False, batch_size: int = 128
) -> Tensor:
    """Return the features (n, 256) of samples on the CPU, (n, 3, 25, 256) un-pooled; the encoder stays as it was."""
    device, training = next(encoder.parameters()).device, encoder.training
    encoder.eval()
    parts = []
    with torch.inference_mode():
        for rows in chunk_rows(len(samples), batch_size):
            maps = encoder.feature_map(torch.from_numpy(samples.batch(rows)).to(device))
            parts.append((segments(maps) if unpooled else maps.mean((1, 2))).cpu())
    encoder.train(training)
    # outside of inference mode, so that a method may fit something to them
    return torch.cat(parts).clone()


def initial_encoder(name: str, options: Mapping[str, Any], seed: int) -> SkeletonEncoder:
    """Return an encoder with its random weights, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(seed, "encoder"))
        return build_encoder(name, options)


def check_trains_jointly(method: Method | type[Method], options: Any) -> None:
    """Check that a method's loss can train an encoder.

    Raises:
        OptionError: it does not learn from batches, or reads features of masked sequences.
    """
    name = (method if isinstance(method, type) else type(method)).__name__
    if not method.trains_on_batches:
        raise OptionError(
            f"train: end_to_end: {name} is solved and not trained on batches; allowed: train: pre_extracted"
        )
    if "masked" in method.needs(options):
        raise OptionError(
            f"train: end_to_end: {name} reads features of masked sequences (temporal: true), which are made beforehand; "
            "allowed: temporal: false, or train: pre_extracted"
        )


def _rows(samples: Samples, keep: np.ndarray) -> Samples:
    return dataclasses.replace(samples, rows=samples.rows[keep], labels=samples.labels[keep])
