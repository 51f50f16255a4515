"""Ranking phrases for a motion: zero-shot recognition with words that need not be classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from dvta.features import ClassText
from dvta.methods.base import Method


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A phrase with its mean score over the samples of a recording, and its share of the softmax."""

    phrase: str
    score: float
    probability: float


def rank(
    method: Method,
    visual: Tensor,
    text: ClassText,
    phrases: Sequence[str],
    *,
    seed: int = 0,
    temperature: float = 1.0,
) -> list[Ranked]:
    """Return the phrases, best first.

    Args:
        method: a trained method; it is put in evaluation mode.
        visual: (N, Dv) features of one recording, (N, T, V, Dv) for methods on un-pooled ones.
        text: the features of U phrases; see :func:`phrase_text`.
        phrases: U words or sentences, in the order of ``text``.
        seed: of what a method fits to the phrases (a generative method's classifier).
        temperature: of the softmax of the mean scores.
    """
    method.eval()
    method.adapt(text, torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        scores = method.class_scores(visual, text).mean(0)  # (U,)
    return ranked(scores, phrases, temperature)


def ranked(scores: Tensor, phrases: Sequence[str], temperature: float = 1.0) -> list[Ranked]:
    """Return the phrases of scores (U,), best first; shares are of ``softmax(scores / temperature)``."""
    shares = (scores.double() / temperature).softmax(0)
    order = scores.argsort(descending=True).tolist()
    return [Ranked(phrases[i], float(scores[i]), float(shares[i])) for i in order]


def phrase_text(labels: Tensor, contexts: Tensor) -> ClassText:
    """Return the class text of free phrases; verbs, nouns and part texts are the phrase, its motion the sentence.

    Args:
        labels, contexts: (U, Dt) features of the phrases and of a sentence about each.
    """
    ids = torch.arange(len(labels))
    return ClassText(
        ids=ids, labels=labels, contexts=contexts, verbs=labels, nouns=labels, verb_ids=ids, noun_ids=ids,
        parts=labels[:, None].expand(-1, 8, -1), motions=contexts,
    )  # fmt: skip
