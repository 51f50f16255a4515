"""What every method is: a module with a training loss and scores, its needs and its registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from dvta.facts import METHODS, MethodFacts
from dvta.options import Options

if TYPE_CHECKING:
    import torch

    from dvta.features import ClassText, FeatureSet


class Method(MethodFacts, nn.Module):
    """A zero-shot method: learns on seen classes, scores any candidate classes by their text.

    Subclasses set the class variables, take ``(*, visual_dim, text_dim, options)`` and implement
    :meth:`training_loss` and :meth:`class_scores`. A method with stages of its own overrides the
    hooks; nothing outside the method knows about its stages.
    """

    options: Options

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return the scalar loss of one batch.

        Args:
            visual: (B, Dv) float features of seen-class samples ((B, T, V, D) where un-pooled).
            labels: (B,) int64 global class ids.
            text: the texts of all C classes; row c belongs to global id c.
        """
        raise NotImplementedError

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) scores of N samples for the U classes in ``text``; the largest wins."""
        raise NotImplementedError

    def prepare(self, features: FeatureSet) -> None:
        """Take what the method needs to know of the data before the first epoch (seen ids …)."""

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Note that epoch ``epoch`` of ``epochs`` starts (cycles, schedules of loss weights)."""

    def batches_per_epoch(self, samples: int, batch_size: int) -> int:
        """Return the number of batches in an epoch; the default is one pass over the samples."""
        return -(-samples // batch_size)

    def adapt(self, text: ClassText, generator: torch.Generator) -> None:
        """Fit what scoring the classes of ``text`` needs (a final classifier); no sample is seen.

        Called before :meth:`class_scores` at every evaluation. Must not change what training
        reads: the next epoch is the same whether or not it was called.
        """

    def make_exportable(self) -> None:
        """Replace, in place, what the graph of an export cannot hold; scores stay the same, training need not."""

    def macs_per_pair(self) -> int | None:
        """Return the textbook multiply-accumulates of one (sample, class) pair, or None to measure."""
        return None

    def extra_metrics(self) -> dict[str, float]:
        """Return what else is worth recording of the trained method."""
        return {}

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Return the optimiser's parameter groups."""
        return [{"params": [p for p in self.parameters() if p.requires_grad], "lr": lr}]


def build(name: str, *, visual_dim: int, text_dim: int, **options: Any) -> Method:
    """Build a method by name.

    Args:
        name: a registered name, an entry point of the group ``dvta.methods`` or a dotted path.
        visual_dim: Dv, the width of a visual feature.
        text_dim: Dt, the width of a text feature.
        options: the method's options, ``preset`` among them.

    Raises:
        UnknownNameError: no method has that name.
        OptionError: an option is unknown or impossible.
    """
    cls = METHODS.get(name)
    return cls(visual_dim=visual_dim, text_dim=text_dim, options=cls.options_class.resolve(options))
