"""DVTA's metric network: both sides of a pair projected once, then added."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

METRIC_HIDDEN = 768  # does not follow the text width in the published code either


class MetricNetwork(nn.Module):
    """The deep metric network E on ``[v ; t]``: 2Dt -> 2Dt -> 768 -> 1 (paper section 3.2.2)."""

    def __init__(self, text_dim: int) -> None:
        super().__init__()
        self.l0 = nn.Linear(2 * text_dim, 2 * text_dim)
        self.l1 = nn.Linear(2 * text_dim, METRIC_HIDDEN)
        self.l2 = nn.Linear(METRIC_HIDDEN, 1)
        self._text_dim = text_dim

    def visual_half(self, v: Tensor) -> Tensor:
        """Return the visual side of the first layer, bias included: (..., Dt) -> (..., 2Dt)."""
        return F.linear(v, self.l0.weight[:, : self._text_dim], self.l0.bias)

    def text_half(self, t: Tensor) -> Tensor:
        """Return the text side of the first layer: (..., Dt) -> (..., 2Dt)."""
        return F.linear(t, self.l0.weight[:, self._text_dim :])

    def forward(self, first: Tensor) -> Tensor:
        """Return E (...) from the sum of both halves (..., 2Dt), which is overwritten."""
        hidden = F.relu(self.l1(F.relu(first, inplace=True)), inplace=True)
        return self.l2(hidden).squeeze(-1)  # type: ignore[no-any-return]
