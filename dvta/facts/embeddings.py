"""Facts of methods that learn an embedding or a score: DeViSE, RelationNet, ReViSE, JPoSE, PURLS and SMIE."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

from dvta.errors import OptionError
from dvta.facts.base import METHODS, MethodFacts
from dvta.options import Options, check_least

#: how SynSE's repository trains ReViSE and JPoSE
IN_SYNSE: dict[str, Any] = {"lr": 1e-4, "batch_size": 1024, "epochs": 300, "schedule": "constant"}


@dataclasses.dataclass(frozen=True)
class DeViSEOptions(Options):
    """``margin``: by how much the true class must lead (0.1 in the publication)."""

    margin: float = 0.1

    def __post_init__(self) -> None:
        if self.margin <= 0:
            raise OptionError(f"margin: {self.margin!r} is impossible; allowed: a number above 0")


@METHODS.announces("devise")
class DeViSEFacts(MethodFacts):
    """Of DeViSE."""

    options_class = DeViSEOptions
    training_defaults: ClassVar[dict[str, Any]] = {"lr": 1e-4, "schedule": "constant"}

    @classmethod
    def stackable(cls, options: Options) -> frozenset[str]:
        """Models that differ in the margin."""
        return frozenset({"margin"})


@dataclasses.dataclass(frozen=True)
class RelationNetOptions(Options):
    """``attribute_hidden``, ``relation_hidden``: widths of the hidden layers."""

    attribute_hidden: int = 1024
    relation_hidden: int = 400

    def __post_init__(self) -> None:
        check_least(self, 1, "attribute_hidden", "relation_hidden")


@METHODS.announces("relationnet")
class RelationNetFacts(MethodFacts):
    """Of RelationNet."""

    options_class = RelationNetOptions
    training_defaults: ClassVar[dict[str, Any]] = {"lr": 1e-4, "schedule": "constant"}


@dataclasses.dataclass(frozen=True)
class ReViSEOptions(Options):
    """Choices of ReViSE.

    Attributes:
        margin: of the ranking loss.
        contractive: the contractive term with its ``gradient``, or as a ``value`` without one
            (the published code), or ``none``.
    """

    margin: float = 0.3
    contractive: Literal["gradient", "value", "none"] = "gradient"

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}, "official": {"contractive": "value"}}

    def __post_init__(self) -> None:
        if self.margin <= 0:
            raise OptionError(f"margin: {self.margin!r} is impossible; allowed: a number above 0")


@METHODS.announces("revise")
class ReViSEFacts(MethodFacts):
    """Of ReViSE."""

    options_class = ReViSEOptions
    training_defaults = IN_SYNSE
    published_text_dim = 1024


@dataclasses.dataclass(frozen=True)
class JPoSEOptions(Options):
    """Choices of JPoSE.

    Attributes:
        margin: of every loss.
        text_hidden: the hidden text layer; ``auto`` has it for 1024-d texts only, as published.
        triplet_pairs: ``own`` compares a sample's negative with its own positive, ``all`` with
            everybody's (the published code).
    """

    margin: float = 0.3
    text_hidden: Literal["auto", "always", "never"] = "auto"
    triplet_pairs: Literal["own", "all"] = "own"

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}, "official": {"triplet_pairs": "all"}}

    def __post_init__(self) -> None:
        if self.margin <= 0:
            raise OptionError(f"margin: {self.margin!r} is impossible; allowed: a number above 0")


@METHODS.announces("jpose")
class JPoSEFacts(MethodFacts):
    """Of JPoSE."""

    revision = 2
    options_class = JPoSEOptions
    training_defaults = IN_SYNSE
    published_text_dim = 1024

    @classmethod
    def needs(cls, options: Options) -> frozenset[str]:
        """Verb and noun texts."""
        return frozenset({"verbs", "nouns"})


@dataclasses.dataclass(frozen=True)
class PURLSOptions(Options):
    """Choices of PURLS.

    Attributes:
        hidden_layers: hidden blocks of the projection; 1 in the paper, 0 in the published runs.
        dropout: in every block.
        test_query: the texts that pool a test sample's tokens: those of each ``candidate`` class.
            The published code takes those of the true class, which gives the answer away; that is
            refused here and can be looked at with :meth:`dvta.methods.purls.PURLS.leaking_scores`.
    """

    hidden_layers: int = 1
    dropout: float = 0.5
    test_query: Literal["candidate", "ground_truth"] = "candidate"

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}, "official": {"hidden_layers": 0}}

    def __post_init__(self) -> None:
        check_least(self, 0, "hidden_layers")
        if not 0 <= self.dropout < 1:
            raise OptionError(f"dropout: {self.dropout!r} is impossible; allowed: 0 up to 1, without 1")
        if self.test_query != "candidate":
            raise OptionError(
                "test_query: 'ground_truth' gives the true class away at test and enters no table; "
                "allowed: candidate"
            )


@METHODS.announces("purls")
class PURLSFacts(MethodFacts):
    """Of PURLS."""

    revision = 2
    options_class = PURLSOptions
    training_defaults: ClassVar[dict[str, Any]] = {"lr": 1e-4, "batch_size": 256, "schedule": "constant"}
    published_text_dim = 512

    @classmethod
    def needs(cls, options: Options) -> frozenset[str]:
        """Un-pooled features and the eight texts of every class."""
        return frozenset({"unpooled", "parts"})


@dataclasses.dataclass(frozen=True)
class SMIEOptions(Options):
    """Choices of SMIE.

    Attributes:
        ln_at_test: normalise the visual feature at test as in training; the published code does
            not.
        temporal: the constraint that a sequence without its fastest frames tells less; needs
            ``train_masked.npy``, which ``encode skeleton --masked`` writes. The published runs on
            extracted features are without it.
    """

    ln_at_test: bool = True
    temporal: bool = False

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}, "official": {"ln_at_test": False}}


@METHODS.announces("smie")
class SMIEFacts(MethodFacts):
    """Of SMIE."""

    options_class = SMIEOptions
    training_defaults: ClassVar[dict[str, Any]] = {"lr": 1e-5, "warmup_epochs": 15}

    @classmethod
    def needs(cls, options: Options) -> frozenset[str]:
        """Features of masked sequences, where the temporal constraint is on."""
        return frozenset({"masked"} if getattr(options, "temporal", False) else ())

    @classmethod
    def stackable(cls, options: Options) -> frozenset[str] | None:
        """Models of equal options; none with the temporal constraint, which draws a mask per step."""
        return None if getattr(options, "temporal", False) else frozenset()
