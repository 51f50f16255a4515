"""Trials that train encoder and alignment together: their settings, flat as a trial stores them, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from dvta.end_to_end_config import EndToEndConfig, check_trains_jointly
from dvta.errors import OptionError
from dvta.facts import ENCODERS, MethodFacts
from dvta.options import Options
from dvta.skeleton.splits import SkeletonSplit
from dvta.training_config import TrainingConfig
from orchestrator.spec.encoder import EncoderSpec
from orchestrator.trial import END_TO_END, Scalar

PROTOCOL = "protocol"  # of the prepared skeletons
SWITCH = "encoder_"  # before the names of the encoder's own switches
REVISION = "encoder_revision"


class Joint(NamedTuple):
    """What the training settings of such a trial hold: of the alignment, of both, of the encoder, of its skeletons."""

    training: TrainingConfig
    settings: EndToEndConfig
    switches: dict[str, Scalar]
    protocol: str


def check_joint(full: Mapping[str, Any], method: type[MethodFacts], options: Options) -> EncoderSpec:
    """Return the encoder that a flat configuration trains with the alignment.

    Raises:
        OptionError: it names none that can be trained, the method cannot train one, or the evaluation needs features
            made beforehand.
    """
    visual = full["visual"]
    if not isinstance(visual, EncoderSpec) or not visual.is_trainable:
        raise OptionError(
            f"train: end_to_end trains the encoder, and visual {visual} is not trained; allowed: visual: {{encoder: NAME, "
            f"end_to_end: {{…}}}} with {', '.join(ENCODERS.names())}, or train: pre_extracted"
        )
    check_trains_jointly(method, options)
    if full["evaluate_on"] == "gzsl":
        raise OptionError(
            "train: end_to_end: the gate of protocol gzsl is fitted to features made beforehand; allowed: protocol: zsl, "
            "or train: pre_extracted"
        )
    return visual


def flat_training(
    training: Mapping[str, Scalar], visual: EncoderSpec, data: SkeletonSplit
) -> dict[str, Scalar]:
    """Return the training settings of such a trial: those of the alignment, and all that decides on the encoder.

    Raises:
        OptionError: the settings contradict each other.
    """
    settings = visual.joint_config()
    if settings.frozen_epochs >= int(training["epochs"] or 0):
        raise OptionError(
            f"frozen_epochs: {settings.frozen_epochs} of {training['epochs']} epochs leave none in which the encoder "
            "learns; allowed: fewer, or train: pre_extracted"
        )
    if not training["lr"]:
        raise OptionError("lr: 0 trains nothing; allowed with train: end_to_end: a number above 0")
    return {
        **training,
        "train": END_TO_END,
        **dataclasses.asdict(settings),
        PROTOCOL: data.protocol,
        REVISION: ENCODERS.facts(visual.encoder).revision,
        **{SWITCH + name: value for name, value in visual.switches().items()},
    }


def read_joint(encoder: str, training: Mapping[str, Scalar]) -> Joint:
    """Return what :func:`flat_training` made flat, of a trial with that visual encoder."""
    alignment, both = (
        {f.name: training[f.name] for f in dataclasses.fields(owner)}
        for owner in (TrainingConfig, EndToEndConfig)
    )
    names = [f.name for f in dataclasses.fields(ENCODERS.facts(encoder).options_class)]
    return Joint(
        TrainingConfig(**alignment),  # type: ignore[arg-type]
        EndToEndConfig(**both),  # type: ignore[arg-type]
        {name: training[SWITCH + name] for name in names},
        str(training[PROTOCOL]),
    )


def made_from(data: SkeletonSplit) -> tuple[str, str]:
    """Return the folder and the maker of features that are never written: ``trained`` of :func:`dvta.data_ref.locate`."""
    return "", f"{END_TO_END} {data.digest}"
