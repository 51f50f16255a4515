"""Torch's optimizers without its compiler, which any of them imports when it is made: seconds of a worker's start.

Nothing here is compiled, so what torch wraps to keep its compiler out is called directly. The arithmetic is torch's.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]
_WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def _plain(kind: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    """Return an optimizer with its methods unwrapped."""
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in _WRAPPED}
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), methods)


_Adam, _SGD = _plain(torch.optim.Adam), _plain(torch.optim.SGD)


def adam(parameters: Parameters, *, lr: float, weight_decay: float = 0.0) -> torch.optim.Optimizer:
    """Return Adam (Kingma and Ba, 2015) over parameters or groups of them."""
    return _Adam(parameters, lr=lr, weight_decay=weight_decay)  # type: ignore[call-arg]


def sgd(parameters: Parameters, *, lr: float, momentum: float) -> torch.optim.Optimizer:
    """Return stochastic gradient descent with Nesterov's momentum over parameters or groups of them."""
    return _SGD(parameters, lr=lr, momentum=momentum, nesterov=True)  # type: ignore[call-arg]
