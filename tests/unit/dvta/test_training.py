import math

import pytest
import torch

from dvta.errors import DataError, NonFiniteLossError, OptionError
from dvta.evaluation import Evaluation
from dvta.methods import build
from dvta.training import fit, load_state, native_precision
from dvta.training_config import TrainingConfig
from tests.factories import make_features

CONFIG = TrainingConfig(epochs=6, batch_size=32, lr=3e-3, warmup_epochs=1)


def fresh(features, **options):
    torch.manual_seed(0)
    return build("dvta", visual_dim=features.visual_dim, text_dim=features.text_dim, **options)


def test_training_beats_chance_and_leaves_the_callers_randomness_alone():
    features = make_features()
    run = fit(fresh(features), features, TrainingConfig(epochs=12, batch_size=32, lr=3e-3, warmup_epochs=1))
    before = torch.get_rng_state()
    results = list(run)
    assert torch.equal(before, torch.get_rng_state())
    assert [r.epoch for r in results] == list(range(1, 13))
    outcome = run.outcome()
    assert outcome.best.batch_accuracy > 0.5
    assert outcome.best_epoch == max(results, key=lambda r: (r.metrics["batch_accuracy"], -r.epoch)).epoch
    assert outcome.final.accuracy == results[-1].metrics["accuracy"]


def test_a_continued_run_gives_the_same_bits(tmp_path):
    features = make_features()
    whole = fit(fresh(features), features, CONFIG, seed=3)
    expected = list(whole)
    first = fit(fresh(features), features, CONFIG, seed=3)
    head = [next(first) for _ in range(3)]
    first.save(tmp_path / "state.pt")
    torch.manual_seed(99)
    second = fit(fresh(features), features, CONFIG, seed=3, state=load_state(tmp_path / "state.pt"))
    results = head + list(second)
    assert [r.metrics for r in results] == [r.metrics for r in expected]
    for a, b in zip(whole.method.state_dict().values(), second.method.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert second.outcome().best_epoch == whole.outcome().best_epoch


def test_a_loss_that_is_not_finite_is_a_typed_failure():
    features = make_features()
    method = fresh(features)
    with torch.no_grad():
        method.temperatures.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match="epoch 1, step 1"):
        next(fit(method, features, CONFIG))


@pytest.mark.parametrize(
    ("has", "precision"),
    [
        ({"amx_bf16": True}, "bf16"),
        ({"avx512_bf16": True}, "bf16"),
        ({"amx_bf16": False, "avx2": True}, "fp32"),
    ],
)
def test_bf16_is_native_where_the_processor_multiplies_it(monkeypatch, has, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert native_precision("cpu") == precision


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "bad.pt").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DataError, match=r"bad\.pt"):
        load_state(tmp_path / "bad.pt")


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"lr": -1.0},
        {"lr": math.inf},
        {"warmup_epochs": 100},
        {"weight_decay": -1.0},
        {"weight_decay": math.nan},
        {"weight_decay": math.inf},
    ],
)
def test_impossible_settings(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        TrainingConfig(**wrong)


def test_an_unknown_precision_is_refused():
    with pytest.raises(
        OptionError, match=r"precision: 'fp16' is unknown \(did you mean 'bf16'\?\); allowed: fp32, bf16"
    ):
        fit(fresh(features := make_features()), features, CONFIG, precision="fp16")


def test_the_short_last_batch_weighs_as_much_as_the_others_in_batch_accuracy():
    labels = torch.tensor([0] * 64 + [1] * 40)
    predicted = torch.tensor([0] * 64 + [0] * 40)
    found = Evaluation.of(predicted, labels, (0, 1), 64)
    assert found.accuracy == pytest.approx(64 / 104)
    assert found.batch_accuracy == pytest.approx(0.5)
    assert found.class_accuracy == pytest.approx(0.5)
    assert found.correct == {0: 64, 1: 0}
    assert found.total == {0: 64, 1: 40}
    assert found.confusion.tolist() == [[64, 0], [40, 0]]
