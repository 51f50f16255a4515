"""The metric network in parts equals the plain form: values, gradients, training."""

import pytest
import torch

from dvta.methods import build, dvta, metric_network
from dvta.methods.metric_network import MetricNetwork, pair_energies
from tests.factories import make_features


def halves(samples, texts, width, *, own=False, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shape = (samples, texts, width) if own else (texts, width)
    ours = torch.randn(samples, width, generator=generator, dtype=dtype)
    return ours.requires_grad_(), torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()


def gradients(energies, network, ours, theirs):
    weights = [network.l1.weight, network.l1.bias, network.l2.weight, network.l2.bias]
    return torch.autograd.grad(energies.square().sum(), [ours, theirs, *weights])


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("pairs", [1, 40, 10_000])
def test_parts_equal_the_plain_form(monkeypatch, own, pairs):
    monkeypatch.setattr(metric_network, "PAIRS_PER_THREAD", pairs)
    torch.manual_seed(0)
    network = MetricNetwork(16)
    ours, theirs = halves(13, 7, 32, own=own)
    found, expected = network(ours, theirs), pair_energies(ours, theirs, network.l1, network.l2)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    both = [gradients(energies, network, ours, theirs) for energies in (found, expected)]
    assert len(both[0]) == 6
    for a, b in zip(*both, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_finite_differences(monkeypatch):
    monkeypatch.setattr(metric_network, "PAIRS_PER_THREAD", 4)
    torch.manual_seed(0)
    network = MetricNetwork(3).double()
    ours, theirs = halves(5, 3, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(network, (ours, theirs))


def test_half_precision_is_as_near_as_the_plain_form():
    torch.manual_seed(0)
    network = MetricNetwork(32)
    ours, theirs = halves(24, 12, 64)
    exact = gradients(network(ours, theirs), network, ours, theirs)
    low = ours.bfloat16(), theirs.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients(network(*low), network, ours, theirs)
        plain = gradients(pair_energies(*low, network.l1, network.l2), network, ours, theirs)
    for a, b, c in zip(found, plain, exact, strict=True):
        assert a.dtype == torch.float32
        assert (a - c).norm() <= 1.1 * (b - c).norm() + 1e-4 * c.norm()


def test_mapped_over_models_it_gives_each_model_its_own():
    torch.manual_seed(0)
    networks = [MetricNetwork(8) for _ in range(3)]
    ours, theirs = halves(6, 4, 16)
    params, _ = torch.func.stack_module_state(networks)
    mapped = torch.func.vmap(
        lambda p: torch.func.functional_call(networks[0], p, (ours, theirs)), randomness="error"
    )
    torch.testing.assert_close(mapped(params), torch.stack([n(ours, theirs) for n in networks]))


def test_twenty_adam_steps_stay_together(monkeypatch):
    features = make_features(visual_dim=32, text_dim=16)

    def trained():
        torch.manual_seed(0)
        method = build("dvta", visual_dim=32, text_dim=16)
        optimizer = torch.optim.Adam(method.parameters(), lr=1e-3)
        for _ in range(20):
            optimizer.zero_grad()
            method.training_loss(features.train, features.train_label, features.class_text).backward()
            optimizer.step()
        return method.state_dict()

    in_parts = trained()
    monkeypatch.setattr(
        dvta.MetricNetwork, "forward", lambda self, a, b: pair_energies(a, b, self.l1, self.l2)
    )
    plain = trained()
    assert len(plain) > 10
    for name, value in plain.items():
        torch.testing.assert_close(in_parts[name], value, atol=1e-4, rtol=1e-4, msg=name)
