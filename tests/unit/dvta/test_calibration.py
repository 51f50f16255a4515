"""Temperature, calibration error and "none of these", each against the plainest form of its formula."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.metrics import roc_auc_score

from dvta import calibration
from dvta.calibration import auroc, calibrate, expected_calibration_error, fit_temperature, groups
from dvta.features import hold_out
from dvta.methods import build
from dvta.training import fit
from dvta.training_config import TrainingConfig
from orchestrator.execute import worker
from orchestrator.execute.protocol import Job
from orchestrator.trial import Trial
from tests.factories import make_features

SEEDS = st.integers(0, 2**31)


def draw(seed, samples=60, classes=4, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    columns = torch.randint(classes, (samples,), generator=generator)
    scores = scale * torch.randn(samples, classes, generator=generator)
    scores[torch.arange(samples), columns] += scale
    return scores, columns


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_the_temperature_is_that_of_the_least_cross_entropy(seed):
    scores, columns = draw(seed)

    def loss(log):
        shares = np.exp(scores.double().numpy() / math.exp(log))
        shares /= shares.sum(1, keepdims=True)
        count, classes = shares.shape
        target = np.full(shares.shape, 1 / (count + 2) / (classes - 1))
        target[np.arange(count), columns.numpy()] = (count + 1) / (count + 2)
        return -(target * np.log(shares)).sum(1).mean()

    best = minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-9})
    assert loss(math.log(fit_temperature(scores, columns))) <= best.fun + 1e-9


def test_a_temperature_undoes_a_scale_and_is_bounded_where_all_is_right():
    scores, columns = draw(0)
    one = fit_temperature(scores, columns)
    assert fit_temperature(10 * scores, columns) == pytest.approx(10 * one, rel=1e-4)
    # all right: the target of three samples is 4/5, and e^(1/T) / (e^(1/T) + 2) that where T = 1 / log 8
    assert fit_temperature(torch.eye(3), torch.arange(3)) == pytest.approx(1 / math.log(8), rel=1e-4)
    assert fit_temperature(-torch.eye(3), torch.arange(3)) == pytest.approx(1e4, rel=0.1)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(1, 40))
def test_the_calibration_error_is_the_weighted_gap_of_the_bins(seed, samples):
    scores, columns = draw(seed, samples, scale=1.0)
    shares = scores.softmax(1)
    expected = 0.0
    for k in range(15):
        inside = [
            (max(row), row.index(max(row)) == c)
            for row, c in zip(shares.double().tolist(), columns.tolist(), strict=True)
            if k / 15 < max(row) <= (k + 1) / 15
        ]
        if inside:
            accuracy = sum(hit for _, hit in inside) / len(inside)
            confidence = sum(share for share, _ in inside) / len(inside)
            expected += len(inside) / samples * abs(accuracy - confidence)
    assert expected_calibration_error(shares, columns) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=20), st.lists(st.integers(0, 5), min_size=1, max_size=20)
)
def test_auroc_counts_pairs_and_is_that_of_a_library(inside, outside):
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in inside for b in outside]
    found = auroc(torch.tensor(inside, dtype=torch.float64), torch.tensor(outside, dtype=torch.float64))
    assert found == pytest.approx(sum(pairs) / len(pairs))
    truth = [1] * len(inside) + [0] * len(outside)
    assert found == pytest.approx(roc_auc_score(truth, inside + outside))


def trained(features):
    torch.manual_seed(0)
    method = build("devise", visual_dim=features.visual_dim, text_dim=features.text_dim)
    run = fit(method, features, TrainingConfig(epochs=3, batch_size=16, lr=1e-2))
    list(run)
    return run


def test_the_temperature_never_sees_an_unseen_class():
    features = make_features()
    assert [len(g) for g in groups(features)] == [3, 3, 3]
    assert set().union(*groups(features)) <= set(features.seen)
    method = trained(features).method
    found = calibrate(method, features, seed=0)
    assert set(found.results()) == {"temperature", "ece", "ece_uncalibrated", "open_set_auroc"}
    assert 0 <= found.ece <= 1
    assert 0 <= found.open_set_auroc <= 1
    # other labels of unseen classes: another error, the same temperature
    other = dataclasses.replace(features, z_label=features.z_label.flip(0))
    changed = calibrate(method, other, seed=0)
    assert changed.temperature == found.temperature
    assert changed.ece != found.ece


def test_without_held_out_samples_of_seen_classes_nothing_is_fitted():
    features = hold_out(make_features(), (4, 5, 6))
    found = calibrate(trained(features).method, features, seed=0)
    assert set(found.results()) == {"ece_uncalibrated"}
    one = dataclasses.replace(features, unseen=(4,))
    assert calibrate(trained(features).method, one, seed=0) is None


def test_a_trial_measures_it_and_keeps_its_weights_and_accuracies(tmp_path, monkeypatch):
    features = make_features()
    trial = Trial(
        "cada_vae", 2, "toy", "1", "toy", "toy", 0, "simulated", "x",
        {"cycle_steps": 20, "latent": 8}, {"epochs": 2, "batch_size": 16, "lr": 1e-3},
    )  # fmt: skip

    def outcome(name):
        job = Job(1, trial.to_dict(), "x", str(tmp_path / name / "c"), model=str(tmp_path / name / "m.pt"))
        attempt = worker.start(job, lambda digest: features)
        while not (report := attempt.step()).last:
            pass
        assert report.failure is None, report.failure
        return report.outcome, torch.load(tmp_path / name / "m.pt", weights_only=True)

    with_it, weights = outcome("a")
    monkeypatch.setattr(worker, "calibrate", lambda *args, **kwargs: None)
    without, plain = outcome("b")
    assert with_it.per_class == without.per_class
    assert {**with_it.results, **without.results} == with_it.results
    names = {f.name for f in dataclasses.fields(calibration.Calibration)}
    assert set(with_it.results) - set(without.results) == names
    assert all(torch.equal(weights[name], plain[name]) for name in plain)
