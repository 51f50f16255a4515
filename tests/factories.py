"""Small learnable feature sets and skeletons for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from dvta import datasets
from dvta.data_ref import locate
from dvta.features import ClassText, FeatureSet
from dvta.importers.cmu import import_cmu_skeletons
from dvta.joint_data import JointData
from dvta.methods import METHODS
from dvta.skeleton import splits
from dvta.skeleton.splits import SkeletonSplit


def make_features(
    seed: int = 0,
    classes: int = 12,
    unseen: int = 3,
    per_class: int = 10,
    visual_dim: int = 32,
    text_dim: int = 16,
) -> FeatureSet:
    """Visual features that are a linear map of the class texts plus noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randn(classes, text_dim, generator=generator)
    contexts = labels + 0.3 * torch.randn(classes, text_dim, generator=generator)
    mix = torch.randn(text_dim, visual_dim, generator=generator)
    seen, held = tuple(range(unseen, classes)), tuple(range(unseen))

    def draw(ids: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        label = torch.tensor(ids).repeat_interleave(per_class)
        return labels[label] @ mix + torch.randn(len(label), visual_dim, generator=generator), label

    train, train_label = draw(seen)
    ztest, z_label = draw(held)
    gtest, g_label = draw(tuple(range(classes)))
    return FeatureSet(
        "toy", "1", "toy", "toy", "simulated", f"toy-{seed}", train, train_label, ztest, z_label, gtest, g_label,
        ClassText(torch.arange(classes), labels, contexts), tuple(f"class {c}" for c in range(classes)), seen, held,
    )  # fmt: skip


def make_skeletons(root: Path, per_class: int = 3, frames: int = 12) -> SkeletonSplit:
    """Write a small ``clips`` data set of the 34 CMU classes and open it for ``split_1``.

    Every class moves at its own pace and size, so that encoders have something to learn.
    """
    rng = np.random.default_rng(0)
    count = len(datasets.get("cmu").class_names)
    labels = np.repeat(np.arange(count), 2 * per_class)
    pose = rng.normal(size=(25, 3))
    swing = rng.normal(size=(count, 25, 3))
    time = np.linspace(0, 2 * np.pi, frames)
    wave = np.sin(time[None] * (1 + labels[:, None] % 5) + rng.uniform(0, 6, (len(labels), 1)))
    x = (
        pose
        + wave[:, :, None, None] * swing[labels][:, None]
        + 0.05 * rng.normal(size=(len(labels), frames, 25, 3))
    )
    archive = root / "skeletons.npz"
    clips = np.array([f"{label}_{i % (2 * per_class) // 2}" for i, label in enumerate(labels)])
    np.savez(archive, x=x.astype(np.float32), y=labels, clip=clips, start=np.arange(len(labels)))
    import_cmu_skeletons(archive, root)
    return splits.load(root, "cmu", "split_1")


def make_joint_data(root: Path, method: str = "dvta", **options: object) -> JointData:
    """Open what :func:`make_skeletons` wrote, with the texts, for an end-to-end run of a method."""
    cls = METHODS.get(method)
    needs = cls.needs(cls.options_class.resolve(options))
    ref = locate(root, "cmu", "split_1", "st_gcn", "sbert", needs=needs, trained=("", "skeletons"))
    return JointData.of(splits.load(root, "cmu", "split_1"), ref)
