"""Small learnable feature sets for tests."""

from __future__ import annotations

import torch

from dvta.features import ClassText, FeatureSet


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
