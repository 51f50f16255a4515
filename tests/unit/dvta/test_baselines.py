"""The eight baselines: published sizes, losses worked out another way, quirks by switch."""

import copy
import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from dvta.errors import DataError, OptionError
from dvta.features import ClassText
from dvta.methods import METHODS, build
from dvta.methods.cada_vae import wasserstein
from dvta.methods.hinge import ranking_hinge
from dvta.methods.jpose import triplet
from dvta.methods.purls import PURLS
from dvta.methods.revise import discrepancy
from dvta.methods.smie import SMIE
from dvta.methods.vae import kl
from dvta.profiling import parameters, profile_published
from dvta.training import fit
from dvta.training_config import TrainingConfig
from tests.factories import make_features

BASELINES = ("cada_vae", "devise", "jpose", "purls", "relationnet", "revise", "smie", "synse")
RIDGE = "dvta.methods.ridge_regression.RidgeRegression"
SMALL = {"cada_vae": {"cycle_steps": 40, "latent": 8}, "synse": {"cycle_steps": 40, "latent": 8}}


def features_for(name, seed=0):
    """A small learnable problem in the form a method needs."""
    f = make_features(seed)
    g = torch.Generator().manual_seed(seed + 1)
    labels, ids = f.class_text.labels, torch.arange(len(f.class_text.ids))
    text = dataclasses.replace(
        f.class_text, verbs=labels + 0.1 * torch.randn(labels.shape, generator=g), nouns=labels.flip(1),
        verb_ids=ids // 2, noun_ids=ids // 3, parts=labels[:, None] + 0.1 * torch.randn(len(ids), 8, 16, generator=g),
    )  # fmt: skip
    f = dataclasses.replace(f, class_text=text)
    if "unpooled" in METHODS.get(name).needs(METHODS.get(name).options_class()):
        spread = lambda x: x[:, None, None] + 0.1 * torch.randn(len(x), 3, 5, x.shape[1], generator=g)  # noqa: E731
        f = dataclasses.replace(f, train=spread(f.train), ztest=spread(f.ztest), gtest=None, g_label=None)
    return f


@pytest.mark.parametrize(
    ("name", "text_dim", "options", "count"),
    [
        ("devise", 768, {}, 197_376),
        ("devise", 1024, {}, 263_168),
        ("relationnet", 768, {}, 1_255_457),
        ("relationnet", 1024, {}, 1_517_601),
        ("revise", 768, {}, 952_380),
        ("revise", 1024, {}, 1_214_780),
        ("jpose", 1024, {}, 1_136_700),
        ("jpose", 768, {}, 112_700),
        ("jpose", 768, {"text_hidden": "always"}, 874_556),
        ("cada_vae", 1024, {}, 385_680),
        ("cada_vae", 1024, {"latent": 200}, 770_080),
        ("cada_vae", 768, {}, 308_624),
        ("cada_vae", 768, {"latent": 200}, 616_224),
        ("synse", 1024, {}, 386_704),
        ("synse", 1024, {"latent": 200}, 771_104),
        ("synse", 768, {}, 309_392),
        ("synse", 768, {"latent": 200}, 616_992),
        ("smie", 768, {}, 1_574_913),
        ("purls", 512, {"preset": "official"}, 6_533_128),
        ("purls", 512, {}, 7_584_776),
    ],
)
def test_published_sizes(name, text_dim, options, count):
    assert parameters(build(name, visual_dim=256, text_dim=text_dim, **options)) == count


def test_smie_costs_what_the_paper_says_twice_over():
    found = profile_published(SMIE, {}, "cpu", seconds=0.01)
    assert found.macs_per_pair == 1_573_376
    assert found.flops_per_pair == 3_146_752


@pytest.mark.slow
def test_every_method_has_a_cost():
    newer = {"flora_sentence": {"latent": 64}, "tdsm": {"depth": 1, "width": 64}}  # at a size for this test
    others = ("fs_vae", "msf", "sa_dvae", *newer)
    assert sorted(METHODS.names()) == sorted((*BASELINES, "dvta", *others))
    for name in METHODS.names():
        found = profile_published(
            METHODS.get(name), newer.get(name, {}), "cpu", batch_sizes=(1, 4), seconds=0.01
        )
        assert found.parameters > 0
        assert found.macs_per_pair > 0
        assert found.macs_per_sample > 0


@pytest.mark.parametrize("name", BASELINES)
def test_a_method_learns_and_continues_bit_for_bit(name):
    features = features_for(name)
    options = SMALL.get(name, {})
    config = TrainingConfig(epochs=3, batch_size=32, lr=3e-3, schedule="constant")

    def new():
        torch.manual_seed(0)
        return build(name, visual_dim=32, text_dim=16, **options)

    whole = fit(new(), features, config, seed=1)
    losses = [next(whole).metrics["loss"]]
    state = copy.deepcopy(whole.state())
    losses += [r.metrics["loss"] for r in whole]
    assert losses[-1] < losses[0]
    again = fit(new(), features, config, seed=1, state=state)
    assert [r.metrics["loss"] for r in again] == losses[1:]
    for (key, a), b in zip(
        whole.method.state_dict().items(), again.method.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), key
    assert whole.outcome().final.correct == again.outcome().final.correct


@pytest.mark.parametrize("name", BASELINES)
def test_every_parameter_is_trained_and_scores_fit_the_candidates(name):
    features = features_for(name)
    method = build(name, visual_dim=32, text_dim=16, **SMALL.get(name, {}))
    method.prepare(features)
    method.begin_epoch(5, 10)
    for _ in range(40):  # the last step of a cycle has every term
        loss = method.training_loss(features.train[:20], features.train_label[:20], features.class_text)
    loss.backward()
    assert [n for n, p in method.named_parameters() if p.grad is None] == []
    method.eval()
    unseen = features.class_text.select(features.unseen)
    scores = method.class_scores(features.ztest, unseen)
    assert scores.shape == (len(features.ztest), 3)
    assert torch.isfinite(scores).all()
    chunks = [method.class_scores(part, unseen) for part in features.ztest.split(7)]
    torch.testing.assert_close(torch.cat(chunks), scores)


def test_devise_loss_by_loops():
    features = features_for("devise")
    method = build("devise", visual_dim=32, text_dim=16)
    method.prepare(features)
    visual, labels = features.train[:6], features.train_label[:6]
    texts = F.normalize(features.class_text.labels, dim=-1)
    mapped = F.normalize(visual, dim=-1) @ method.map.weight.T + method.map.bias
    expected = 0.0
    for i in range(6):
        for c in features.seen:
            if c != labels[i]:
                gap = 0.1 - texts[labels[i]] @ mapped[i] + texts[c] @ mapped[i]
                expected += max(0.0, gap.item()) / 6
    assert float(method.training_loss(visual, labels, features.class_text)) == pytest.approx(
        expected, rel=1e-5
    )


def test_relationnet_relates_concatenated_pairs():
    features = features_for("relationnet")
    method = build("relationnet", visual_dim=32, text_dim=16)
    attribute = method.attribute(F.normalize(features.class_text.labels, dim=-1))
    visual = features.ztest[:4]
    pairs = torch.cat((attribute[None].expand(4, -1, -1), visual[:, None].expand(-1, 12, -1)), dim=2)
    expected = torch.sigmoid(method.score(torch.relu(method.relation(pairs)))).squeeze(-1)
    torch.testing.assert_close(method.class_scores(features.ztest[:4], features.class_text), expected)


def test_the_hinge_counts_the_true_class_and_stops_the_classes_gradient():
    v = torch.tensor([[1.0, 0.0]])
    classes = torch.tensor([[1.0, 0.0], [0.9, 0.0], [0.0, 1.0]], requires_grad=True)
    # true 0.3; 0.9 - 1 + 0.3 = 0.2; 0 - 1 + 0.3 < 0
    loss = ranking_hinge(v, classes[:1], classes, 0.3)
    assert loss.item() == pytest.approx(0.5)
    loss.backward()
    assert torch.equal(classes.grad[1:], torch.zeros(2, 2))


def test_discrepancy_of_equal_batches_is_zero_and_of_far_ones_is_known():
    a = torch.tensor([[0.0], [10.0]])
    assert discrepancy(a, a).item() == pytest.approx(0.0, abs=1e-6)
    # K_aa = K_bb = identity, K_ab = 0: mean of 2/4
    assert discrepancy(a, a + 100).item() == pytest.approx(1.0)


def test_revise_contracts_only_where_the_switch_lets_it():
    features = features_for("revise")
    grads = {}
    for kind in ("gradient", "value", "none"):
        torch.manual_seed(0)
        method = build("revise", visual_dim=32, text_dim=16, contractive=kind)
        method.prepare(features)
        loss = method.training_loss(features.train[:8].abs(), features.train_label[:8], features.class_text)
        loss.backward()
        grads[kind] = (loss.item(), method.visual_encoder[0].weight.grad)
    assert grads["value"][0] == grads["gradient"][0] > grads["none"][0]
    assert torch.equal(grads["value"][1], grads["none"][1])
    assert not torch.equal(grads["gradient"][1], grads["none"][1])
    assert METHODS.get("revise").options_class.resolve({"preset": "official"}).contractive == "value"


def test_triplets_by_hand():
    z = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    words = torch.tensor([0, 0, 1, 1])
    # least similar same word: 1, 0, 3, 2 (dots 0.8, 0.8, 0, 0); most similar other word: 2, 2, 1, 2->?
    dots = z @ z.T
    positives, negatives = [1, 0, 3, 2], [2, 2, 1, int(torch.argmax(dots[3, :2]))]
    own = sum(
        max(0.0, float(dots[i, n] - dots[i, p] + 0.3))
        for i, (p, n) in enumerate(zip(positives, negatives, strict=True))
    )
    assert triplet(z, words, 0.3, "own").item() == pytest.approx(own / 4)
    every = sum(
        max(0.0, float(dots[i, n] - dots[i, p] + 0.3))
        for i in range(4)
        for p, n in zip(positives, negatives, strict=True)
    )
    assert triplet(z, words, 0.3, "all").item() == pytest.approx(every / 4)
    assert triplet(z, torch.zeros(4), 0.3, "own").item() == 0.0


def test_kl_and_wasserstein_of_known_gaussians():
    mean, log = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(4.0)]])
    # 0.5 (m^2 + s^2 - 1 - log s^2) = 0.5 + 0.5 (3 - log 4)
    assert kl(mean, log).item() == pytest.approx(0.5 + 0.5 * (3 - math.log(4)))
    # means differ by 1, spreads by 1
    assert wasserstein(mean, log, torch.zeros(1, 2), torch.zeros(1, 2)).item() == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(
    ("steps", "at", "expected"),
    [
        (1900, 1000, (0.0, 0.0, False)),
        (1900, 1500, (0.1 * 500 / 3000, 0.0, False)),
        (1900, 1501, (0.1 * 501 / 3000, 0.1 / 3000, True)),
        (1900, 1900, (0.03, 0.1 * 400 / 3000, True)),
        (1700, 1400, (0.1 * 400 / 3000, 0.0, False)),
        (1700, 1700, (0.1 * 700 / 3000, 0.01, True)),
        (190, 100, (0.0, 0.0, False)),
        (190, 190, (0.03, 0.1 * 400 / 3000, True)),
    ],
)
def test_the_vae_schedule(steps, at, expected):
    method = build("cada_vae", visual_dim=4, text_dim=4, cycle_steps=steps)
    method._step = at
    assert method.schedule() == pytest.approx(expected)
    method.begin_epoch(3, 10)
    assert (method._step, method._cycle) == (0, 2)
    assert method.batches_per_epoch(10, 64) == steps


def test_synse_crosses_halves_and_its_texts_wait_two_cycles():
    features = features_for("synse")
    torch.manual_seed(0)
    method = build("synse", visual_dim=32, text_dim=16, cycle_steps=1900, latent=8)
    batch = (features.train[:4], features.train_label[:4], features.class_text)

    def loss(cycle):
        torch.manual_seed(0)
        method.begin_epoch(cycle + 1, 10)
        method._step = 1900
        return method.training_loss(*batch).item()

    texts = features.class_text
    words = [F.normalize(t[batch[1]], dim=-1) for t in (texts.verbs, texts.nouns)]
    divergence = kl(*method.verb.encode(words[0])) + kl(*method.noun.encode(words[1]))
    assert loss(0) == loss(1)
    assert loss(2) - loss(1) == pytest.approx(0.1 * 400 / 3000 * divergence.item(), rel=1e-3)
    mean, _ = method.text_latent(texts)
    torch.testing.assert_close(mean[:, :4], method.noun.mean(F.normalize(texts.nouns, dim=-1)))


def test_the_published_noise_is_one_number_a_sample():
    method = build("cada_vae", visual_dim=4, text_dim=4, preset="official")
    z = method.sample(torch.zeros(5, 100), torch.zeros(5, 100))
    assert torch.equal(z, z[:, :1].expand(-1, 100))
    own = build("cada_vae", visual_dim=4, text_dim=4)
    assert own.sample(torch.zeros(5, 100), torch.zeros(5, 100)).std(1).min() > 0.5
    assert method.options.wasserstein == 0.0


def test_a_latent_classifier_is_the_same_for_the_same_generator_and_leaves_training_alone():
    features = features_for("cada_vae")
    method = build("cada_vae", visual_dim=32, text_dim=16, **SMALL["cada_vae"])
    unseen = features.class_text.select(features.unseen)
    before = torch.get_rng_state()
    found = []
    for seed in (0, 0, 1):
        method.adapt(unseen, torch.Generator().manual_seed(seed))
        found.append(method.class_scores(features.ztest, unseen))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_latent_classifier_belongs_to_its_texts_and_weights():
    features = features_for("cada_vae")
    method = build("cada_vae", visual_dim=32, text_dim=16, **SMALL["cada_vae"])
    unseen = features.class_text.select(features.unseen)
    found = method.class_scores(features.ztest, unseen)
    assert torch.equal(method.class_scores(features.ztest, unseen), found)
    others = dataclasses.replace(unseen, labels=unseen.labels.flip(0))
    assert not torch.equal(method.class_scores(features.ztest, others), found)
    torch.manual_seed(9)
    fresh = build("cada_vae", visual_dim=32, text_dim=16, **SMALL["cada_vae"])
    method.load_state_dict(fresh.state_dict())
    assert torch.equal(
        method.class_scores(features.ztest, unseen), fresh.class_scores(features.ztest, unseen)
    )


def smie_weights(seed=0):
    g = torch.Generator().manual_seed(seed)
    shapes = {"l0": (1024, 1024), "l1": (512, 1024), "l2": (1, 512)}
    return {
        f"global_D.{name}.{part}": torch.randn(shape if part == "weight" else shape[:1], generator=g) / 30
        for name, shape in shapes.items()
        for part in ("weight", "bias")
    }


def test_smie_equals_the_published_code_in_loss_gradients_steps_and_scores():
    weights = smie_weights()
    model = SMIE.from_official(weights)
    plain = {k: v.clone().requires_grad_() for k, v in weights.items()}
    g = torch.Generator().manual_seed(2)
    visual, labels = torch.randn(16, 256, generator=g).abs(), torch.randint(0, 6, (16,), generator=g)
    text = ClassText(torch.arange(6), torch.randn(6, 768, generator=g))

    def network(v, t):
        x = torch.cat((v, t), dim=-1)
        for i in range(3):
            x = x @ plain[f"global_D.l{i}.weight"].T + plain[f"global_D.l{i}.bias"]
            x = torch.relu(x) if i < 2 else x
        return x

    def reference():
        t = F.normalize(text.labels[labels], dim=-1)
        v = F.layer_norm(visual, (256,))
        shifted = torch.cat((v[1:], v[:1]))
        return F.softplus(-network(v, t)).mean() + F.softplus(network(shifted, t)).mean()

    ours = torch.optim.Adam(model.parameters(), lr=1e-4)
    theirs = torch.optim.Adam(plain.values(), lr=1e-4)
    for step in range(20):
        a, b = model.training_loss(visual, labels, text), reference()
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
        for optimizer, loss in ((ours, a), (theirs, b)):
            optimizer.zero_grad()
            loss.backward()
        if step == 0:
            torch.testing.assert_close(
                model.l0.weight.grad, plain["global_D.l0.weight"].grad, atol=1e-5, rtol=1e-5
            )
        ours.step()
        theirs.step()
    torch.testing.assert_close(model.l1.weight, plain["global_D.l1.weight"], atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        t = F.normalize(text.labels, dim=-1)
        pairs = network(visual[:, None].expand(-1, 6, -1), t[None].expand(16, -1, -1)).squeeze(-1)
        torch.testing.assert_close(
            model.class_scores(visual, text), -F.softplus(-pairs), atol=1e-5, rtol=1e-5
        )


def test_smie_refuses_another_checkpoint():
    weights = smie_weights()
    weights["extra"] = weights.pop("global_D.l2.bias")
    with pytest.raises(DataError, match=r"missing keys \['global_D.l2.bias'\], unknown keys \['extra'\]"):
        SMIE.from_official(weights)


def test_smie_holds_masked_sequences_to_tell_less():
    features = features_for("smie")
    torch.manual_seed(0)
    method = build("smie", visual_dim=32, text_dim=16, temporal=True)
    plain = build("smie", visual_dim=32, text_dim=16)
    plain.load_state_dict(method.state_dict())
    visual, labels = features.train[:8], features.train_label[:8]
    same = torch.stack((visual, visual), dim=1)
    # a mask that hides nothing: the whole margin is missing
    difference = method.training_loss(same, labels, features.class_text) - plain.training_loss(
        visual, labels, features.class_text
    )
    assert difference.item() == pytest.approx(0.05, abs=1e-6)
    config = TrainingConfig(epochs=2, batch_size=16, lr=1e-3)
    with_masks = dataclasses.replace(features, masked=0.5 * features.train[:, None].repeat(1, 3, 1))
    assert len(list(fit(method, with_masks, config))) == 2


def purls_features():
    features = features_for("purls")
    return features, build("purls", visual_dim=32, text_dim=16).eval()


def test_purls_pools_once_per_candidate():
    features, method = purls_features()
    unseen = features.class_text.select(features.unseen)
    scores = method.class_scores(features.ztest[:5], unseen)
    tokens = F.normalize(features.ztest[:5].flatten(1, 2), dim=-1)
    parts = F.normalize(unseen.parts, dim=-1)
    for u in range(3):
        q = method.query(parts[u]).unflatten(1, (2, 150))  # (8, 2, 150)
        k = method.key(tokens).unflatten(2, (2, 150))  # (B, N, 2, 150)
        heads = torch.einsum("phk,bnhk->bhpn", q, k) / math.sqrt(150)
        pooled = heads.mean(1).softmax(-1) @ tokens  # (B, 8, D)
        out = method.projection(pooled.flatten(1))[:, -16:]
        torch.testing.assert_close(scores[:, u], out @ parts[u, 7], atol=1e-5, rtol=1e-5)
    one = method.class_scores(features.ztest[:5], unseen.select([features.unseen[1]]))
    torch.testing.assert_close(one[:, 0], scores[:, 1])


def test_purls_loss_at_one_sample_a_class_is_cross_entropy_in_both_directions():
    features, method = purls_features()
    rows = [int((features.train_label == c).nonzero()[0]) for c in features.seen[:4]]
    visual, labels = features.train[rows], features.train_label[rows]
    own = F.normalize(features.class_text.parts, dim=-1)[labels]
    tokens = F.normalize(visual.flatten(1, 2), dim=-1)
    pooled = torch.einsum("bpn,bnd->bpd", method._weights(tokens, own), tokens)
    out = method.projection(pooled.flatten(1)).unflatten(1, (8, 16))
    expected = 0.0
    for p in range(8):
        logits = math.log(1 / 0.07) * out[:, p] @ own[:, p].T
        expected += F.cross_entropy(logits, torch.arange(4)) + F.cross_entropy(logits.T, torch.arange(4))
    torch.testing.assert_close(method.training_loss(visual, labels, features.class_text), expected)


def test_the_leak_of_purls_cannot_be_asked_for():
    with pytest.raises(OptionError, match="gives the true class away"):
        build("purls", visual_dim=32, text_dim=16, test_query="ground_truth")
    features, method = purls_features()
    unseen = features.class_text.select(features.unseen)
    leaked = PURLS.leaking_scores(method, features.ztest, features.z_label, unseen)
    assert leaked.shape == (len(features.ztest), 3)
    true = (features.z_label[:, None] == unseen.ids[None]).int().argmax(1)
    honest = method.class_scores(features.ztest, unseen)
    rows = torch.arange(len(true))
    # pooled with the true class's texts, the true column is the honest one
    torch.testing.assert_close(leaked[rows, true], honest[rows, true], atol=1e-5, rtol=1e-5)


@given(st.integers(1, 200), st.integers(2, 64))
@settings(max_examples=60, deadline=None)
def test_purls_never_normalises_a_single_sample(samples, size):
    steps = PURLS.batches_per_epoch(None, samples, size)
    sizes = [len(range(samples)[i * size : (i + 1) * size]) for i in range(steps)]
    assert steps >= 1
    assert samples < 2 or min(sizes) > 1 or samples // size == 0


def test_purls_refuses_batches_of_one():
    with pytest.raises(
        OptionError, match="batch_size: 1 is impossible; purls normalises batches of 2 or more"
    ):
        PURLS.batches_per_epoch(None, 200, 1)


def test_missing_words_are_named():
    features = make_features()
    for name in ("jpose", "synse"):
        method = build(name, visual_dim=32, text_dim=16, **SMALL.get(name, {}))
        method.prepare(features)
        with pytest.raises(DataError, match="verb and noun texts"):
            method.training_loss(features.train[:4], features.train_label[:4], features.class_text)


def test_each_text_vae_draws_its_own_noise(monkeypatch):
    features = features_for("synse")
    method = build("synse", visual_dim=32, text_dim=16, latent=8, preset="official")
    seen = []
    sample = method.sample
    monkeypatch.setattr(method, "sample", lambda *pair: seen.append(sample(*pair)) or seen[-1])
    method.adapt(features.class_text, torch.Generator().manual_seed(0))
    assert [tuple(z.shape) for z in seen] == [(500 * len(features.class_text.ids), 4)] * 2
    assert not torch.equal(*seen)


def test_what_a_pair_costs_does_not_hold_the_fitting_of_a_classifier():
    # a linear map to the latent mean, and one to the classes
    for name in ("cada_vae", "synse"):
        found = profile_published(METHODS.get(name), {}, "cpu", seconds=0.01)
        assert found.macs_per_sample == 256 * 100 + 100 * 12
        assert found.macs_per_pair == 256 * 100 + 100


def test_purls_attention_starts_as_its_projection_does():
    method = build("purls", visual_dim=256, text_dim=512)
    for layer in (method.query, method.key):
        bound = (6 / layer.in_features) ** 0.5
        assert 0.9 * bound < layer.weight.abs().max().item() <= bound


def test_mined_samples_of_the_published_triplet_are_constants():
    z = F.normalize(torch.randn(6, 4, dtype=torch.float64), dim=1).requires_grad_()
    words = torch.tensor([0, 0, 1, 1, 2, 2])
    triplet(z, words, 0.3, "all").backward()
    similar = (z @ z.T).detach()
    same = words[:, None] == words[None]
    p = z.detach()[similar.masked_fill(~same, 9).argmin(1)]
    n = z.detach()[similar.masked_fill(same, -9).argmax(1)]
    active = (z.detach() @ n.T - z.detach() @ p.T + 0.3 > 0).double()
    # d/dz_i of the sum over j of <z_i, n_j - p_j>
    torch.testing.assert_close(z.grad, active @ (n - p) / 6)


@pytest.mark.parametrize("shrink", [1e-3, 0.1, 10.0])
def test_ridge_regression_is_the_least_squares_solution_and_training_leaves_it(shrink):
    f = make_features(0)
    run = fit(
        build(RIDGE, visual_dim=f.visual_dim, text_dim=f.text_dim, shrink=shrink),
        f,
        TrainingConfig(**METHODS.get(RIDGE).training_defaults),
    )
    x = F.normalize(f.train.double(), dim=-1)
    y = F.normalize(f.class_text.labels.double(), dim=-1)[f.train_label]
    # ordinary least squares of the rows with those of the penalty below them
    rows = math.sqrt(shrink * len(x)) * torch.eye(f.visual_dim, dtype=torch.float64)
    solution = torch.linalg.lstsq(
        torch.cat((x, rows)), torch.cat((y, torch.zeros(f.visual_dim, f.text_dim, dtype=torch.float64)))
    ).solution
    before = run.method.weight.detach().clone()
    assert torch.allclose(before.double(), solution, atol=1e-5)
    next(run)
    assert torch.equal(run.method.weight, before)
    loss = run.method.training_loss(f.train, f.train_label, f.class_text)
    loss.backward()
    assert run.method.weight.grad.abs().max() < 1e-5
    assert run.outcome().final.accuracy > 1 / len(f.unseen)
