"""Every method as TorchScript and ONNX: the scores of the method, for any number of samples and candidates."""

import sys

import pytest
import torch

from dvta import export
from dvta.encoders import ENCODERS, build_encoder
from dvta.errors import DataError, OptionError
from dvta.export import Scorer, check_exportable, example_texts, text_fields
from dvta.features import ClassText
from dvta.methods import METHODS, Method, build
from dvta.methods.base import Method as Base

VISUAL, TEXT, CLASSES, UNSEEN = 32, 16, 9, 4
SMALL = {
    "tdsm": {"depth": 1, "width": 64}, "flora_sentence": {"latent": 16}, "cada_vae": {"latent": 8},
    "synse": {"latent": 8}, "msf": {"latent": 8}, "fs_vae": {"latent": 8},
}  # fmt: skip
SHIPPED = (
    "cada_vae", "devise", "dvta", "flora_sentence", "fs_vae", "jpose", "msf", "purls", "relationnet", "revise",
    "sa_dvae", "smie", "synse", "tdsm",
)  # fmt: skip
FITTED = ("cada_vae", "fs_vae", "msf", "sa_dvae", "synse")


def texts(classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels, contexts, verbs, nouns, motions = torch.randn(5, classes, TEXT, generator=generator)
    parts = torch.randn(classes, 8, TEXT, generator=generator)
    return ClassText(torch.arange(classes), labels, contexts, verbs, nouns, parts=parts, motions=motions)


def trained(name, **options):
    """Return a method with weights that are no longer the initial ones, and samples for it."""
    torch.manual_seed(0)
    method = build(name, visual_dim=VISUAL, text_dim=TEXT, **SMALL.get(name, {}), **options).eval()
    with torch.no_grad():
        for parameter in method.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    if name == "flora_sentence":
        method.known = torch.cat((texts(CLASSES).labels, texts(CLASSES).contexts), dim=1)
    if name == "tdsm":  # the graph repeats the network for every noise
        method.test_noise = method.test_noise[:2]
    shape = (4, 3) if name == "purls" else ()
    return method, torch.randn(11, *shape, VISUAL).abs()


def same(run, method, visual, text, given=()):
    own = method.class_scores(visual, text)
    assert own.shape == (len(visual), len(text.ids))
    assert own.std() > 0
    torch.testing.assert_close(run([visual, *given]), own, atol=1e-4, rtol=0)


def test_the_methods_are_those_that_are_tested_here():
    assert tuple(METHODS.names()) == SHIPPED
    assert len(SHIPPED) == 14
    assert {n for n in SHIPPED if METHODS.get(n).adapt is not Base.adapt} == set(FITTED)


@pytest.mark.parametrize("form", export.FORMS)
@pytest.mark.parametrize("name", SHIPPED)
def test_baked_texts_give_the_method_s_scores(name, form):
    method, visual = trained(name)
    text = texts(CLASSES).select([1, 3, 4, 7])
    method.adapt(text, torch.Generator().manual_seed(0))
    content = export.export(Scorer(method, None, text), form, {"visual": visual}, {"is": name})
    run, about = export.load(content, form)
    assert about == {"is": name}
    with torch.no_grad():
        for samples in (1, 3, 11):
            same(run, method, visual[:samples], text)


@pytest.mark.parametrize("form", export.FORMS)
@pytest.mark.parametrize("name", [n for n in SHIPPED if n not in FITTED])
def test_free_texts_are_inputs(name, form):
    method, visual = trained(name)
    text = texts(CLASSES).select([1, 3, 4, 7])
    given = example_texts(text, text_fields(method))
    scorer = Scorer(method, None, None, tuple(given))
    free = not method.loops_over_classes
    content = export.export(scorer, form, {"visual": visual, **given}, {}, classes=free)
    run, _ = export.load(content, form)
    others = [texts(4, seed=5), *([texts(7, seed=6)] if free else [])]
    with torch.no_grad():
        for other in (text, *others):
            same(run, method, visual, other, example_texts(other, tuple(given)).values())


@pytest.mark.parametrize("form", export.FORMS)
@pytest.mark.parametrize("name", FITTED)
def test_texts_that_a_classifier_is_fitted_to_are_never_free(name, form):
    method, _ = trained(name)
    with pytest.raises(OptionError, match="--texts free: .* fits a classifier .*; allowed: baked"):
        check_exportable(method, form, "free")
    check_exportable(method, form, "baked")


@pytest.mark.parametrize("form", export.FORMS)
@pytest.mark.parametrize(("encoder", "frames", "persons"), [
    ("st_gcn", 50, 1), ("shift_gcn", 50, 2), ("ctr_gcn", 50, 2), ("st_gcn_classical", 50, 2),
])  # fmt: skip
def test_an_encoder_before_the_method(encoder, frames, persons, form):
    assert ENCODERS.names() == ["ctr_gcn", "shift_gcn", "st_gcn", "st_gcn_classical"]
    torch.manual_seed(0)
    network = build_encoder(encoder).eval()
    method = build("devise", visual_dim=256, text_dim=TEXT).eval()
    text, x = texts(3), torch.randn(5, 3, frames, 25, persons)
    content = export.export(Scorer(method, network, text), form, {"visual": x}, {})
    run, _ = export.load(content, form)
    with torch.no_grad():
        for samples in (1, 5):
            own = method.class_scores(network(x[:samples]), text)
            torch.testing.assert_close(run([x[:samples]]), own, atol=1e-4, rtol=0)


@pytest.mark.parametrize("form", export.FORMS)
def test_un_pooled_features_of_an_encoder_before_purls(form):
    torch.manual_seed(0)
    network = build_encoder("st_gcn").eval()
    method = build("purls", visual_dim=256, text_dim=TEXT).eval()
    text, x = texts(3), torch.randn(4, 3, 50, 25, 1)
    content = export.export(Scorer(method, network, text, unpooled=True), form, {"visual": x}, {})
    with torch.no_grad():
        own = method.class_scores(export.segments(network.feature_map(x)), text)
        torch.testing.assert_close(export.load(content, form)[0]([x]), own, atol=1e-4, rtol=0)


def test_exporting_changes_nothing_of_the_method():
    method, visual = trained("fs_vae")
    text = texts(4)
    method.adapt(text, torch.Generator().manual_seed(0))
    before = {k: v.clone() for k, v in method.state_dict().items()}
    export.export(Scorer(method, None, text), "torchscript", {"visual": visual}, {})
    assert list(before) == list(method.state_dict())
    assert all(torch.equal(before[k], v) for k, v in method.state_dict().items())


class Counting(Method):
    """A method whose scores depend on data in a way that no graph holds."""

    def __init__(self, **_):
        super().__init__()
        self.options = Method.options_class()

    def class_scores(self, visual, text):
        raise RuntimeError("no graph of this\nmore")


@pytest.mark.parametrize("form", export.FORMS)
def test_what_an_exporter_refuses_is_said(form, monkeypatch):
    with pytest.raises(DataError, match=f"Counting cannot be exported as {form} \\("):
        export.export(Scorer(Counting(), None, texts(3)), form, {"visual": torch.randn(3, 4)}, {})
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    if form == "onnx":
        with pytest.raises(OptionError, match=r"needs the package onnxruntime.*dvta-orch\[export\]"):
            check_exportable(Counting(), form, "baked")
