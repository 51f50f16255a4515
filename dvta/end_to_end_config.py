"""Settings of an encoder trained with the alignment, and which methods can train one; nothing here trains."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Literal

from dvta.errors import OptionError
from dvta.facts import MethodFacts
from dvta.options import check_least, check_values

if TYPE_CHECKING:
    from dvta.skeleton.augment import Augmentation

Init = Literal["scratch", "trained"]


@dataclasses.dataclass(frozen=True)
class EndToEndConfig:
    """Settings of joint training beyond those of the alignment.

    Attributes:
        init: the encoder starts from ``scratch``, or as the trial that ``trained`` it on its own left it.
        encoder_lr: the encoder's largest learning rate; None is the alignment's. Both follow one schedule.
        frozen_epochs: first epochs in which the encoder stays as it is.
        classification_weight: of a classifier's cross-entropy over the seen classes beside the alignment's loss.
        shear, rotation, crop, mirror: see :class:`dvta.skeleton.augment.Augmentation`.
    """

    init: Init = "scratch"
    encoder_lr: float | None = None
    frozen_epochs: int = 0
    classification_weight: float = 1.0
    shear: float = 0.0
    rotation: float = 0.0
    crop: float = 0.0
    mirror: float = 0.0

    def __post_init__(self) -> None:
        check_values(type(self), vars(self))
        if self.encoder_lr is not None and not (math.isfinite(self.encoder_lr) and self.encoder_lr > 0):
            raise OptionError(f"encoder_lr: {self.encoder_lr!r} is impossible; allowed: a number above 0")
        check_least(self, 0, "frozen_epochs")
        if self.frozen_epochs and self.init == "scratch":
            raise OptionError(
                f"frozen_epochs: {self.frozen_epochs} epochs on an encoder that has learned nothing; "
                "allowed: 0, or init: trained"
            )
        check_least(self, 0, "classification_weight")
        self.augmentation()

    def augmentation(self) -> Augmentation:
        """Return the changes of the skeletons.

        Raises:
            OptionError: one is impossible.
        """
        from dvta.skeleton.augment import Augmentation

        return Augmentation(self.shear, self.rotation, self.crop, self.mirror)


def check_trains_jointly(method: MethodFacts | type[MethodFacts], options: Any) -> None:
    """Check that a method's loss can train an encoder.

    Raises:
        OptionError: it does not learn from batches, or reads features of masked sequences.
    """
    name = (method if isinstance(method, type) else type(method)).__name__
    if not method.trains_on_batches:
        raise OptionError(
            f"train: end_to_end: {name} is solved and not trained on batches; allowed: train: pre_extracted"
        )
    if "masked" in method.needs(options):
        raise OptionError(
            f"train: end_to_end: {name} reads features of masked sequences (temporal: true), which are made beforehand; "
            "allowed: temporal: false, or train: pre_extracted"
        )
