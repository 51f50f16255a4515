import dataclasses

import numpy as np
import pytest
import torch

from dvta import gzsl
from dvta.errors import DataError
from dvta.methods import build
from dvta.training import fit
from dvta.training_config import TrainingConfig
from tests.factories import make_features


def test_the_harmonic_mean():
    assert gzsl.Generalised(0.6, 0.3, 1, 0.5).harmonic == pytest.approx(0.4)
    assert gzsl.Generalised(0.0, 0.0, 1, 0.5).harmonic == 0.0


def test_gate_input_is_both_sides_largest_probabilities_descending():
    zero_shot, logits = torch.tensor([[0.0, 2.0, 1.0]]), torch.tensor([[4.0, 0.0, 0.0, 8.0]])
    x = gzsl.gate_input(zero_shot, logits, 4, 2)
    p, q = zero_shot.softmax(1), (logits / 4).softmax(1)
    assert x.shape == (1, 4)
    assert x[0] == pytest.approx([float(v) for v in (p[0, 1], p[0, 2], q[0, 3], q[0, 0])], rel=1e-6)


def test_a_gate_separates_what_can_be_separated():
    rng = np.random.default_rng(0)
    unseen = np.repeat([True, False], 200)
    label = np.where(unseen, rng.integers(0, 3, 400), rng.integers(3, 8, 400))
    confident = torch.tensor(rng.normal(size=(400, 3)), dtype=torch.float32)
    confident[np.flatnonzero(unseen), label[unseen]] += 6
    logits = torch.tensor(rng.normal(size=(400, 5)), dtype=torch.float32)
    logits[np.flatnonzero(~unseen), label[~unseen] - 3] += 6
    gate = gzsl.choose_gate(confident, logits, label, unseen, np.arange(3), np.arange(3, 8), width=3)
    assert gate.temperature in gzsl.TEMPERATURES
    assert gate.threshold in gzsl.THRESHOLDS
    decided = gate.unseen_probability(confident, logits) > gate.threshold
    assert (decided == unseen).mean() > 0.95


def run(features, seed=0):
    def new():
        torch.manual_seed(0)
        return build("dvta", visual_dim=32, text_dim=16)

    config = TrainingConfig(epochs=4, batch_size=32, lr=2e-3)
    trained = fit(new(), features, config)
    for _ in trained:
        pass
    return gzsl.evaluate(trained.method, features, (3, 4, 5), new, config, seed=seed)


def test_a_trained_method_is_evaluated_on_all_classes_reproducibly():
    features = make_features(per_class=20)
    found = run(features)
    assert found == run(features)
    assert found.seen > 0.5  # chance is 1/12
    assert 0 <= found.unseen <= 1


def test_no_test_sample_moves_the_gate():
    features = make_features(per_class=20)
    poisoned = dataclasses.replace(
        features, gtest=torch.randn_like(features.gtest), ztest=torch.randn_like(features.ztest)
    )
    a, b = run(features), run(poisoned)
    assert (a.temperature, a.threshold) == (b.temperature, b.threshold)


def test_without_test_samples_of_all_classes_it_says_so():
    features = dataclasses.replace(make_features(), gtest=None, g_label=None)
    with pytest.raises(DataError, match="gzsl needs gtest.npy"):
        run(features)


def test_too_few_samples_for_the_gate_are_named():
    with pytest.raises(DataError, match="3 of validation classes and 0 held out of the other seen ones"):
        run(make_features(per_class=1))


def test_every_protocol_of_one_trial_and_its_result_names():
    features = make_features(per_class=20)
    found = run(features)
    assert sorted(found.results()) == sorted(
        f"gzsl_{name}"
        for name in (
            "seen", "unseen", "harmonic", "temperature", "threshold", "gate_spread", "stacking_seen",
            "stacking_unseen", "stacking_harmonic", "stacking_factor", "ausuc", "test_tuned_harmonic",
        )
    )  # fmt: skip
    assert 0 < found.ausuc < 1
    assert 0 < found.stacking_harmonic <= 1
    assert found.gate_spread >= 0
    # no factor can give more than the curve has
    assert found.stacking_seen * found.stacking_unseen <= found.ausuc + 1e-9


def test_no_test_sample_moves_the_stacking_factor():
    features = make_features(per_class=20)
    poisoned = dataclasses.replace(features, gtest=torch.randn_like(features.gtest))
    assert run(features).stacking_factor == run(poisoned).stacking_factor
