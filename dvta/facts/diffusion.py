"""Facts of methods that remove noise or follow a flow: Flora's sentence form and TDSM."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

from dvta.errors import OptionError
from dvta.facts.base import METHODS, MethodFacts
from dvta.options import Options, check_least

HEAD = 64  # width of an attention head


class SteppedFacts(MethodFacts):
    """Of a method whose training is a number of steps, by AdamW with weight decay 0.01, as both were published."""

    training_defaults: ClassVar[dict[str, Any]] = {"lr": 1e-4, "weight_decay": 0.01, "schedule": "constant"}


@dataclasses.dataclass(frozen=True)
class FloraOptions(Options):
    """Choices of Flora's sentence form.

    Attributes:
        latent: L.
        alignment_steps, flow_steps: batches of phases 1 and 2.
        neighbours, mixing: k and tau; published for each split, 1 to 2 and 0.1 to 1.
    """

    latent: int = 768
    alignment_steps: int = 1000
    flow_steps: int = 200
    neighbours: int = 1
    mixing: float = 0.3

    def __post_init__(self) -> None:
        check_least(self, 1, "latent", "alignment_steps", "flow_steps", "neighbours")
        check_least(self, 0, "mixing")

    def steps(self) -> int:
        """Return the batches of both phases."""
        return self.alignment_steps + self.flow_steps


@METHODS.announces("flora_sentence")
class FloraSentenceFacts(SteppedFacts):
    """Of FloraSentence."""

    options_class = FloraOptions
    training_defaults: ClassVar[dict[str, Any]] = {
        **SteppedFacts.training_defaults,
        "batch_size": 64,
        "epochs": 12,
    }
    loops_over_classes = True

    @classmethod
    def needs(cls, options: Options) -> frozenset[str]:
        """Context texts."""
        return frozenset({"contexts"})


@dataclasses.dataclass(frozen=True)
class TDSMOptions(Options):
    """Choices of TDSM.

    Attributes:
        depth, width: of the transformer; heads are 64 wide.
        training_steps: batches in all.
        target: what is told from a noisy feature, its ``noise``, or the ``feature`` itself.
    """

    depth: int = 12
    width: int = 768
    training_steps: int = 50_000
    target: Literal["noise", "feature"] = "noise"

    def __post_init__(self) -> None:
        check_least(self, 1, "depth", "training_steps")
        if self.width < HEAD or self.width % HEAD:
            raise OptionError(f"width: {self.width!r} is impossible; allowed: a multiple of {HEAD}")

    def steps(self) -> int:
        """Return the batches in all."""
        return self.training_steps


@METHODS.announces("tdsm")
class TDSMFacts(SteppedFacts):
    """Of TDSM."""

    options_class = TDSMOptions
    training_defaults: ClassVar[dict[str, Any]] = {
        **SteppedFacts.training_defaults, "batch_size": 256, "epochs": 100, "schedule": "cosine",
    }  # fmt: skip
    published_text_dim = 1024
    loops_over_classes = True

    @classmethod
    def needs(cls, options: Options) -> frozenset[str]:
        """Context texts and the eight texts of every class."""
        return frozenset({"contexts", "parts"})
