"""Settings of training a method, and of training an encoder on its own; nothing here trains."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from dvta.errors import OptionError
from dvta.options import check_least, check_values

Schedule = Literal["cosine", "constant"]
Optimizer = Literal["adam", "sgd"]
EncoderSchedule = Literal["cosine", "steps", "constant"]


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Settings that change what is learned.

    Attributes:
        epochs: passes over the training samples.
        batch_size: samples in a step; the last, short batch is kept.
        lr: Adam's largest learning rate; warmed up linearly from 0.
        schedule: after the warm-up ``cosine`` to 0, or ``constant``.
        warmup_epochs: epochs of warm-up (15 in the published code, none in the paper).
        weight_decay: Adam's weight decay.
        eval_batch_size: samples in a batch of the ``batch_accuracy`` (64 in the published code).
    """

    epochs: int = 100
    batch_size: int = 128
    lr: float = 1e-5
    schedule: Schedule = "cosine"
    warmup_epochs: int = 0
    weight_decay: float = 0.0
    eval_batch_size: int = 64

    def __post_init__(self) -> None:
        check_values(type(self), vars(self))
        check_least(self, 1, "epochs", "batch_size", "eval_batch_size")
        check_least(self, 0, "lr", "weight_decay")
        if not 0 <= self.warmup_epochs < max(self.epochs, 1):
            raise OptionError(
                f"warmup_epochs: {self.warmup_epochs!r} is impossible; allowed: 0 to epochs - 1, "
                f"here {self.epochs - 1}"
            )


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """Settings that change what an encoder learns.

    Attributes:
        epochs, batch_size, lr, weight_decay: as named.
        optimizer: ``adam``, or ``sgd`` with Nesterov momentum 0.9.
        schedule: ``cosine`` to 0, ``steps`` (a tenth after each of ``steps``), or ``constant``.
        steps: epochs with commas, such as ``60,80,100``.
        warmup_epochs: linear, the last of them at the full rate.
        eval_batch_size: samples at once without gradients.
    """

    epochs: int = 150
    batch_size: int = 128
    optimizer: Optimizer = "adam"
    lr: float = 5e-3
    schedule: EncoderSchedule = "cosine"
    steps: str = ""
    warmup_epochs: int = 0
    weight_decay: float = 0.0
    eval_batch_size: int = 128

    def __post_init__(self) -> None:
        check_values(type(self), vars(self))
        check_least(self, 1, "epochs", "batch_size", "eval_batch_size")
        if self.lr <= 0:
            raise OptionError(f"lr: {self.lr!r} is impossible; allowed: a number above 0")
        if self.weight_decay < 0 or not 0 <= self.warmup_epochs < self.epochs:
            raise OptionError(
                f"weight_decay {self.weight_decay!r}, warmup_epochs {self.warmup_epochs!r}; "
                "allowed: 0 or more, and fewer than epochs"
            )
        if not all(p.strip().isascii() and p.strip().isdecimal() for p in self.steps.split(",") if p):
            raise OptionError(f"steps: {self.steps!r} is impossible; allowed: epochs such as 60,80,100")

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch (from 1)."""
        e, w = epoch - 1, self.warmup_epochs
        if e < w:
            return self.lr * (e + 1) / w
        if self.schedule == "cosine":
            return self.lr * (1 + math.cos(math.pi * (e - w) / (self.epochs - w))) / 2
        passed = sum(e >= int(s) for s in self.steps.split(",") if s) if self.schedule == "steps" else 0
        return self.lr * 0.1**passed
