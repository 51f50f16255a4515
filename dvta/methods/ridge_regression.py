"""Ridge regression from features to label texts: the linear baseline with a solution in closed form.

With unit rows X (N, Dv) of the training samples and unit texts Y (N, Dt) of their classes,
W = (X'X + shrink N I)^-1 X'Y; a class's score is the cosine of v W and its text. It is no method of the
paper: specs name it by its path, ``dvta.methods.ridge_regression.RidgeRegression``.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.errors import OptionError
from dvta.features import ClassText, FeatureSet
from dvta.methods.base import Method
from dvta.options import Options


@dataclasses.dataclass(frozen=True)
class RidgeRegressionOptions(Options):
    """``shrink``: the weight of ||W||^2 beside the mean squared error."""

    shrink: float = 1e-3

    def __post_init__(self) -> None:
        if not (math.isfinite(self.shrink) and self.shrink > 0):
            raise OptionError(f"shrink: {self.shrink!r} is impossible; allowed: a number above 0")


class RidgeRegression(Method):
    """A linear map Dv -> Dt, solved before the first epoch; seeds and epochs change nothing."""

    options_class = RidgeRegressionOptions
    # the solution is exact, so that no step may leave it
    training_defaults: ClassVar[dict[str, Any]] = {"epochs": 1, "lr": 0.0, "schedule": "constant"}
    trains_on_batches = False
    options: RidgeRegressionOptions

    def __init__(
        self, *, visual_dim: int, text_dim: int, options: RidgeRegressionOptions | None = None
    ) -> None:
        super().__init__()
        self.options = options or RidgeRegressionOptions()
        self.weight = nn.Parameter(torch.zeros(visual_dim, text_dim))

    def prepare(self, features: FeatureSet) -> None:
        """Solve for W on all training samples."""
        x = F.normalize(features.train.double(), dim=-1)
        y = F.normalize(features.class_text.labels.double(), dim=-1)[features.train_label]
        gram = x.T @ x
        gram.diagonal().add_(self.options.shrink * len(x))
        with torch.no_grad():
            self.weight.copy_(torch.linalg.solve(gram, x.T @ y))

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return what W is the least of: mean squared error of a sample and the weighted ||W||^2."""
        error = F.normalize(visual, dim=-1) @ self.weight - F.normalize(text.labels, dim=-1)[labels]
        return error.square().sum(-1).mean() + self.options.shrink * self.weight.square().sum()

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) cosines of mapped features and label texts."""
        return F.normalize(visual @ self.weight, dim=-1) @ F.normalize(text.labels, dim=-1).T
