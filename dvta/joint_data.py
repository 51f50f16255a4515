"""The skeletons of a split with its texts: what encoder and alignment train on together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from dvta.data_ref import DataRef
from dvta.encoders.base import WIDTH, SkeletonEncoder
from dvta.encoders.extract import SEGMENTS, encode_samples
from dvta.features import FeatureSet, described
from dvta.skeleton.splits import Samples, SkeletonSplit


@dataclasses.dataclass(frozen=True)
class JointData:
    """The skeletons of a split, with its texts and labels as a feature set without features."""

    skeletons: SkeletonSplit
    features: FeatureSet

    @classmethod
    def of(cls, skeletons: SkeletonSplit, ref: DataRef) -> JointData:
        """Return the data of a split; ``ref`` says which texts, and whether features are un-pooled.

        Raises:
            DataError: the texts are not what they were when they were found.
        """
        shape = (SEGMENTS, 25, WIDTH) if "unpooled" in ref.needs else (WIDTH,)
        parts = {"train": skeletons.train, "ztest": skeletons.ztest, "gtest": skeletons.gtest}
        empty = {name: torch.zeros(1, *shape).expand(len(s), *shape) for name, s in parts.items()}
        label = {name: torch.from_numpy(s.labels) for name, s in parts.items()}
        features = described(
            ref,
            train=empty["train"],
            train_label=label["train"],
            ztest=empty["ztest"],
            z_label=label["ztest"],
            gtest=empty["gtest"],
            g_label=label["gtest"],
        )
        return cls(skeletons, features)

    def hold_out(self, classes: Iterable[int]) -> JointData:
        """Return the data with some seen classes made unseen, as :func:`dvta.features.hold_out` does."""
        held = tuple(sorted(classes))
        train = self.skeletons.train
        mask = np.isin(train.labels, held)
        kept, tested = train.where(~mask), train.where(mask)
        seen = tuple(c for c in self.features.seen if c not in held)
        shape = self.features.train.shape[1:]
        features = dataclasses.replace(
            self.features,
            train=self.features.train[:1].expand(len(kept), *shape),
            train_label=torch.from_numpy(kept.labels),
            ztest=self.features.train[:1].expand(len(tested), *shape),
            z_label=torch.from_numpy(tested.labels),
            gtest=None,
            g_label=None,
            seen=seen,
            unseen=held,
        )
        skeletons = dataclasses.replace(
            self.skeletons, train=kept, ztest=tested, gtest=tested, seen=seen, unseen=held
        )
        return JointData(skeletons, features)

    def encoded(self, encoder: SkeletonEncoder) -> FeatureSet:
        """Return the feature set with the encoder's features of the test samples; the training ones stay empty."""
        features = self.features
        unpooled = features.train.ndim == 4
        ztest = encode(encoder, self.skeletons.ztest, unpooled=unpooled)
        gtest = None if features.gtest is None else encode(encoder, self.skeletons.gtest, unpooled=unpooled)
        return dataclasses.replace(features, ztest=ztest, gtest=gtest)


def encode(encoder: SkeletonEncoder, samples: Samples, *, unpooled: bool = False) -> Tensor:
    """Return the features (n, 256) of samples on the CPU, (n, 3, 25, 256) un-pooled; the encoder stays as it was."""
    training = encoder.training
    pooled, maps = encode_samples(encoder, samples, keep_map=unpooled)
    encoder.train(training)
    return torch.from_numpy(pooled if maps is None else maps)
