"""What a flat configuration means: a method's options, training settings, the simulated stand-in's settings.

PyTorch is imported when the first method is looked at, not with this module.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dvta.datasets.stand_in import StandIn
from orchestrator.spec.model import DEFAULTS

if TYPE_CHECKING:
    from dvta.methods import Method

STAND_IN = frozenset(f.name for f in dataclasses.fields(StandIn))


def check_configuration(config: Mapping[str, Any]) -> None:
    """Build the options and settings of a flat configuration, without looking for its data.

    Raises:
        OptionError: a value is impossible, alone or beside the others.
        UnknownNameError: there is no such method.
    """
    from dvta.methods import METHODS

    full = {**DEFAULTS, **config}
    method = METHODS.get(full["method"])
    method.options_class.resolve(method_options(method, full))
    training_settings(method, full)
    StandIn(**{k: v for k, v in full.items() if k in STAND_IN})


def method_options(method: type[Method], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a configuration gives of a method's options, its preset among them."""
    known = {"preset", *(f.name for f in dataclasses.fields(method.options_class))}
    return {k: v for k, v in config.items() if k in known}


def training_settings(method: type[Method], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return all training settings; a method's own warm-up yields to fewer epochs."""
    from dvta.training import TrainingConfig

    known = {f.name for f in dataclasses.fields(TrainingConfig)}
    given = {k: v for k, v in config.items() if k in known}
    settings = {**method.training_defaults, **given}
    if "warmup_epochs" not in given and "epochs" in given:
        settings["warmup_epochs"] = min(settings.get("warmup_epochs", 0), max(given["epochs"] - 1, 0))
    return dataclasses.asdict(TrainingConfig(**settings))
