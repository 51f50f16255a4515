"""Runs that differ only in values train as one stacked model: seeds, learning rates, some options.

Every run stays a :class:`dvta.training.Fit` of its own: it draws its own batches and noise, is
evaluated by itself after every epoch, and can leave the stack at any of them and go on apart. Results
are those of training apart up to the order of sums in floating point.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.optim.adam import adam
from torch.overrides import TorchFunctionMode

from dvta.errors import NonFiniteLossError, OptionError
from dvta.facts.stacking import stack_key
from dvta.features import ClassText, FeatureSet
from dvta.methods.base import Method
from dvta.options import Options
from dvta.training import EpochResult, Fit, derived_seed, fit
from dvta.training_config import TrainingConfig


def fit_stacked(
    methods: Sequence[Method],
    features: FeatureSet,
    configs: Sequence[TrainingConfig],
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    precision: str = "fp32",
    states: Sequence[dict[str, Any]] | None = None,
) -> Stack:
    """Train methods together; iterate over the result for the epochs of all of them.

    Args:
        methods: alike but for their weights and the options :meth:`Method.stackable` names.
        features: what all of them train on.
        configs, seeds: of every method, see :func:`dvta.training.fit`.
        device, precision: as there.
        states: of every method, from :meth:`Fit.state` after the same epoch.

    Raises:
        OptionError: the methods or settings cannot be stacked.
    """
    kept: Sequence[dict[str, Any] | None] = [None] * len(methods) if states is None else states
    return Stack(
        [
            fit(method, features, config, seed=seed, device=device, precision=precision, state=state)
            for method, config, seed, state in zip(methods, configs, seeds, kept, strict=True)
        ]
    )


class Stack:
    """Trains several runs at once: iterate over it for the epochs of all its members.

    Between two epochs every member is complete in itself, with its weights and its optimiser's state;
    one that ends, fails or is removed costs the others nothing.

    Attributes:
        fits: the members that still train, in the order given.
    """

    def __init__(self, fits: Iterable[Fit]) -> None:
        self.fits = list(fits)
        first = self.fits[0]
        keys = {stack_key(type(f.method), f.method.options, f.config) for f in self.fits}
        alike = {(f.epoch, f.features.digest, f.features.seen, f.device, f.precision) for f in self.fits}
        if None in keys or len(keys) > 1 or len(alike) > 1:
            raise OptionError(
                f"{len(self.fits)} runs of {type(first.method).__name__} cannot be trained as one: "
                "they differ in more than stackable values, or the method cannot be stacked"
            )
        for member in self.fits:
            # on an accelerator each has a copy of the same features
            member.features = first.features
        self._model: _StackedModel | None = None

    def __iter__(self) -> Stack:
        return self

    def __next__(self) -> list[tuple[Fit, EpochResult | Exception | SystemExit]]:
        """Train and evaluate an epoch of every member; one whose loss is not finite, or whose evaluation fails, leaves.

        An epoch's seconds are the member's share of the training, and its own evaluation.
        """
        self.fits = [f for f in self.fits if f.epoch < f.config.epochs]
        if not self.fits:
            raise StopIteration
        if self._model is None or self._model.fits != self.fits:
            self._model = _StackedModel(self.fits)
        began = time.perf_counter()
        losses = self._model.train()
        share = (time.perf_counter() - began) / len(self.fits)
        results: list[tuple[Fit, EpochResult | Exception | SystemExit]] = []
        for member, loss in zip(list(self.fits), losses, strict=True):
            result: EpochResult | Exception | SystemExit
            if isinstance(loss, NonFiniteLossError):
                result = loss
            else:
                try:
                    result = member.end_epoch(loss, time.perf_counter() - share)
                except (Exception, SystemExit) as error:  # of a user's method; the others have their epoch
                    result = error
            if not isinstance(result, EpochResult):
                self.remove(member)
            results.append((member, result))
        return results

    def remove(self, member: Fit) -> None:
        """Let a member go: it can go on apart, and the others go on without it."""
        self.fits = [f for f in self.fits if f is not member]


class _StackedModel:
    """The members' weights (M, ...) as one model, and Adam's state beside them."""

    def __init__(self, fits: list[Fit]) -> None:
        self.fits = list(fits)
        methods = [f.method for f in fits]
        self._loss = _Loss(copy.deepcopy(methods[0]))
        named = [dict(m.named_parameters()) for m in methods]
        self._parameters = {
            name: torch.stack([each[name].detach() for each in named]).requires_grad_()
            for name, p in named[0].items()
            if p.requires_grad
        }
        self._averages = {
            name: tuple(
                torch.stack([_state(f, each[name])[kind] for f, each in zip(fits, named, strict=True)])
                for kind in ("exp_avg", "exp_avg_sq")
            )
            for name in self._parameters
        }
        buffers = [dict(m.named_buffers()) for m in methods]
        self._buffers = {
            name: torch.stack([each[name] for each in buffers])
            for name, buffer in buffers[0].items()
            if buffer.is_floating_point()
        }
        self._options = _differing_options(methods, fits[0].device)
        self._members = torch.arange(len(fits), device=fits[0].device)

    def train(self) -> list[float | NonFiniteLossError]:
        """Train an epoch and give every member its weights; return their mean losses."""
        first, epoch = self.fits[0], self.fits[0].epoch + 1
        for member in self.fits:
            member.begin_epoch()
        self._loss.method.train()
        self._loss.method.begin_epoch(epoch, first.config.epochs)
        noise = _Noise([derived_seed(f.seed, epoch) for f in self.fits], first.device)
        orders = [f.batch_order(g) for f, g in zip(self.fits, noise.generators["cpu"], strict=True)]
        order, steps = torch.stack([o for o, _ in orders]).to(first.device), orders[0][1]
        size, features = first.config.batch_size, first.features
        loss_of = vmap(self._loss_of(features.class_text, noise), randomness="same")
        update = self._optimizer()
        total, seen = torch.zeros(len(self.fits), device=first.device), 0
        bad: dict[int, NonFiniteLossError] = {}
        for step in range(steps):
            batch = order[:, step * size : (step + 1) * size]
            with noise, torch.autocast(first.device.type, torch.bfloat16, enabled=first.precision == "bf16"):
                losses = loss_of(
                    self._parameters, self._buffers, self._options, self._members,
                    features.train[batch], features.train_label[batch],
                )  # fmt: skip
            losses.sum().backward()
            update()
            total += losses.detach() * batch.shape[1]
            seen += batch.shape[1]
            if first.device.type == "cpu" or step == steps - 1:
                _note_failures(bad, epoch, step + 1, losses.detach())
        self._give_back(steps)
        means = (total / seen).tolist()
        return [bad.get(i, mean) for i, mean in enumerate(means)]

    def _loss_of(self, text: ClassText, noise: _Noise) -> Callable[..., Tensor]:
        """Return the loss of one model of the stack."""

        def loss_of(
            parameters: dict[str, Tensor],
            buffers: dict[str, Tensor],
            options: dict[str, Tensor],
            member: Tensor,
            visual: Tensor,
            labels: Tensor,
        ) -> Tensor:
            noise.member = member
            self._loss.method.options = _with_values(self.fits[0].method.options, options)
            state = {f"method.{name}": x for name, x in (parameters | buffers).items()}
            return functional_call(self._loss, state, (visual, labels, text))  # type: ignore[no-any-return]

        return loss_of

    def _optimizer(self) -> Callable[[], None]:
        """Return Adam's step with the epoch's learning rates, a tensor of all members where they agree."""
        groups: dict[tuple[float, float], list[tuple[str, slice, Tensor]]] = {}
        for name in self._parameters:
            settings = [_settings(f, name) for f in self.fits]
            alike = len(set(settings)) == 1
            for i, setting in enumerate(settings[:1] if alike else settings):
                part = slice(None) if alike else slice(i, i + 1)
                groups.setdefault(setting, []).append((name, part, self._steps_done()))
        default = self.fits[0].optimizer.defaults

        def update() -> None:
            with torch.no_grad():
                for (lr, weight_decay), parts in groups.items():
                    averages, squares = ([self._averages[n][k][s] for n, s, _ in parts] for k in range(2))
                    adam(
                        [self._parameters[n][s] for n, s, _ in parts],
                        [_gradient(self._parameters[n])[s] for n, s, _ in parts],
                        averages, squares, [], [done for *_, done in parts],
                        fused=True, amsgrad=False, maximize=False, lr=lr, weight_decay=weight_decay,
                        beta1=default["betas"][0], beta2=default["betas"][1], eps=default["eps"],
                    )  # fmt: skip
                for parameter in self._parameters.values():
                    parameter.grad = None

        return update

    def _steps_done(self) -> Tensor:
        """Return the steps that every member has made, a scalar."""
        first = self.fits[0]
        made = [float(s["step"]) for s in first.optimizer.state.values()]
        return torch.tensor(made[0] if made else 0.0, device=first.device)

    def _give_back(self, steps: int) -> None:
        """Copy weights and optimiser state into the members' own."""
        done = self._steps_done().cpu() + steps
        with torch.no_grad():
            for i, member in enumerate(self.fits):
                for name, parameter in member.method.named_parameters():
                    if name not in self._parameters:
                        continue
                    parameter.copy_(self._parameters[name][i])
                    average, square = (x[i].clone() for x in self._averages[name])
                    member.optimizer.state[parameter] = {
                        "step": done.clone(), "exp_avg": average, "exp_avg_sq": square,
                    }  # fmt: skip


class _Loss(nn.Module):
    """A method called by its loss, as ``functional_call`` needs it."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return the method's training loss."""
        return self.method.training_loss(visual, labels, text)


class _Noise(TorchFunctionMode):
    """Draws for every member from its own generator what the method asks ``torch`` for."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        super().__init__()
        self.generators = {
            kind: [torch.Generator(kind).manual_seed(seed) for seed in seeds] for kind in {"cpu", device.type}
        }
        self.member: Tensor | None = None  # the mapped model's index

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in (torch.randn, torch.rand) or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        assert self.member is not None
        kind = torch.device(kwargs.get("device") or "cpu").type
        drawn = [func(*args, **{**kwargs, "generator": g}) for g in self.generators[kind]]
        # a mapped index makes one member's noise of all members'
        return torch.stack(drawn).index_select(0, self.member.reshape(1)).squeeze(0)


def _note_failures(bad: dict[int, NonFiniteLossError], epoch: int, step: int, losses: Tensor) -> None:
    """Note the members whose loss is not finite, each at its first such step."""
    if not bool(losses.isfinite().all()):
        for i, value in enumerate(losses.tolist()):
            if not math.isfinite(value):
                bad.setdefault(i, NonFiniteLossError(epoch, step, value))


def _differing_options(methods: Sequence[Method], device: torch.device) -> dict[str, Tensor]:
    """Return the options in which the methods differ, (M,) each."""
    found = {}
    for name in methods[0].stackable(methods[0].options) or ():
        values = [getattr(m.options, name) for m in methods]
        if len(set(values)) > 1:
            found[name] = torch.tensor(values, device=device)
    return found


def _with_values(options: Options, values: dict[str, Tensor]) -> Options:
    """Return options with scalar tensors in place of some values, which are checked already."""
    changed = copy.copy(options)
    for name, value in values.items():
        object.__setattr__(changed, name, value)
    return changed


def _settings(member: Fit, name: str) -> tuple[float, float]:
    """Return learning rate and weight decay of a member's parameter."""
    parameter = member.method.get_parameter(name)
    group = next(g for g in member.optimizer.param_groups if any(p is parameter for p in g["params"]))
    return group["lr"], group["weight_decay"]


def _state(member: Fit, parameter: Tensor) -> dict[str, Tensor]:
    """Return Adam's averages of a member's parameter, zeros before the first step."""
    zeros = {kind: torch.zeros_like(parameter) for kind in ("exp_avg", "exp_avg_sq")}
    return member.optimizer.state.get(parameter) or zeros


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
