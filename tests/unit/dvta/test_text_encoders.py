"""Text encoders: a real Sentence-BERT, a tiny CLIP made here, and models that are out of reach."""

import json
import sys

import numpy as np
import pytest

from dvta import datasets
from dvta.data_ref import locate
from dvta.encoders.text import TEXT_ENCODERS, dataset_texts, encode_dataset, load_encoder, sentences_digest
from dvta.errors import DataError, UnknownNameError

WORDS = ["walk", "run", "jump", "on", "one", "foot", "a", "person"]


def test_sentence_bert_writes_every_text_with_a_note(tmp_path, minilm):
    dataset = datasets.get("cmu")
    done = encode_dataset(dataset, tmp_path, model=minilm, name="mini")
    assert done.dim == 384
    assert len(done.files) == 6
    note = json.loads((tmp_path / "cmu/text/mini.json").read_text())
    assert note == {
        "encoder": "sbert",
        "model": minilm,
        "dim": 384,
        "sentences_sha256": sentences_digest(dataset_texts(dataset)),
    }
    shipped = datasets.packaged_text(dataset)
    for part in ("labels", "contexts", "verbs", "nouns", "parts"):
        written = np.load(tmp_path / f"cmu/text/mini_{part}.npy")
        np.testing.assert_allclose(written, shipped[part], atol=2e-3)
    found = locate(tmp_path, "cmu", "split_1", "st_gcn", "mini", needs=frozenset({"parts"})).load()
    assert found.class_text.parts.shape == (34, 8, 384)


@pytest.fixture
def tiny_clip(tmp_path):
    """Save a CLIP text tower with random weights and a tokenizer of a few words."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    letters = sorted({c for w in WORDS for c in w})
    pieces = [*letters, *(c + "</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(pieces)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    ids = {"bos_token_id": len(pieces) - 2, "eos_token_id": len(pieces) - 1, "pad_token_id": len(pieces) - 1}
    config = CLIPTextConfig(
        vocab_size=len(pieces), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        projection_dim=24, **ids,
    )  # fmt: skip
    CLIPTextModelWithProjection(config).save_pretrained(folder)
    return str(folder)


def test_a_clip_tower_gives_projected_features_whatever_the_batch(tiny_clip):
    encode, named = load_encoder("clip", tiny_clip)
    assert named == tiny_clip
    sentences = ["walk", "a person jump on one foot", "run " * 200]
    found = encode(sentences)
    assert found.shape == (3, 24)
    assert np.isfinite(found).all()
    for sentence, row in zip(sentences, found, strict=True):
        np.testing.assert_allclose(encode([sentence])[0], row, atol=1e-5)


@pytest.mark.parametrize("encoder", ["sbert", "clip"])
def test_a_model_out_of_reach_is_named_with_the_remedy(encoder, tmp_path):
    with pytest.raises(DataError, match="text model 'nobody/nothing' cannot be loaded") as caught:
        encode_dataset(datasets.get("cmu"), tmp_path, encoder=encoder, model="nobody/nothing")
    assert "--model" in str(caught.value)
    assert not (tmp_path / "cmu").exists()
    assert TEXT_ENCODERS.names() == ["clip", "clip_b32", "sbert"]


def features(shape, dtype=np.float32):
    return lambda model, device: lambda sentences: np.ones(shape, dtype)


#: what a dotted path gives -> the refusal
OWN = {
    "os.path:sep": (UnknownNameError, r"text encoder 'os.path:sep' cannot be called as \(model"),
    "os.path:basename": (UnknownNameError, "text encoder 'os.path:basename' cannot be called"),
    "os.path:join": (DataError, "text encoder 'os.path:join' gave no function of sentences but str"),
}


@pytest.mark.parametrize("encoder", OWN)
def test_what_is_no_text_encoder_is_named(tmp_path, encoder):
    kind, message = OWN[encoder]
    with pytest.raises(kind, match=message):
        encode_dataset(datasets.get("cmu"), tmp_path, encoder=encoder, model="x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (features((34,)), r"gave features of shape \(34,\); allowed: an array \(34, width\)"),
        (features((33, 4)), r"gave features of shape \(33, 4\)"),
        (features((34, 4), str), "holds <U"),
        (lambda model, device: lambda sentences: [[1.0]] * len(sentences), "gave features as list"),
        (lambda model, device: lambda sentences: np.full((len(sentences), 4), np.nan), "not finite"),
    ],
)
def test_what_is_no_features_of_texts_is_named(tmp_path, monkeypatch, made, message):
    monkeypatch.setattr(sys.modules[__name__], "mine", made, raising=False)
    with pytest.raises(DataError, match=f"text encoder .{__name__}:mine.*{message}"):
        encode_dataset(datasets.get("cmu"), tmp_path, encoder=f"{__name__}:mine", model="x")
    assert not list(tmp_path.iterdir())


def table(path, change=lambda rows: rows, columns="class,context"):
    names = datasets.get("cmu").class_names
    rows = change([f"{name},About {name}." for name in names])
    path.write_text("\n".join([columns, *rows]) + "\n")
    return path


def test_own_sentences_replace_the_shipped_ones(tmp_path, minilm):
    done = encode_dataset(datasets.get("cmu"), tmp_path, model=minilm, sentences=table(tmp_path / "own.csv"))
    assert [p.name for p in done.files] == ["sbert_labels.npy", "sbert_contexts.npy", "sbert.json"]
    shipped = datasets.packaged_text(datasets.get("cmu"))["contexts"]
    assert np.abs(np.load(done.files[1]) - shipped).max() > 0.1


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        (lambda r: r[:-1], "class,context", "33 classes, allowed: 34"),
        (
            lambda r: [r[1], r[0], *r[2:]],
            "class,context",
            "line 2: class 'walk slowly and stop', allowed here: 'walk'",
        ),
        (lambda r: r, "class,contxt", "did you mean 'context'"),
        (lambda r: [r[0], r[1].split(",")[0] + ",", *r[2:]], "class,context", "line 3: context is empty"),
        (lambda r: r, "class,head", "the part texts come together"),
    ],
)
def test_a_wrong_table_is_named(tmp_path, minilm, change, columns, message):
    with pytest.raises(DataError) as caught:
        encode_dataset(
            datasets.get("cmu"), tmp_path, model=minilm, sentences=table(tmp_path / "t.csv", change, columns)
        )
    assert message in str(caught.value)
