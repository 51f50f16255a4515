"""Training a skeleton encoder on the seen classes of a split, epoch by epoch, resumable."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.encoders.base import WIDTH, SkeletonEncoder, build_encoder
from dvta.errors import NonFiniteLossError
from dvta.optimizers import adam, sgd
from dvta.skeleton.splits import SkeletonSplit
from dvta.training import EpochResult, derived_seed
from dvta.training_config import EncoderConfig


class EncoderFit:
    """A training run: iterate over it for its epochs; :attr:`encoder` then has the best weights.

    The best epoch is chosen on test samples of the *seen* classes, as SMIE does; unseen classes
    play no part.

    Args:
        name: a registered encoder; ``options`` are its own switches.
        data: the skeletons of a split.
        held_out: seen classes left out, for tuning without test data.
        precision: ``fp32``, or ``bf16`` autocast.
        state: of an earlier :meth:`state`, to continue from bit for bit (CPU).
    """

    def __init__(
        self,
        name: str,
        data: SkeletonSplit,
        config: EncoderConfig,
        *,
        options: Mapping[str, Any] | None = None,
        seed: int = 0,
        device: str = "cpu",
        precision: str = "fp32",
        held_out: tuple[int, ...] = (),
        state: dict[str, Any] | None = None,
    ) -> None:
        self.config, self._seed, self._device = config, seed, torch.device(device)
        self._bf16 = precision == "bf16"
        self._train = data.train.where(~np.isin(data.train.labels, held_out))
        test = data.seen_test()
        self._test = test.where(~np.isin(test.labels, held_out))
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(seed, "encoder"))
            encoder = build_encoder(name, options)
            head = nn.Linear(WIDTH, data.classes)
            nn.init.xavier_normal_(head.weight)
            nn.init.zeros_(head.bias)
        self._model = nn.ModuleDict({"encoder": encoder, "head": head}).to(self._device)
        self._optimizer = self._make_optimizer()
        self._epoch, self._best_epoch = 0, 0
        self._best: float | None = None
        self._best_weights: dict[str, Tensor] = {}
        if state is not None:
            self._epoch, self._best = int(state["epoch"]), state["best"]
            self._best_epoch, self._best_weights = int(state["best_epoch"]), state["best_weights"]
            self._model.load_state_dict(state["model"])
            self._optimizer.load_state_dict(state["optimizer"])

    def __iter__(self) -> EncoderFit:
        return self

    def __next__(self) -> EpochResult:
        """Train one epoch and evaluate it on the seen classes' test samples.

        Raises:
            NonFiniteLossError: the loss became NaN or infinite.
        """
        if self._epoch >= self.config.epochs:
            raise StopIteration
        epoch, began = self._epoch + 1, time.perf_counter()
        rate = self.config.rate(epoch)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        cuda = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda):
            torch.manual_seed(derived_seed(self._seed, "encoder", epoch))
            loss = self._pass(epoch)
        accuracy = self._accuracy()
        self._epoch = epoch
        # without test samples there is nothing to choose by: the last epoch it is
        if accuracy is None or self._best is None or accuracy > self._best:
            self._best, self._best_epoch = accuracy, epoch
            self._best_weights = copy.deepcopy(
                {k: v.cpu() for k, v in self._model["encoder"].state_dict().items()}
            )
        metrics = {"loss": loss, "lr": rate} | ({} if accuracy is None else {"accuracy": accuracy})
        return EpochResult(epoch, metrics, time.perf_counter() - began)

    @property
    def encoder(self) -> SkeletonEncoder:
        """The encoder with the weights of its best epoch."""
        encoder = self._model["encoder"]
        assert isinstance(encoder, SkeletonEncoder)
        encoder.load_state_dict(self._best_weights)
        return encoder

    @property
    def best(self) -> tuple[float | None, int]:
        """The best accuracy on seen classes, None without test samples of theirs, and its epoch."""
        return self._best, self._best_epoch

    def state(self) -> dict[str, Any]:
        """Return everything a continuation needs, as tensors and plain values."""
        return {
            "epoch": self._epoch,
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": self._best,
            "best_epoch": self._best_epoch,
            "best_weights": self._best_weights,
        }

    def _make_optimizer(self) -> torch.optim.Optimizer:
        config, encoder, head = self.config, self._model["encoder"], self._model["head"]
        assert isinstance(encoder, SkeletonEncoder)
        groups = [
            *encoder.parameter_groups(config.weight_decay),
            {"params": list(head.parameters()), "weight_decay": config.weight_decay},
        ]
        if config.optimizer == "adam":
            return adam(groups, lr=config.lr)
        return sgd(groups, lr=config.lr, momentum=0.9)

    def _pass(self, epoch: int) -> float:
        self._model.train()
        order = torch.randperm(len(self._train)).numpy()
        size = self.config.batch_size
        total = seen = 0.0
        for step, start in enumerate(range(0, len(order), size), start=1):
            rows = order[start : start + size]
            visual = torch.from_numpy(self._train.batch(rows)).to(self._device)
            label = torch.from_numpy(self._train.labels[rows]).to(self._device)
            loss = F.cross_entropy(self._logits(visual), label)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            value = loss.item()
            if not math.isfinite(value):
                raise NonFiniteLossError(epoch, step, value)
            total, seen = total + value * len(rows), seen + len(rows)
        return total / seen

    def _accuracy(self) -> float | None:
        if not len(self._test):
            return None
        self._model.eval()
        right = 0
        with torch.inference_mode():
            for rows in chunk_rows(len(self._test), self.config.eval_batch_size):
                visual = torch.from_numpy(self._test.batch(rows)).to(self._device)
                predicted = self._logits(visual).argmax(1).cpu().numpy()
                right += int((predicted == self._test.labels[rows]).sum())
        return right / len(self._test)

    def _logits(self, visual: Tensor) -> Tensor:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            logits = self._model["head"](self._model["encoder"](visual))
        return logits.float()  # type: ignore[no-any-return]


def chunk_rows(count: int, size: int) -> list[np.ndarray]:
    """Return 0 to count - 1 in arrays of at most ``size``."""
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]
