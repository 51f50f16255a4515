"""Optimizers: torch's to the bit, and without torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from dvta.optimizers import adam, sgd
from tests.conftest import ROOT

MAKERS = {
    "adam": (adam, torch.optim.Adam, {"lr": 0.1, "weight_decay": 0.01}, {}),
    "sgd": (sgd, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}, {"nesterov": True}),
}


def _trained(made, steps):
    """Return the weights of a small network after some steps; half-way its state goes through a new optimizer."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(3, 2, generator=generator).requires_grad_()
    bias = torch.zeros(2).requires_grad_()
    groups = [{"params": [weights]}, {"params": [bias], "lr": 0.3}]
    optimizer = made(groups)
    for step in range(steps):
        if step == steps // 2:
            state = optimizer.state_dict()
            optimizer = made(groups)
            optimizer.load_state_dict(state)
        optimizer.zero_grad(set_to_none=True)
        (torch.randn(5, 3, generator=generator) @ weights + bias).square().sum().backward()
        optimizer.step()
    return weights.detach(), bias.detach()


@pytest.mark.parametrize("name", MAKERS)
def test_steps_and_states_are_torch_s_to_the_bit(name):
    ours, theirs, settings, fixed = MAKERS[name]
    found = _trained(lambda groups: ours(groups, **settings), 20)
    expected = _trained(lambda groups: theirs(groups, **settings, **fixed), 20)
    for x, y in zip(found, expected, strict=True):
        assert torch.equal(x, y)


def test_training_does_without_torch_s_compiler():
    code = (
        "import sys, torch\n"
        "import dvta\n"
        "from tests.factories import make_features\n"
        "from dvta.training import fit\n"
        "features = make_features()\n"
        "for name in ('devise', 'smie'):\n"
        "    method = dvta.build(name, visual_dim=features.visual_dim, text_dim=features.text_dim)\n"
        "    assert len(list(fit(method, features, dvta.TrainingConfig(epochs=1, batch_size=8)))) == 1\n"
        "print(sorted({m.partition('.')[2] for m in sys.modules} & {'_dynamo', '_inductor'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
