"""What a flat configuration means: a method's options, training settings, the simulated stand-in's settings."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from dvta.datasets.stand_in import StandIn
from dvta.end_to_end_config import EndToEndConfig
from dvta.errors import DvtaError, OptionError
from dvta.facts import METHODS, EncoderFacts, MethodFacts
from dvta.training_config import TrainingConfig
from orchestrator.spec.model import DEFAULTS
from orchestrator.trial import Trial

BUILD = ("name", "visual_dim", "text_dim")  # the arguments of dvta.methods.build but the options
STAND_IN = frozenset(f.name for f in dataclasses.fields(StandIn))


def check_configuration(config: Mapping[str, Any]) -> None:
    """Build the options and settings of a flat configuration, without looking for its data.

    Raises:
        OptionError: a value is impossible, alone or beside the others.
        UnknownNameError: there is no such method.
    """
    full = {**DEFAULTS, **config}
    method = METHODS.facts(full["method"])
    check_option_names(method, TrainingConfig)
    method.options_class.resolve(method_options(method, full))
    training_settings(method, full)
    StandIn(**{k: v for k, v in full.items() if k in STAND_IN})


def why_impossible(config: Mapping[str, Any]) -> str | None:
    """Return why a flat configuration cannot be built, None where it can."""
    try:
        check_configuration(config)
    except (DvtaError, TypeError) as error:
        return str(error)
    return None


def check_option_names(owner: type[MethodFacts] | type[EncoderFacts], training: type, *more: str) -> None:
    """Check that no option of a method or an encoder has the name of something else of a trial.

    Args:
        training: the dataclass of its training settings.
        more: names that are taken besides.

    Raises:
        OptionError: one does; it would be stored, printed or passed on in the other's place.
    """
    taken = {**taken_names(training), **dict.fromkeys(more, "something else of a trial")}
    clashes = [f.name for f in dataclasses.fields(owner.options_class) if f.name in taken]
    if clashes:
        named = ", ".join(f"{name!r} is {taken[name]}" for name in clashes)
        raise OptionError(
            f"options of {owner.__module__}.{owner.__qualname__}: {named}; "
            "allowed: an option has a name of its own"
        )


@functools.cache
def taken_names(training: type) -> dict[str, str]:
    """Return the names that no option may have, and what each of them is."""
    taken = dict.fromkeys([*BUILD, "preset"], "an argument of build")
    taken["train"] = "what a trial trains"
    for holder in (StandIn, EndToEndConfig, training, Trial):
        taken |= {f.name: f"a field of {holder.__name__}" for f in dataclasses.fields(holder)}
    return taken


def method_options(method: type[MethodFacts], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a configuration gives of a method's options, its preset among them."""
    known = {"preset", *(f.name for f in dataclasses.fields(method.options_class))}
    return {k: v for k, v in config.items() if k in known}


def training_settings(method: type[MethodFacts], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return all training settings; a method's own warm-up yields to fewer epochs."""
    known = {f.name for f in dataclasses.fields(TrainingConfig)}
    given = {k: v for k, v in config.items() if k in known}
    settings = {**method.training_defaults, **given}
    if "warmup_epochs" not in given and "epochs" in given:
        settings["warmup_epochs"] = min(settings.get("warmup_epochs", 0), max(given["epochs"] - 1, 0))
    return dataclasses.asdict(TrainingConfig(**settings))
