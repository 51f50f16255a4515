import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvta.losses import info_nce, kld, softmax_ce
from dvta.methods.dvta import _log_mean, leaky_sigmoid
from dvta.training import learning_rate
from dvta.training_config import TrainingConfig

S1 = torch.tensor([[2, 1, 0], [0, 3, 2], [1, -1, 4]], dtype=torch.float64)
S2 = torch.tensor([[0.5, 0, 0.1], [0, 0.5, 0], [0.3, 0, 0.2]], dtype=torch.float64)
LABELS = torch.tensor([0, 0, 1])


def one_way(v2t, target):
    """Both arguments alike, so that the mean of the directions is this direction."""
    return kld(v2t, v2t, LABELS, target=target).item()


@pytest.mark.parametrize(
    ("v2t", "t2v", "target", "golden"),
    [
        (S1.log_softmax(1), S1.T.log_softmax(1), "softmax10", (0.474732, 0.435339)),
        (S1.log_softmax(1), S1.T.log_softmax(1), "hard_normalised", (0.475103, 0.435725)),
        ((S1 + S2).log_softmax(1), (S1 + S2).T.log_softmax(1), "softmax10", (0.556716, 0.548673)),
        (
            _log_mean(S1.log_softmax(1), S2.log_softmax(1)),
            _log_mean(S1.T.log_softmax(1), S2.T.log_softmax(1)),
            "hard_normalised",
            (0.413150, 0.438502),
        ),
    ],
)
def test_kld_golden_values(v2t, t2v, target, golden):
    assert (one_way(v2t, target), one_way(t2v, target)) == pytest.approx(golden, abs=1e-6)
    assert kld(v2t, t2v, LABELS, target=target).item() == pytest.approx(sum(golden) / 2, abs=1e-6)
    assert kld(v2t, t2v, LABELS, target=target, reduce="sum").item() == pytest.approx(sum(golden), abs=1e-6)


def test_cross_entropies_golden_values():
    v2t, t2v = S1.log_softmax(1), S1.T.log_softmax(1)
    assert softmax_ce(v2t, t2v, LABELS).item() == pytest.approx(0.270534, abs=1e-6)
    assert info_nce(v2t, t2v, LABELS).item() == pytest.approx(0.250845, abs=1e-6)


@given(st.integers(2, 12), st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_kld_is_infonce_when_all_labels_differ(size, seed):
    s = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    both = (s.log_softmax(1), s.T.log_softmax(1), torch.arange(size))
    torch.testing.assert_close(kld(*both), info_nce(*both))


def test_leaky_sigmoid_jumps_at_zero_as_printed():
    x = torch.tensor([-1000.0, -100.0, -1.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    y = leaky_sigmoid(x, 0.01)
    assert y.tolist() == pytest.approx([4.54e-7, 3.679e-3, 9.900e-3, 0.01, 0.73106], rel=1e-3)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad[2].item() == pytest.approx(1e-4, rel=0.02)
    assert torch.isfinite(leaky_sigmoid(torch.tensor(1e9), 0.5))


def test_schedule_golden_values():
    config = TrainingConfig(epochs=100, lr=1.0, warmup_epochs=15)
    rates = [learning_rate(config, e + 1) for e in (0, 1, 14, 15, 40, 57, 99)]
    assert rates == pytest.approx([0, 0.066667, 0.933333, 1, 0.801317, 0.509239, 0.000341], abs=1e-6)
