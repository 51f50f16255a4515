"""The text features of phrases: stored with the classes, encoded earlier and kept, or by the trial's text model."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dvta import datasets
from dvta.arrays import file_digest
from dvta.errors import DataError
from dvta.text_models import DEFAULT_MODELS, require_model
from orchestrator.settings import Settings
from orchestrator.trial import Trial

if TYPE_CHECKING:
    from dvta.features import ClassText

SAME_MODEL = 0.99  # least cosine between a stored label feature and the same label encoded now
#: fields of a class's text beyond label and context
_FIELDS = ("verbs", "nouns", "parts", "motions")


class Phrases:
    """The phrases that a trial is asked about.

    A phrase that is the name of a class, without a sentence of its own, is that class with everything that is
    stored of it. Other words and sentences are encoded once and kept under ``phrases`` of the runs folder.

    Args:
        settings: where data and runs lie. trial: whose text model is meant.
        model: name or folder of a text model that encodes every phrase, stored or not.
    """

    def __init__(self, settings: Settings, trial: Trial, model: str | None = None) -> None:
        self._settings, self._trial, self._given = settings, trial, model
        names = datasets.get(trial.dataset, settings.data).class_names
        self._first = names[0]
        self._ids: dict[str, int] = {} if model else {_plain(name): i for i, name in enumerate(names)}
        self._folder = f"{settings.runs}/phrases/{self._stored_digest()[:16]}"

    def require(self, phrases: Sequence[str], contexts: Sequence[str]) -> None:
        """See in a second whether the phrases can be had; loads nothing.

        Raises:
            DataError: a text model is needed and is nowhere in reach.
        """
        missing = self._missing(phrases, contexts)
        encoder, named = self._model()
        if missing and named is not None and encoder in DEFAULT_MODELS:
            try:
                require_model(named)
            except DataError as error:
                raise DataError(f"{error}; without one only classes of {self._trial.dataset} are known, not {missing[0]!r}") from error  # fmt: skip

    def text(self, phrases: Sequence[str], contexts: Sequence[str], stored: ClassText) -> ClassText:
        """Return the texts (U rows) of U phrases.

        Args:
            contexts: a sentence for each; the phrase itself where there is no other.
            stored: the texts of all classes of the trial's data set.

        Raises:
            DataError: the text model is not here, or is not the one that made the trial's text features.
        """
        import dataclasses

        import torch

        from dvta.predict import phrase_text

        found = self._encoded(phrases, contexts, stored)
        labels, sentences = (torch.stack([found[line] for line in lines]) for lines in (phrases, contexts))
        text = phrase_text(labels, sentences)
        classes = {
            row: self._ids[_plain(words)]
            for row, (words, sentence) in enumerate(zip(phrases, contexts, strict=True))
            if self._is_class(words, sentence)
        }
        if not classes:
            return text
        rows, ids = torch.tensor(list(classes)), torch.tensor(list(classes.values()))
        changed: dict[str, Any] = {}
        for name in ("labels", "contexts", *_FIELDS):
            whole = getattr(stored, name)
            if whole is not None:
                changed[name] = getattr(text, name).clone()
                changed[name][rows] = whole[ids]
        return dataclasses.replace(text, **changed)

    # --- inside --------------------------------------------------------------------------------

    def _encoded(
        self, phrases: Sequence[str], contexts: Sequence[str], stored: ClassText
    ) -> Mapping[str, Any]:
        """Return a feature (Dt,) for every word and sentence; those of classes are stored."""
        import torch

        from orchestrator.execute.checkpoints import read_bytes, write_array

        found: dict[str, Any] = {}
        missing = self._missing(phrases, contexts)
        if missing:
            made = self._encode(missing, stored)
            for line, row in zip(missing, made, strict=True):
                found[line] = torch.from_numpy(row)
                write_array(self._path(line), row)
        for line in dict.fromkeys((*phrases, *contexts)):
            if line in found:
                continue
            if (known := self._ids.get(_plain(line))) is not None:
                found[line] = stored.labels[known]
                continue
            content = read_bytes(self._path(line))
            assert content is not None
            found[line] = torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False))
        return found

    def _missing(self, phrases: Sequence[str], contexts: Sequence[str]) -> list[str]:
        """Return the words and sentences that only a text model can tell."""
        import fsspec

        lines = dict.fromkeys((*phrases, *contexts))
        if self._given:
            return list(lines)
        kept, _ = fsspec.core.url_to_fs(self._folder)
        return [line for line in lines if _plain(line) not in self._ids and not kept.exists(self._path(line))]

    def _is_class(self, words: str, sentence: str) -> bool:
        return sentence == words and _plain(words) in self._ids

    def _encode(self, lines: Sequence[str], stored: ClassText) -> np.ndarray:
        """Encode by the text model of the trial's own texts, (N, Dt) float32."""
        import torch
        from torch.nn import functional as F

        from dvta.encoders.text import load_encoder

        first = stored.labels[0]
        encode, named = load_encoder(*self._model())
        made = np.array(encode([self._first, *lines]), np.float32)
        again = torch.from_numpy(made[0])
        if again.shape != first.shape or F.cosine_similarity(again, first, dim=0) < SAME_MODEL:
            raise DataError(
                f"text model {named!r} did not make the text features of this trial ({self._trial.text}, width "
                f"{first.shape[0]}, here {again.shape[0]}); give the right one with --model"
            )
        return made[1:]

    def _model(self) -> tuple[str, str | None]:
        """Return the text encoder and the name of its model, None where nobody says it."""
        trial = self._trial
        note = self._settings.data / trial.dataset / "text" / f"{trial.text}.json"
        about: dict[str, Any] = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
        packaged = f"sentence-transformers/{datasets.PACKAGED_TEXT}" if trial.text == "sbert" else None
        named = about.get("model") or packaged
        if named == datasets.PACKAGED_TEXT:
            named = packaged
        encoder = about.get("encoder", trial.text)
        return encoder, self._given or named or DEFAULT_MODELS.get(encoder)

    def _stored_digest(self) -> str:
        """Return what tells the text features of the trial from others."""
        labels = self._settings.data / self._trial.dataset / "text" / f"{self._trial.text}_labels.npy"
        if labels.is_file():
            return file_digest(labels)
        return hashlib.sha256(f"{self._trial.text} {datasets.PACKAGED_TEXT}".encode()).hexdigest()

    def _path(self, line: str) -> str:
        return f"{self._folder}/{hashlib.sha256(line.encode()).hexdigest()[:32]}.npy"


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
