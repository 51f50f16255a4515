"""Stacked runs equal those trained apart, each with epochs, state, failure and end of its own."""

import copy
import dataclasses

import pytest
import torch

from dvta.errors import NonFiniteLossError, OptionError
from dvta.facts.stacking import measured, pays, stack_key
from dvta.features import ClassText
from dvta.methods import METHODS, build, vae
from dvta.methods.cada_vae import CADAVAE
from dvta.stacking import Stack, fit_stacked
from dvta.training import fit
from dvta.training_config import TrainingConfig
from tests.factories import make_features

CONFIG = TrainingConfig(epochs=3, batch_size=32, lr=1e-3)
TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}  # weights after nine steps of Adam at up to 3e-3
STACKABLE = {"smie": {}, "cada_vae": {"latent": 8, "cycle_steps": 7}, "synse": {"latent": 8, "cycle_steps": 7},
             "devise": {}}  # fmt: skip


@pytest.fixture(autouse=True)
def quick_classifiers(monkeypatch):
    monkeypatch.setattr(vae, "CLASSIFIER_STEPS", 5)


@pytest.fixture
def features():
    found = make_features()
    labels = found.class_text.labels
    words = {"verbs": labels.roll(1, 1), "nouns": labels.roll(2, 1)}
    return dataclasses.replace(found, class_text=ClassText(found.class_text.ids, labels, **words))


def make(name, features, seed, **options):
    torch.manual_seed(seed)
    return build(name, visual_dim=features.visual_dim, text_dim=features.text_dim, **options)


def assert_like(member, apart):
    own, other = member.state(), apart.state()
    assert own["epoch"] == other["epoch"]
    assert len(own["method"]) > 1
    for name, value in other["method"].items():
        torch.testing.assert_close(own["method"][name], value, msg=lambda m, n=name: f"{n}: {m}", **TOLERANCE)
    for key, values in other["optimizer"]["state"].items():
        assert own["optimizer"]["state"][key]["step"] == values["step"]
    assert own["optimizer"]["param_groups"] == other["optimizer"]["param_groups"]


@pytest.mark.parametrize("name", STACKABLE)
def test_members_equal_runs_apart(features, name):
    options = STACKABLE[name]
    configs = [
        dataclasses.replace(CONFIG, lr=lr, weight_decay=wd)
        for lr, wd in ((1e-3, 0.0), (3e-3, 0.1), (1e-3, 0.0))
    ]
    seeds = [5, 5, 6]
    stack = fit_stacked([make(name, features, s, **options) for s in seeds], features, configs, seeds)
    members = list(stack.fits)
    epochs = list(stack)
    assert [len(e) for e in epochs] == [3, 3, 3]
    for i, (config, seed) in enumerate(zip(configs, seeds, strict=True)):
        apart = fit(make(name, features, seed, **options), features, config, seed=seed)
        for epoch, expected in zip(epochs, apart, strict=True):
            member, result = epoch[i]
            assert member is members[i]
            assert result.epoch == expected.epoch
            assert result.metrics == pytest.approx(expected.metrics, rel=1e-4, abs=1e-4)
        assert_like(members[i], apart)


def test_every_stackable_method_is_tested_here():
    names = {
        n for n in METHODS.names() if METHODS.get(n).stackable(METHODS.get(n).options_class()) is not None
    }
    assert names == set(STACKABLE)


def test_options_that_are_values_may_differ(features):
    margins = [0.05, 0.4]
    methods = [make("devise", features, 0, margin=m) for m in margins]
    members = (stack := fit_stacked(methods, features, [CONFIG] * 2, [1, 1])).fits
    list(stack)
    for member, margin in zip(members, margins, strict=True):
        apart = fit(make("devise", features, 0, margin=margin), features, CONFIG, seed=1)
        list(apart)
        assert_like(member, apart)
        assert member.method.options.margin == margin


def test_a_member_leaves_and_goes_on_apart_and_comes_back_from_its_state(features):
    whole = fit(make("smie", features, 0), features, CONFIG, seed=0)
    list(whole)
    stack = fit_stacked([make("smie", features, s) for s in (0, 1)], features, [CONFIG] * 2, [0, 1])
    first, second = stack.fits
    next(stack)
    state = copy.deepcopy(first.state())
    stack.remove(first)
    assert len(next(stack)) == 1
    list(first)
    assert_like(first, whole)
    again = fit_stacked([make("smie", features, 0)], features, [CONFIG], [0], states=[state])
    (member,) = again.fits
    list(again)
    assert_like(member, whole)
    assert second.epoch == 2


def test_a_loss_that_is_not_finite_leaves_the_stack(features):
    methods = [make("devise", features, s) for s in range(3)]
    with torch.no_grad():
        methods[1].map.weight.fill_(float("nan"))
    stack = fit_stacked(methods, features, [CONFIG] * 3, [0, 1, 2])
    kinds = [[type(r) for _, r in epoch] for epoch in stack]
    assert kinds[0][1] is NonFiniteLossError
    assert [len(k) for k in kinds] == [3, 2, 2]
    assert sum(NonFiniteLossError in k for k in kinds) == 1


def test_what_differs_in_more_than_values_is_refused(features):
    pair = [make("devise", features, 0), make("devise", features, 1)]
    other = dataclasses.replace(CONFIG, batch_size=16)
    with pytest.raises(OptionError, match="2 runs of DeViSE cannot be trained as one"):
        fit_stacked(pair, features, [CONFIG, other], [0, 1])
    with pytest.raises(OptionError, match="cannot be stacked"):
        fit_stacked([make("dvta", features, 0, sde=False)], features, [CONFIG], [0])
    ahead = fit(make("devise", features, 2), features, CONFIG)
    next(ahead)
    with pytest.raises(OptionError):
        Stack([fit(pair[0], features, CONFIG), ahead])


def test_the_key_holds_what_cannot_differ():
    aligned, plain = (CADAVAE.options_class(wasserstein=w) for w in (1.0, 0.0))
    twice = dataclasses.replace(aligned, wasserstein=2.0)
    assert stack_key(CADAVAE, aligned, CONFIG) == stack_key(
        CADAVAE, twice, dataclasses.replace(CONFIG, lr=1.0)
    )
    assert stack_key(CADAVAE, aligned, CONFIG) != stack_key(CADAVAE, plain, CONFIG)


def test_what_was_not_measured_does_not_pay():
    assert not pays("smie", "a device of tomorrow")
    assert set(measured()["cpu"]) <= set(STACKABLE)
