"""The simulated stand-in for visual features that are not at hand. Nothing made of it is real."""

from __future__ import annotations

import dataclasses
import hashlib
import math

import numpy as np

from dvta import datasets
from dvta.datasets import Dataset, Split
from dvta.options import check_least

VERSION = 1  # raise it whenever the generated numbers change
SUBJECTS = 20
GAIN = 3.0  # how far from linear the map from texts to features is


@dataclasses.dataclass(frozen=True)
class StandIn:
    """Size and difficulty of simulated features.

    Attributes:
        train_per_class, test_per_class: samples of a class.
        visual_dim: width of a feature.
        class_noise, subject_noise, sample_noise: standard deviations of what is added to a class's
            signal (which has unit variance): once per class, per (class, subject), per sample.
        data_seed: another draw of everything.
    """

    train_per_class: int = 40
    test_per_class: int = 40
    visual_dim: int = 256
    class_noise: float = 0.5
    subject_noise: float = 0.5
    sample_noise: float = 1.5
    data_seed: int = 0

    def __post_init__(self) -> None:
        check_least(self, 1, "train_per_class", "test_per_class", "visual_dim")
        check_least(self, 0, "class_noise", "subject_noise", "sample_noise")

    def generate(
        self, dataset: Dataset, split: Split, visual: str, needs: frozenset[str] = frozenset()
    ) -> dict[str, np.ndarray]:
        """Return simulated ``train``, ``ztest``, ``gtest`` (N, Dv) float32 and their labels.

        With ``unpooled`` in ``needs`` the samples are (N, 3, 25, Dv), and ``gtest`` is there only with
        ``generalised``; with ``masked`` there is a ``train_masked`` (N, 2, Dv).

        A class's signal is a fixed random non-linear map of its label and context texts, another
        map for every visual encoder. Subjects of training and test differ. Features are not
        negative, like pooled activations.
        """
        text = datasets.packaged_text(dataset) or _hashed_text(dataset)
        rng = self._rng(dataset.name, visual, "map")
        signal = np.concatenate([_standard(text["labels"]), 0.6 * _standard(text["contexts"])], axis=1)
        width = 512
        hidden = np.tanh(
            GAIN * signal @ rng.normal(size=(signal.shape[1], width)) / math.sqrt(signal.shape[1])
        )
        means = _standard(hidden @ rng.normal(size=(width, self.visual_dim)) / math.sqrt(width))
        means += self.class_noise * rng.normal(size=means.shape)
        train = self._draw(dataset, visual, "train", means, split.seen, self.train_per_class)
        ztest = self._draw(dataset, visual, "test", means, split.unseen, self.test_per_class)
        everyone = tuple(range(len(dataset.class_names)))
        if "unpooled" in needs:
            rng = self._rng(dataset.name, visual, split.name, "tokens")
            made = {
                "train": _spread(train[0], rng), "train_label": train[1],
                "ztest": _spread(ztest[0], rng), "z_label": ztest[1],
            }  # fmt: skip
            if "generalised" in needs:
                gtest = self._draw(dataset, visual, "test", means, everyone, self.test_per_class)
                made |= {"gtest": _spread(gtest[0], rng), "g_label": gtest[1]}
            return made
        gtest = self._draw(dataset, visual, "test", means, everyone, self.test_per_class)
        masked = {}
        if "masked" in needs:
            rng = self._rng(dataset.name, visual, split.name, "masked")
            noise = rng.normal(size=(len(train[0]), 2, self.visual_dim))
            masked["train_masked"] = (train[0][:, None] * np.exp(0.3 * noise)).astype(np.float32)
        return {
            **masked,
            "train": train[0], "train_label": train[1],
            "ztest": ztest[0], "z_label": ztest[1],
            "gtest": gtest[0], "g_label": gtest[1],
        }  # fmt: skip

    def _draw(
        self,
        dataset: Dataset,
        visual: str,
        part: str,
        means: np.ndarray,
        classes: tuple[int, ...],
        count: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        blocks = []
        for c in classes:
            rng = self._rng(dataset.name, visual, part, c)
            subjects = self.subject_noise * rng.normal(size=(SUBJECTS, self.visual_dim))
            samples = means[c] + subjects[rng.integers(SUBJECTS, size=count)]
            blocks.append(samples + self.sample_noise * rng.normal(size=samples.shape))
        values = np.log1p(np.exp(np.concatenate(blocks)))
        return values.astype(np.float32), np.repeat(np.array(classes, dtype=np.int64), count)

    def _rng(self, *parts: object) -> np.random.Generator:
        text = repr((VERSION, self.data_seed, *parts)).encode()
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest()[:8], "big"))


def _spread(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (N, 3, 25, D) tokens that vary about (N, D) samples."""
    noise = rng.standard_normal((len(samples), 3, 25, samples.shape[1]), dtype=np.float32)
    return samples[:, None, None] * np.exp(0.5 * noise - 0.125, dtype=np.float32)


def _standard(x: np.ndarray) -> np.ndarray:
    centred = x.astype(np.float64) - x.mean(0)
    return np.asarray(centred / centred.std())


def _hashed_text(dataset: Dataset) -> dict[str, np.ndarray]:
    """Return bag-of-words vectors for a dataset that has no shipped text features."""

    def vector(sentence: str) -> np.ndarray:
        rngs = (
            np.random.default_rng(int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big"))
            for word in sentence.lower().split()
        )
        return np.sum([r.normal(size=384) for r in rngs], axis=0)

    contexts = dataset.contexts or dataset.class_names
    return {
        "labels": np.stack([vector(s) for s in dataset.class_names]),
        "contexts": np.stack([vector(s) for s in contexts]),
    }
