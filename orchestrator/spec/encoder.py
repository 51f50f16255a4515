"""A visual encoder that a sweep trains itself: what ``visual: {encoder: …}`` of a spec means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from dvta.end_to_end_config import EndToEndConfig
from dvta.errors import OptionError, UnknownNameError, did_you_mean
from dvta.facts import ENCODERS, EncoderFacts
from dvta.facts.encoders import KINEMATIC
from dvta.training_config import EncoderConfig
from orchestrator.spec.configuration import check_option_names
from orchestrator.spec.model import LARGEST_SEED
from orchestrator.trial import Scalar


@dataclasses.dataclass(frozen=True)
class EncoderSpec:
    """Visual features by an encoder that the sweep itself trains on the seen classes.

    Attributes:
        encoder: a registered encoder, or ``kinematic``, which is fitted and not trained.
        train: settings over the encoder's published ones.
        seed: of the encoder; None takes the seed of the trial that reads its features.
        options: the encoder's own switches.
        protocol: of the prepared skeletons (``xsub_300``); None as in :func:`dvta.skeleton.splits.load`.
        end_to_end: settings of trials that train the encoder with the alignment (``train: end_to_end``).
    """

    encoder: str
    train: tuple[tuple[str, Scalar], ...] = ()
    seed: int | None = 0
    options: tuple[tuple[str, Scalar], ...] = ()
    protocol: str | None = None
    end_to_end: tuple[tuple[str, Scalar], ...] = ()

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> EncoderSpec:
        """Read the mapping of a spec.

        Raises:
            OptionError, UnknownNameError: a key, a setting or the encoder is unknown or impossible.
        """
        allowed = ("encoder", "train", "options", "seed", "protocol", "end_to_end")
        for key in value:
            if key not in allowed:
                raise OptionError(
                    f"visual: unknown key {key!r}{did_you_mean(key, allowed)}; allowed: {', '.join(allowed)}"
                )
        name, train, options, joint = _parts(value)
        seed, protocol = value.get("seed", 0), value.get("protocol")
        if not isinstance(protocol, str | None):
            raise OptionError(
                f"visual: protocol {protocol!r} is impossible; allowed: a name such as xsub_300"
            )
        if seed != "each" and (
            not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= LARGEST_SEED
        ):
            raise OptionError(f"visual: seed {seed!r} is impossible; allowed: 0 to {LARGEST_SEED}, or each")
        if name == KINEMATIC:
            if train or options or joint:
                raise OptionError(
                    "visual: kinematic is not trained; allowed: {encoder: kinematic, protocol: …}"
                )
            return cls(name, protocol=protocol)
        try:
            encoder = ENCODERS.facts(name)
        except UnknownNameError as error:
            raise UnknownNameError(f"{error}; or {KINEMATIC}") from None
        check_option_names(encoder, EncoderConfig, "protocol")
        numbers = _training_numbers(train, encoder.training_defaults)
        try:
            encoder.options_class.resolve(options)
        except OptionError as error:
            raise OptionError(f"visual.options: {error}") from None
        return cls(
            name,
            tuple(sorted(numbers.items())),
            None if seed == "each" else seed,
            tuple(sorted(options.items())),
            protocol,
            tuple(sorted(_joint_numbers(joint).items())),
        )

    @classmethod
    def of_flat(cls, encoder: str, values: Mapping[str, Any], protocol: str | None = None) -> EncoderSpec:
        """Read settings and options that are not told apart.

        Raises:
            OptionError, UnknownNameError: a name, a value or the encoder is unknown or impossible.
        """
        settings = [f.name for f in dataclasses.fields(EncoderConfig)]
        train = {k: v for k, v in values.items() if k in settings}
        options = {k: v for k, v in values.items() if k not in settings}
        known = [*settings, *cls.parse({"encoder": encoder, "protocol": protocol}).switches()]
        for name in options:
            if name not in known and encoder != KINEMATIC:
                raise OptionError(
                    f"{name}: {encoder} has no such setting or option{did_you_mean(name, known)}; "
                    f"allowed: {', '.join(known)}"
                )
        return cls.parse({"encoder": encoder, "train": train, "options": options, "protocol": protocol})

    def __str__(self) -> str:
        return self.encoder

    @property
    def is_trainable(self) -> bool:
        """Whether there is something to train."""
        return self.encoder != KINEMATIC

    def config(self) -> EncoderConfig | None:
        """Return all training settings, None where nothing is trained."""
        if not self.is_trainable:
            return None
        return EncoderConfig(**{**ENCODERS.facts(self.encoder).training_defaults, **dict(self.train)})

    def joint_config(self) -> EndToEndConfig:
        """Return all settings of training it with the alignment."""
        return EndToEndConfig(**dict(self.end_to_end))  # type: ignore[arg-type]

    def switches(self) -> dict[str, Scalar]:
        """Return all of the encoder's own switches."""
        if not self.is_trainable:
            return {}
        facts: type[EncoderFacts] = ENCODERS.facts(self.encoder)
        return facts.options_class.resolve(dict(self.options)).canonical()


def _parts(value: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]:
    """Return the name, and the settings under ``train``, ``options`` and ``end_to_end``."""
    name, parts = value.get("encoder"), [value.get(k) or {} for k in ("train", "options", "end_to_end")]
    if not isinstance(name, str) or not all(isinstance(part, Mapping) for part in parts):
        raise OptionError(
            "visual: allowed: {encoder: NAME, train: {…}, options: {…}, seed: a whole number or each, "
            "protocol: NAME, end_to_end: {…}}"
        )
    train, options, joint = parts
    return name, train, options, joint


def _training_numbers(train: Mapping[str, Any], published: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of ``train`` as their fields have them, checked over the published ones."""
    numbers = _numbers("visual.train", train, EncoderConfig)
    EncoderConfig(**{**published, **numbers})
    return numbers


def _joint_numbers(joint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of ``end_to_end`` as their fields have them, checked."""
    numbers = _numbers("visual.end_to_end", joint, EndToEndConfig)
    try:
        EndToEndConfig(**numbers)
    except OptionError as error:
        raise OptionError(f"visual.end_to_end: {error}") from None
    return numbers


def _numbers(where: str, given: Mapping[str, Any], owner: type) -> dict[str, Any]:
    """Return settings as the fields of their owner have them; each is one of those."""
    names = [f.name for f in dataclasses.fields(owner)]
    for key in given:
        if key not in names:
            raise OptionError(
                f"{where}: {key!r} is unknown{did_you_mean(key, names)}; allowed: {', '.join(names)}"
            )
    return {k: _number(k, v) for k, v in given.items()}


def _number(name: str, value: Any) -> Any:
    """Return a training setting as its field has it; YAML 1.1 reads 1e-3 as text, and 60 is no text."""
    if name in ("lr", "weight_decay", "encoder_lr") and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if name == "steps" and not isinstance(value, str | bool):
        return ",".join(map(str, value if isinstance(value, list) else [value]))
    return value
