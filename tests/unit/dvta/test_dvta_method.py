import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvta.errors import DataError, OptionError, UnknownNameError
from dvta.facts.dvta import DVTAOptions
from dvta.features import ClassText
from dvta.methods import build
from dvta.methods.dvta import DVTA
from dvta.profiling import parameters, profile
from tests.straightforward import Straightforward, official_weights

LINEAR = {"visual_projector": "linear", "text_projector": "identity"}


def texts(classes=6, dim=768, seed=1):
    g = torch.Generator().manual_seed(seed)
    return ClassText(
        torch.arange(classes), torch.randn(classes, dim, generator=g), torch.randn(classes, dim, generator=g)
    )


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"sde": False, "aa": False, **LINEAR}, 197_376),
        ({"sde": True, "aa": False, **LINEAR}, 197_376),
        ({"sde": True, "aa": False}, 1_346_176),
        ({"sde": True, "aa": True, **LINEAR}, 3_739_393),
        ({"sde": True, "aa": True}, 4_888_193),
        ({"aa": False, "visual_projector": "linear"}, 787_968),
        ({"aa": False, "text_projector": "identity"}, 755_584),
    ],
)
def test_parameters_of_the_ablation_rows_without_temperatures(options, count):
    assert parameters(build("dvta", visual_dim=256, text_dim=768, tau_learnable=False, **options)) == count


@pytest.mark.parametrize(("dim", "count"), [(768, 4_888_195), (512, 2_724_483), (1024, 7_707_267)])
def test_parameters_of_the_published_module(dim, count):
    assert parameters(build("dvta", visual_dim=256, text_dim=dim, preset="official")) == count


def test_multiply_accumulates_of_a_pair():
    found = profile(build("dvta", visual_dim=256, text_dim=768), torch.randn(4, 256), texts(), seconds=0.01)
    assert found.macs_per_pair == 4_883_200
    assert found.flops_per_pair == 9_766_400
    assert set(found.fps) == {1, 1024}


def test_equals_the_published_code_in_scores_loss_and_gradients():
    weights = official_weights()
    model, text = DVTA.from_official(weights), texts()
    plain = {k: v.clone().requires_grad_() for k, v in weights.items()}
    reference = Straightforward(plain)
    visual, labels = torch.randn(24, 256).abs(), torch.randint(0, 6, (24,))
    loss, expected = (
        model.training_loss(visual, labels, text),
        reference.loss(visual, labels, text.labels, text.contexts),
    )
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    loss.backward()
    expected.backward()
    names = {"direct_alignment.text_projector.weight": "text_projector.weight", "scaling_factors": "temperatures",
             "direct_alignment.visual_projector.l0.weight": "visual_projector.l0.weight",
             "augmented_alignment.net.0.weight": "metric.l0.weight"}  # fmt: skip
    own = dict(model.named_parameters())
    for theirs, ours in names.items():
        torch.testing.assert_close(own[ours].grad, plain[theirs].grad, atol=1e-5, rtol=1e-4)
    model.eval()
    with torch.no_grad():
        expected = reference.scores(visual, text.labels, text.contexts)
        torch.testing.assert_close(model.class_scores(visual, text), expected, atol=1e-5, rtol=1e-5)
        # (a) of methods.md section 15: training diagonal = test score of the own text
        diagonal = reference.logits(visual, text.labels[labels], text.contexts[labels]).diagonal()
        torch.testing.assert_close(expected[torch.arange(24), labels], diagonal, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_twenty_adam_steps_equal_the_published_code():
    weights = official_weights(text=128)
    model, text = DVTA.from_official(weights), texts(dim=128)
    plain = {k: v.clone().requires_grad_() for k, v in weights.items()}
    reference = Straightforward(plain)
    ours = torch.optim.Adam(model.parameters(), lr=1e-4)
    theirs = torch.optim.Adam(plain.values(), lr=1e-4)
    model.train()
    for step in range(20):
        torch.manual_seed(step)
        visual, labels = torch.randn(16, 256).abs(), torch.randint(0, 6, (16,))
        for optimizer, loss in (
            (ours, model.training_loss(visual, labels, text)),
            (theirs, reference.loss(visual, labels, text.labels, text.contexts)),
        ):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.testing.assert_close(
        model.metric.l1.weight, plain["augmented_alignment.net.2.weight"], atol=1e-4, rtol=0
    )
    torch.testing.assert_close(
        model.visual_projector.l3.weight,
        plain["direct_alignment.visual_projector.l3.weight"],
        atol=1e-4,
        rtol=0,
    )


def test_a_foreign_checkpoint_is_refused():
    weights = official_weights()
    with pytest.raises(DataError, match="missing keys"):
        DVTA.from_official({k: v for k, v in weights.items() if "net.0" not in k})
    with pytest.raises(DataError, match="does not fit"):
        DVTA.from_official({**weights, "scaling_factors": torch.ones(3)})


CHOICES = st.fixed_dictionaries(
    {
        "sde": st.booleans(),
        "visual_projector": st.sampled_from(["deep", "linear"]),
        "text_projector": st.sampled_from(["linear", "identity"]),
        "aa": st.booleans(),
        "aa_activation": st.sampled_from(["leaky_sigmoid", "sigmoid", "none"]),
        "gamma": st.sampled_from([0.01, 0.5]),
        "loss": st.sampled_from(["kld", "infonce", "softmax_ce"]),
        "tau_learnable": st.booleans(),
        "tau_shared": st.booleans(),
        "aa_detach": st.booleans(),
        "combine": st.sampled_from(["mean_prob", "sum_logits"]),
        "target": st.sampled_from(["hard_normalised", "softmax10"]),
        "direction_reduce": st.sampled_from(["sum", "mean"]),
        "sde_scale": st.sampled_from(["inv_sqrt_h", "none"]),
        "sde_order": st.sampled_from(["project_then_attend", "attend_then_project"]),
        "sde_context_proj": st.sampled_from(["shared", "none"]),
        "sde_train_pairing": st.sampled_from(["own", "pairwise"]),
    }
)


def _loss_and_scores(options):
    torch.manual_seed(0)
    model, text = build("dvta", visual_dim=8, text_dim=12, **options), texts(dim=12)
    visual, labels = torch.randn(7, 8), torch.tensor([0, 1, 1, 2, 3, 3, 3])
    loss = model.training_loss(visual, labels, text)
    loss.backward()
    assert torch.isfinite(loss)
    return loss.detach(), model.eval().class_scores(visual, text).detach()


@given(CHOICES)
@settings(max_examples=60, deadline=None)
def test_every_combination_trains_and_its_canonical_form_is_the_same_model(options):
    canonical = DVTAOptions.resolve(options).canonical()
    again = {k: v for k, v in canonical.items() if v is not None}
    assert DVTAOptions.resolve(again).canonical() == canonical
    for one, other in zip(_loss_and_scores(options), _loss_and_scores(again), strict=True):
        assert torch.equal(one, other)


def test_impossible_options_name_what_is_allowed():
    with pytest.raises(OptionError, match="gama: unknown option.*did you mean 'gamma'"):
        DVTAOptions.resolve({"gama": 1.0})
    with pytest.raises(OptionError, match="gamma: -1.0 is impossible"):
        DVTAOptions.resolve({"gamma": -1.0})
    with pytest.raises(OptionError, match="preset: 'oficial' is unknown.*official"):
        DVTAOptions.resolve({"preset": "oficial"})
    with pytest.raises(UnknownNameError, match="unknown loss 'klt'.*did you mean 'kld'"):
        DVTAOptions.resolve({"loss": "klt"})
    assert len(dataclasses.fields(DVTAOptions)) == 19


def test_missing_contexts_are_named():
    text = dataclasses.replace(texts(dim=12), contexts=None)
    with pytest.raises(DataError, match="context"):
        build("dvta", visual_dim=8, text_dim=12).training_loss(torch.randn(2, 8), torch.tensor([0, 1]), text)


def test_a_loss_of_ones_own_gets_the_target_of_the_preset():
    options = DVTAOptions.resolve({"preset": "official", "loss": "dvta.losses.kld"})
    assert DVTAOptions.resolve(options.canonical()) == options
    assert DVTAOptions.resolve({"preset": "official", "loss": "infonce"}).canonical()["target"] is None


def test_the_temperatures_are_reported():
    method = build("dvta", visual_dim=32, text_dim=16, preset="official", tau=0.2)
    assert method.extra_metrics() == pytest.approx({"final_tau_da": 0.2, "final_tau_aa": 0.2})
    assert set(build("dvta", visual_dim=32, text_dim=16).extra_metrics()) == {"final_tau"}


def test_values_of_another_type_are_refused():
    for wrong, message in (
        ({"gamma": "big"}, "gamma: 'big' is impossible; allowed: a finite number"),
        ({"sde": 1}, "sde: 1 is impossible; allowed: true or false"),
        ({"combine": "sum_logit"}, "did you mean 'sum_logits'"),
    ):
        with pytest.raises(OptionError, match=message):
            build("dvta", visual_dim=32, text_dim=16, **wrong)
