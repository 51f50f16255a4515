"""Encoder and alignment trained together: gradients, learning, continuation, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from dvta import datasets, features
from dvta.end_to_end import EndToEndFit, initial_encoder
from dvta.end_to_end_config import EndToEndConfig
from dvta.errors import OptionError
from dvta.joint_data import encode
from dvta.methods import METHODS, build
from dvta.methods.ridge_regression import RidgeRegression
from dvta.training import derived_seed
from dvta.training_config import TrainingConfig
from tests.factories import make_joint_data, make_skeletons

CONFIG = TrainingConfig(epochs=4, batch_size=16, lr=1e-3)
ONE_STEP = TrainingConfig(epochs=1, batch_size=64, lr=1e-3)
SMALL = {
    "tdsm": {"depth": 1, "width": 64, "training_steps": 20},
    "flora_sentence": {"latent": 64, "alignment_steps": 10, "flow_steps": 5},
    "cada_vae": {"cycle_steps": 3},
    "synse": {"cycle_steps": 3},
    "msf": {"cycle_steps": 3},
    "sa_dvae": {"cycle_steps": 3},
    "fs_vae": {"cycle_steps": 3},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_skeletons(folder, per_class=2)
    return folder


def start(data, method="dvta", joint=None, config=CONFIG, state=None, seed=0, **options):
    torch.manual_seed(seed)
    model = build(method, visual_dim=data.features.visual_dim, text_dim=data.features.text_dim, **options)
    encoder = initial_encoder("st_gcn", {}, seed)
    return EndToEndFit(model, encoder, data, config, joint or EndToEndConfig(), seed=seed, state=state)


def test_the_loss_reaches_the_encoder_and_falls(root):
    data = make_joint_data(root)
    fit = start(data, joint=EndToEndConfig(classification_weight=0.0))
    before = {n: p.clone() for n, p in fit.encoder.named_parameters()}
    losses = [epoch.metrics["loss"] for epoch in fit]
    assert losses[-1] < losses[0]
    changed = [n for n, p in fit.encoder.named_parameters() if not torch.equal(p, before[n])]
    assert len(changed) > 0.9 * len(before)
    # what is measured is what the encoder makes now
    measured = fit.measured()
    assert torch.equal(measured.ztest, encode(fit.encoder, data.skeletons.ztest))
    assert measured.gtest.shape == (len(data.features.g_label), 256)
    assert 0 <= fit.outcome().final.accuracy <= 1


def test_every_method_that_trains_on_batches_trains_an_encoder(root):
    tried = METHODS.names()
    assert len(tried) == 14
    for name in tried:
        options = SMALL.get(name, {})
        fit = start(make_joint_data(root, name, **options), name, config=ONE_STEP, **options)
        before = {n: p.clone() for n, p in fit.encoder.named_parameters()}
        fit._joint = dataclasses.replace(fit._joint, classification_weight=0.0)
        (epoch,) = list(fit)
        assert epoch.metrics["loss"] == epoch.metrics["loss"], name
        moved = sum(not torch.equal(p, before[n]) for n, p in fit.encoder.named_parameters())
        assert moved > 0.5 * len(before), name


def test_it_goes_on_bit_for_bit(root):
    joint = EndToEndConfig(shear=0.3, rotation=10.0, crop=0.3, mirror=0.5, encoder_lr=3e-3)
    data = make_joint_data(root)
    whole = start(data, joint=joint)
    epochs = [e.metrics for e in whole]
    first = start(data, joint=joint)
    head = [next(first).metrics, next(first).metrics]
    state = first.state()
    torch.manual_seed(99)
    second = start(data, joint=joint, state=state)
    assert head + [e.metrics for e in second] == epochs
    assert whole.weights().keys() == second.weights().keys()
    assert all(torch.equal(a, second.weights()[n]) for n, a in whole.weights().items())


def test_a_frozen_encoder_stays_as_it_is_until_it_thaws(root):
    fit = start(make_joint_data(root), joint=EndToEndConfig(init="trained", frozen_epochs=2))
    begin = {n: v.clone() for n, v in fit.encoder.state_dict().items()}
    next(fit)
    next(fit)
    assert all(torch.equal(v, begin[n]) for n, v in fit.encoder.state_dict().items())
    next(fit)
    assert not all(torch.equal(v, begin[n]) for n, v in fit.encoder.state_dict().items())


def test_the_encoder_has_a_learning_rate_of_its_own(root):
    fit = start(make_joint_data(root), joint=EndToEndConfig(encoder_lr=1e-2))
    next(fit)
    rates = {round(group["lr"], 12) for group in fit.optimizer.param_groups}
    assert rates == {1e-3, 1e-2}


def test_held_out_classes_are_not_trained_on_and_are_what_is_measured(root):
    data = make_joint_data(root)
    held = datasets.get("cmu").split("split_1").validation
    tuned = data.hold_out(held)
    assert tuned.features.unseen == tuple(sorted(held))
    assert set(tuned.skeletons.train.labels.tolist()) == set(data.features.seen) - set(held)
    assert set(tuned.skeletons.ztest.labels.tolist()) == set(held)
    assert len(tuned.skeletons.train) + len(tuned.skeletons.ztest) == len(data.skeletons.train)
    by_hand = features.hold_out(data.features, held)
    assert torch.equal(by_hand.train_label, tuned.features.train_label)
    assert torch.equal(by_hand.z_label, tuned.features.z_label)
    next(start(tuned))


def test_what_cannot_train_an_encoder_is_refused(root):
    data = make_joint_data(root)
    with pytest.raises(OptionError, match="RidgeRegression is solved and not trained on batches"):
        EndToEndFit(
            RidgeRegression(visual_dim=256, text_dim=384), initial_encoder("st_gcn", {}, 0), data, CONFIG, EndToEndConfig()
        )  # fmt: skip
    with pytest.raises(OptionError, match="reads features of masked sequences"):
        start(data, "smie", temporal=True)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"init": "trainde"}, "did you mean 'trained'"),
        ({"encoder_lr": 0}, "a number above 0"),
        ({"frozen_epochs": -1}, "0 or more"),
        ({"frozen_epochs": 1}, "an encoder that has learned nothing"),
        ({"classification_weight": float("nan")}, "a finite number"),
        ({"crop": 0.95}, "0 to 0.9"),
        ({"mirror": "yes"}, "a finite number"),
    ],
)
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(OptionError, match=message):
        EndToEndConfig(**wrong)


def test_initial_weights_depend_on_the_seed_alone():
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(derived_seed("elsewhere", len(states)))
        states.append(initial_encoder("st_gcn", {}, seed).state_dict())
    same, other = (
        all(torch.equal(value, states[i][name]) for name, value in states[0].items()) for i in (1, 2)
    )
    assert (same, other) == (True, False)
