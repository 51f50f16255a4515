"""Text encoders: class texts to features, with a note beside each file of what made it."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dvta.arrays import finite
from dvta.datasets import PARTS, Dataset
from dvta.errors import DataError, did_you_mean
from dvta.files import check_id, write_json, write_npy
from dvta.registry import Registry
from dvta.text_models import DEFAULT_MODELS, not_loaded, require_model
from dvta.texts import read_table

Encode = Callable[[Sequence[str]], np.ndarray]


def _encoder(model: str, device: str) -> Encode:
    """Be called as every text encoder is."""
    raise NotImplementedError


#: name -> (model name or folder, device) -> function from N sentences to (N, Dt) float32
TEXT_ENCODERS: Registry[Callable[[str, str], Encode]] = Registry(
    "text encoder", "dvta.encoders", takes=inspect.signature(_encoder)
)
#: the names of MSF's and SA-DVAE's tables: label, description of the action, description of the motion
NUMBERED = {"lb": "labels", "ad": "contexts", "md": "motions"}
FIELDS = {"labels": "class", "contexts": "context", "motions": "motion", "verbs": "verb", "nouns": "noun"}


@TEXT_ENCODERS.register("sbert")
def sbert(model: str, device: str) -> Encode:
    """Return Sentence-BERT by any sentence-transformers name or folder.

    Raises:
        DataError: the model is no folder and cannot be fetched.
    """
    here = require_model(model).place == "cache"
    from sentence_transformers import SentenceTransformer

    loaded = _load(model, lambda: SentenceTransformer(model, device=device, local_files_only=here))
    return lambda sentences: np.asarray(
        loaded.encode(list(sentences), show_progress_bar=False), dtype=np.float32
    )


@TEXT_ENCODERS.register("clip")
def clip(model: str, device: str) -> Encode:
    """Return the projected text tower of a CLIP model, by name or folder; 77 tokens at most.

    Raises:
        DataError: the model is no folder and cannot be fetched.
    """
    here = require_model(model).place == "cache"
    import torch
    from transformers import AutoTokenizer, CLIPTextModelWithProjection

    def load() -> tuple[Any, Any]:
        tower: Any = CLIPTextModelWithProjection.from_pretrained(model, local_files_only=here)
        return AutoTokenizer.from_pretrained(model, local_files_only=here), tower.to(device).eval()

    tokenizer, tower = _load(model, load)

    def encode(sentences: Sequence[str]) -> np.ndarray:
        parts = []
        with torch.inference_mode():
            for start in range(0, len(sentences), 64):
                batch = tokenizer(
                    list(sentences[start : start + 64]),
                    padding=True,
                    truncation=True,
                    max_length=77,
                    return_tensors="pt",
                ).to(device)
                parts.append(tower(**batch).text_embeds.float().cpu().numpy())
        return np.concatenate(parts)

    return encode


TEXT_ENCODERS.register("clip_b32")(clip)


@dataclasses.dataclass(frozen=True)
class Encoded:
    """What :func:`encode_dataset` wrote."""

    files: tuple[Path, ...]
    model: str
    dim: int


def load_encoder(encoder: str, model: str | None = None, device: str = "cpu") -> tuple[Encode, str]:
    """Return the function of a text encoder and the name of its model.

    Raises:
        UnknownNameError: there is no such encoder.
        DataError: no model is named for an encoder that has no default, or it cannot be loaded; or what
            makes the features gives none.
    """
    make = TEXT_ENCODERS.get(encoder)
    named = model or DEFAULT_MODELS.get(encoder)
    if named is None:
        raise DataError(f"text encoder {encoder!r} has no default model; give one with --model")
    encode = make(named, device)
    if not callable(encode):
        raise DataError(f"text encoder {encoder!r} gave no function of sentences but {type(encode).__name__}")

    def checked(sentences: Sequence[str]) -> np.ndarray:
        found = encode(sentences)
        form = f"of shape {found.shape}" if isinstance(found, np.ndarray) else f"as {type(found).__name__}"
        if not isinstance(found, np.ndarray) or found.ndim != 2 or len(found) != len(sentences):
            raise DataError(
                f"text encoder {encoder!r} gave features {form}; allowed: an array ({len(sentences)}, width)"
            )
        return finite(f"text encoder {encoder!r}", found)

    return checked, named


def encode_dataset(
    dataset: Dataset,
    root: Path,
    *,
    encoder: str = "sbert",
    model: str | None = None,
    name: str | None = None,
    sentences: Path | Sequence[Path] = (),
    join: Sequence[str] = (),
    device: str = "cpu",
) -> Encoded:
    """Encode labels, contexts, verbs, nouns and part texts of a dataset into the data root.

    Args:
        encoder: a registered text encoder; ``model`` its model's name or folder.
        name: the id of the features in specs and file names, by default the encoder's.
        sentences: tables used instead of the shipped texts (:func:`read_sentences`).
        join: parts whose features, one after the other, become the features of the labels, as MSF
            joins label, context and motion; nothing else is written then.

    Raises:
        DataError: the model cannot be loaded, the CSV does not fit the dataset, or the id is wrong.
    """
    if name is not None:
        check_id("--name", name)
    tables = [sentences] if isinstance(sentences, Path) else list(sentences)
    texts: dict[str, Any] = {} if tables else dataset_texts(dataset)
    for path in tables:
        texts |= read_sentences(path, dataset)
    texts.setdefault("labels", list(dataset.class_names))
    _check_join(join, texts, dataset)
    encode, named = load_encoder(encoder, model, device)
    arrays: dict[str, np.ndarray] = {}
    for part, lines in texts.items():
        if join and part not in join:
            continue
        flat = [line for row in lines for line in row] if part == "parts" else lines
        features = encode(flat)
        arrays[part] = features.reshape(len(lines), -1, features.shape[-1]) if part == "parts" else features
    if join:
        arrays = {"labels": np.concatenate([arrays[part] for part in join], axis=1)}
    folder = root / dataset.name / "text"
    files = []
    for part, array in arrays.items():
        path = folder / f"{name or encoder}_{part}.npy"
        write_npy(path, array)
        files.append(path)
    dim = int(arrays["labels"].shape[1])
    about: dict[str, Any] = {"encoder": encoder, "model": named, "dim": dim}
    about["sentences_sha256"] = sentences_digest(texts)
    if join:
        about["joined"] = list(join)
    note = folder / f"{name or encoder}.json"
    write_json(note, about)
    return Encoded((*files, note), named, dim)


def _check_join(join: Sequence[str], texts: dict[str, Any], dataset: Dataset) -> None:
    allowed = [part for part in texts if part != "parts"]
    for part in join:
        if part not in allowed:
            raise DataError(
                f"--join: {dataset.name} has no {part!r} here{did_you_mean(part, allowed)}; allowed: {', '.join(allowed)}"
            )


def dataset_texts(dataset: Dataset) -> dict[str, Any]:
    """Return the shipped texts of a dataset by part; only those it has."""
    texts: dict[str, Any] = {
        "labels": list(dataset.class_names),
        "contexts": list(dataset.contexts),
        "verbs": list(dataset.verbs),
        "nouns": list(dataset.nouns),
        "parts": [list(row) for row in dataset.parts],
    }
    return {part: lines for part, lines in texts.items() if lines}


def sentences_digest(texts: dict[str, Any]) -> str:
    """Return the SHA-256 of texts, written beside their features."""
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


def read_sentences(path: Path, dataset: Dataset) -> dict[str, Any]:
    """Read sentences from a table: a row a class, named or numbered, in the order of class ids.

    Known are the column ``class`` with any of ``context``, ``verb``, ``noun`` and the part names, and
    MSF's ``idx,label``, which count from 1: texts of the part that the file's name begins with
    (``lb``, ``ad`` or ``md``), of labels without one.

    Raises:
        DataError: the table does not fit the dataset; the message names the file and the line.
    """
    columns, rows = read_table(path)
    if columns == ["idx", "label"]:
        part = next((p for start, p in NUMBERED.items() if path.name.lower().startswith(start)), "labels")
        return {part: [row["label"] for _, row in _by_number(path, rows, dataset)]}
    allowed = [*FIELDS.values(), *PARTS]
    for column in columns:
        if column not in allowed:
            raise DataError(
                f"{path}: unknown column {column!r}{did_you_mean(column, allowed)}; allowed: {', '.join(allowed)}"
            )
    rows = _by_name(path, columns, rows, dataset)
    for number, row in rows:
        empty = [c for c in columns if not row[c]]
        if empty:
            raise DataError(f"{path}: line {number}: {empty[0]} is empty")
    texts: dict[str, Any] = {part: [r[c] for _, r in rows] for part, c in FIELDS.items() if c in columns}
    # the class is known by its name in any case, and encoded as the dataset writes it
    texts["labels"] = list(dataset.class_names)
    found = [p for p in PARTS if p in columns]
    if found and len(found) < len(PARTS):
        missing = [p for p in PARTS if p not in columns]
        raise DataError(f"{path}: the part texts come together; missing columns: {', '.join(missing)}")
    if found:
        texts["parts"] = [[r[p] for p in PARTS] for _, r in rows]
    return texts


Rows = list[tuple[int, dict[str, str]]]


def _by_name(path: Path, columns: list[str], rows: Rows, dataset: Dataset) -> Rows:
    """Return the rows, which must name the classes in the order of their ids, in any case."""
    if "class" not in columns:
        raise DataError(f"{path}: has no column class; it has {', '.join(columns)}")
    for (number, row), name in zip(rows, dataset.class_names, strict=False):
        if row["class"].casefold() != name.casefold():
            raise DataError(
                f"{path}: line {number}: class {row['class']!r}, allowed here: {name!r} "
                f"({dataset.name}, in the order of its class ids)"
            )
    if len(rows) != len(dataset.class_names):
        raise DataError(
            f"{path}: {len(rows)} classes, allowed: {len(dataset.class_names)} "
            f"({dataset.name}, in the order of its class ids)"
        )
    return rows


def _by_number(path: Path, rows: Rows, dataset: Dataset) -> Rows:
    """Return the rows of an ``idx,label`` table, which must count the classes from 1, in their order."""
    count = len(dataset.class_names)
    if len(rows) != count:
        raise DataError(f"{path}: {len(rows)} classes, allowed: {count} ({dataset.name})")
    for expected, (number, row) in enumerate(rows, start=1):
        if row["idx"] != str(expected):
            raise DataError(f"{path}: line {number}: idx {row['idx']!r}, allowed here: {expected}")
        if not row["label"]:
            raise DataError(f"{path}: line {number}: label is empty")
    return rows


def _load(model: str, load: Callable[[], Any]) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return load()
    except Exception as error:  # the libraries raise many types, from no network to no such file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise not_loaded(model, reason) from error
