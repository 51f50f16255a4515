"""Facts of methods with variational auto-encoders: CADA-VAE, SynSE, MSF, SA-DVAE and FS-VAE."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Literal

from dvta.errors import OptionError
from dvta.facts.base import METHODS, MethodFacts
from dvta.options import Options, check_least

Texts = Literal["label", "label+context", "label+context+motion"]
PARTS = {"label": "labels", "context": "contexts", "motion": "motions"}


@dataclasses.dataclass(frozen=True)
class VAEOptions(Options):
    """What all of them may choose.

    Attributes:
        latent: width of the visual latent (100 on NTU-60, 200 on NTU-120).
        cycle_steps: batches of a cycle, which is an epoch here (1700 on 55/5, else 1900); other
            lengths shrink the schedule in proportion.
        noise: one Gaussian number per latent ``dimension``, or one per ``sample`` for all
            dimensions (the published code).
        text_decoder: ``linear``, or ``relu`` although texts have negative entries (published).
        classifier: ``linear``, or ``relu`` after the last layer (published).
    """

    latent: int = 100
    cycle_steps: int = 1900
    noise: Literal["dimension", "sample"] = "dimension"
    text_decoder: Literal["linear", "relu"] = "linear"
    classifier: Literal["linear", "relu"] = "linear"

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {},
        "official": {"noise": "sample", "text_decoder": "relu", "classifier": "relu"},
    }

    def __post_init__(self) -> None:
        if self.latent < 2 or self.latent % 2:
            raise OptionError(f"latent: {self.latent!r} is impossible; allowed: an even number from 2")
        check_least(self, 1, "cycle_steps")


class LatentFacts(MethodFacts):
    """Of a method that classifies visual latents with a classifier fitted on text latents."""

    revision = 2
    training_defaults: ClassVar[dict[str, Any]] = {
        "lr": 1e-4, "batch_size": 64, "epochs": 10, "schedule": "constant",
    }  # fmt: skip
    published_text_dim = 1024


@dataclasses.dataclass(frozen=True)
class CADAVAEOptions(VAEOptions):
    """Choices of CADA-VAE.

    Attributes:
        wasserstein: weight of the distribution alignment once the modalities are crossed. The
            publication has it (8.13 beside sums of absolute errors; 1 is ours beside mean squared
            ones), SynSE's code multiplies it by 0.
    """

    wasserstein: float = 1.0

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {},
        "official": {**VAEOptions.PRESETS["official"], "wasserstein": 0.0},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 0, "wasserstein")


@METHODS.announces("cada_vae")
class CADAVAEFacts(LatentFacts):
    """Of CADAVAE."""

    options_class = CADAVAEOptions

    @classmethod
    def stackable(cls, options: Options) -> frozenset[str] | None:
        """Models that differ in the weight of the alignment, where they have it."""
        return frozenset({"wasserstein"} if getattr(options, "wasserstein", 0.0) else ())


@dataclasses.dataclass(frozen=True)
class SynSEOptions(VAEOptions):
    """Those of :class:`VAEOptions`; each text VAE has half the latent."""


@METHODS.announces("synse")
class SynSEFacts(LatentFacts):
    """Of SynSE."""

    options_class = SynSEOptions

    @classmethod
    def needs(cls, options: Options) -> frozenset[str]:
        """Verb and noun texts."""
        return frozenset({"verbs", "nouns"})

    @classmethod
    def stackable(cls, options: Options) -> frozenset[str]:
        """Models of equal options."""
        return frozenset()


@dataclasses.dataclass(frozen=True)
class MSFOptions(CADAVAEOptions):
    """Choices of MSF.

    Attributes:
        texts: which texts of a class stand side by side; all three in the publication.
        wasserstein: as in CADA-VAE; its code leaves it out.
    """

    wasserstein: float = 0.0
    texts: Texts = "label+context+motion"


@METHODS.announces("msf")
class MSFFacts(CADAVAEFacts):
    """Of MSF."""

    revision = 1
    options_class: ClassVar[Any] = MSFOptions
    published_text_dim = 512

    @classmethod
    def needs(cls, options: Options) -> frozenset[str]:
        """Every text but the label."""
        return frozenset(text_parts(options)) - {"labels"}

    @classmethod
    def stackable(cls, options: Options) -> None:
        """None, nor are its variants."""


@dataclasses.dataclass(frozen=True)
class SADVAEOptions(VAEOptions):
    """Choices of SA-DVAE.

    Attributes:
        latent: Ls, width of the semantic part (160 on NTU-60, 256 on NTU-120).
        instance: Li, width of the instance part (8 and 32); without one this is CADA-VAE, but for D.
        cycle_steps: batches of a cycle; None is one pass over the training samples (published).
        discriminator_every: steps from one of D's to the next (5 and 4); 0 leaves D out.
    """

    latent: int = 160
    instance: int = 8
    cycle_steps: int | None = None  # type: ignore[assignment]
    discriminator_every: int = 5

    def __post_init__(self) -> None:
        if self.cycle_steps is None:
            dataclasses.replace(self, cycle_steps=1)  # checks the rest
        else:
            super().__post_init__()
        check_least(self, 0, "instance", "discriminator_every")


@METHODS.announces("sa_dvae")
class SADVAEFacts(LatentFacts):
    """Of SADVAE."""

    revision = 1
    options_class = SADVAEOptions
    training_defaults: ClassVar[dict[str, Any]] = {
        "lr": 3.389022400898623e-05, "batch_size": 32, "epochs": 10, "schedule": "constant",
    }  # fmt: skip


@dataclasses.dataclass(frozen=True)
class FSVAEOptions(VAEOptions):
    """Choices of FS-VAE.

    Attributes:
        texts: as in MSF.
        alpha: weight of the calibrated loss (0.5 on NTU-60, 0.1 on NTU-120).
        scale: lambda, over which squared distances are spread.
    """

    texts: Texts = "label+context+motion"
    alpha: float = 0.5
    scale: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 0, "alpha")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise OptionError(f"scale: {self.scale!r} is impossible; allowed: a number above 0")


@METHODS.announces("fs_vae")
class FSVAEFacts(MSFFacts):
    """Of FSVAE."""

    options_class: ClassVar[Any] = FSVAEOptions


def text_parts(options: Options) -> list[str]:
    """Return the fields of a :class:`dvta.features.ClassText` that the options of MSF or FS-VAE name."""
    return [PARTS[name] for name in getattr(options, "texts").split("+")]  # noqa: B009
