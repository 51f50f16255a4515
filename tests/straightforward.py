"""DVTA's published network written the long way, as an independent reference for tests."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class Straightforward:
    """The published forward pass on plain weights: B x B concatenated rows through the whole network."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.w = weights

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def visual(self, v: Tensor) -> Tensor:
        p = "direct_alignment.visual_projector.l"
        v = v / v.norm(dim=1, keepdim=True)
        x = torch.relu(self._linear(p + "0", v) + v)
        x = torch.relu(self._linear(p + "2", torch.relu(self._linear(p + "1", x))))
        return self._linear(p + "3", x)

    def augmented(self, v: Tensor, label: Tensor, context: Tensor) -> Tensor:
        """(N, Dt) query, (N, Dt) texts -> (N, Dt)."""
        t = torch.stack([F.normalize(label, dim=-1), F.normalize(context, dim=-1)], dim=-1)  # (N, Dt, 2)
        a = torch.softmax((v[:, :, None] * t).sum(1), dim=1)
        return self._linear("direct_alignment.text_projector", (t * a[:, None, :]).sum(2))

    def energy(self, pairs: Tensor) -> Tensor:
        x = torch.relu(self._linear("augmented_alignment.net.0", pairs))
        x = torch.relu(self._linear("augmented_alignment.net.2", x))
        e = self._linear("augmented_alignment.net.4", x).squeeze(-1)
        return torch.where(e > 0, torch.sigmoid(e), 0.01 * torch.exp(0.01 * e))

    def logits(self, visual: Tensor, label: Tensor, context: Tensor) -> Tensor:
        """Training logits (B, B) of a batch."""
        v = self.visual(visual)
        t = self.augmented(v, label, context)
        s1 = F.normalize(v, dim=1) @ F.normalize(t, dim=1).T / self.w["scaling_factors"][0]
        b = len(v)
        pairs = torch.cat([v.detach()[:, None].expand(b, b, -1), t.detach()[None].expand(b, b, -1)], dim=2)
        return s1 + self.energy(pairs.reshape(b * b, -1)).reshape(b, b) / self.w["scaling_factors"][1]

    def loss(self, visual: Tensor, labels: Tensor, label: Tensor, context: Tensor) -> Tensor:
        s = self.logits(visual, label[labels], context[labels])
        q = torch.softmax(10 * (labels[:, None] == labels[None]).float(), dim=1)
        both = [F.kl_div(x.log_softmax(1), q, reduction="batchmean") for x in (s, s.T)]
        return (both[0] + both[1]) / 2

    def scores(self, visual: Tensor, label: Tensor, context: Tensor) -> Tensor:
        """Test scores (N, U)."""
        v = self.visual(visual)
        columns = []
        for u in range(len(label)):
            t = self.augmented(v, label[u].expand(len(v), -1), context[u].expand(len(v), -1))
            s1 = F.cosine_similarity(v, t, dim=1) / self.w["scaling_factors"][0]
            columns.append(s1 + self.energy(torch.cat([v, t], dim=1)) / self.w["scaling_factors"][1])
        return torch.stack(columns, dim=1)


def official_weights(visual: int = 256, text: int = 768, seed: int = 0) -> dict[str, Tensor]:
    """Random weights under the authors' keys and shapes."""
    generator = torch.Generator().manual_seed(seed)
    p = "direct_alignment."
    shapes = {
        p + "visual_projector.l0": (256, visual), p + "visual_projector.l1": (384, 256),
        p + "visual_projector.l2": (512, 384), p + "visual_projector.l3": (text, 512),
        p + "text_projector": (text, text), "augmented_alignment.net.0": (2 * text, 2 * text),
        "augmented_alignment.net.2": (768, 2 * text), "augmented_alignment.net.4": (1, 768),
    }  # fmt: skip
    weights = {"scaling_factors": torch.tensor([0.1, 0.1])}
    for name, (rows, columns) in shapes.items():
        weights[name + ".weight"] = torch.randn(rows, columns, generator=generator) / columns**0.5
        weights[name + ".bias"] = 0.1 * torch.randn(rows, generator=generator)
    return weights
