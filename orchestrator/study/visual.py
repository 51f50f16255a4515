"""Encoders as trials: what a spec's ``visual: {encoder: …}`` means, and where their features lie."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec

from dvta.encoders import ENCODERS, kinematic
from dvta.encoders.training import EncoderConfig
from dvta.errors import DataError, OptionError, UnknownNameError, did_you_mean
from dvta.skeleton.splits import SkeletonSplit
from orchestrator.trial import Scalar, Trial, text, varying

MADE = "made.json"  # written last: what the encoder's training measured
PROTOCOL = "protocol"  # of the prepared skeletons, beside the encoder's own switches


@dataclasses.dataclass(frozen=True)
class TrainedVisual:
    """Visual features by an encoder that the sweep itself trains on the seen classes.

    Attributes:
        encoder: a registered encoder, or ``kinematic``, which is fitted and not trained.
        train: settings over the encoder's published ones.
        seed: of the encoder; None takes the seed of the trial that reads its features.
        options: the encoder's own switches.
        protocol: of the prepared skeletons (``xsub_300``); None as in :func:`dvta.skeleton.splits.load`.
    """

    encoder: str
    train: tuple[tuple[str, Scalar], ...] = ()
    seed: int | None = 0
    options: tuple[tuple[str, Scalar], ...] = ()
    protocol: str | None = None

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> TrainedVisual:
        """Read the mapping of a spec.

        Raises:
            OptionError, UnknownNameError: a key, a setting or the encoder is unknown or impossible.
        """
        allowed = ("encoder", "train", "options", "seed", "protocol")
        for key in value:
            if key not in allowed:
                raise OptionError(
                    f"visual: unknown key {key!r}{did_you_mean(key, allowed)}; allowed: {', '.join(allowed)}"
                )
        name, train, seed = value.get("encoder"), value.get("train") or {}, value.get("seed", 0)
        options, protocol = value.get("options") or {}, value.get("protocol")
        if not isinstance(name, str) or not isinstance(train, Mapping) or not isinstance(options, Mapping):
            raise OptionError(
                "visual: allowed: {encoder: NAME, train: {…}, options: {…}, seed: a whole number or each, "
                "protocol: NAME}"
            )
        if not isinstance(protocol, str | None):
            raise OptionError(
                f"visual: protocol {protocol!r} is impossible; allowed: a name such as xsub_300"
            )
        if seed != "each" and (not isinstance(seed, int) or isinstance(seed, bool)):
            raise OptionError(f"visual: seed {seed!r} is impossible; allowed: a whole number, or each")
        if name == kinematic.NAME:
            if train or options:
                raise OptionError(
                    "visual: kinematic is not trained; allowed: {encoder: kinematic, protocol: …}"
                )
            return cls(name, protocol=protocol)
        try:
            encoder = ENCODERS.get(name)
        except UnknownNameError as error:
            raise UnknownNameError(f"{error}; or {kinematic.NAME}") from None
        names = [f.name for f in dataclasses.fields(EncoderConfig)]
        for key in train:
            if key not in names:
                raise OptionError(
                    f"visual.train: {key!r} is unknown{did_you_mean(key, names)}; allowed: {', '.join(names)}"
                )
        numbers = {k: _settled(k, v) for k, v in train.items()}
        EncoderConfig(**{**encoder.training_defaults, **numbers})
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
        )

    @classmethod
    def of_flat(cls, encoder: str, values: Mapping[str, Any], protocol: str | None = None) -> TrainedVisual:
        """Read settings and options that are not told apart.

        Raises:
            OptionError, UnknownNameError: a name, a value or the encoder is unknown or impossible.
        """
        settings = {f.name for f in dataclasses.fields(EncoderConfig)}
        train = {k: v for k, v in values.items() if k in settings}
        options = {k: v for k, v in values.items() if k not in settings}
        return cls.parse({"encoder": encoder, "train": train, "options": options, "protocol": protocol})

    def __str__(self) -> str:
        return self.encoder

    @property
    def trained(self) -> bool:
        """Whether there is something to train."""
        return self.encoder != kinematic.NAME

    def config(self) -> EncoderConfig | None:
        """Return all training settings, None where nothing is trained."""
        if not self.trained:
            return None
        return EncoderConfig(**{**ENCODERS.get(self.encoder).training_defaults, **dict(self.train)})

    def switches(self) -> dict[str, Scalar]:
        """Return all of the encoder's own switches."""
        if not self.trained:
            return {}
        return ENCODERS.get(self.encoder).options_class.resolve(dict(self.options)).canonical()

    def trial(self, data: SkeletonSplit, seed: int, *, held_out: bool) -> Trial:
        """Return the trial that trains the encoder; ``held_out`` leaves the validation classes out."""
        encoder = ENCODERS.get(self.encoder) if self.trained else None
        config = self.config()
        return Trial(
            method=self.encoder,
            revision=encoder.revision if encoder else kinematic.REVISION,
            dataset=data.dataset,
            split=data.split,
            visual=self.encoder,
            text="none",
            seed=(seed if self.seed is None else self.seed) if encoder else 0,
            source="real",
            data_digest=data.digest,
            options={PROTOCOL: data.protocol, **self.switches()},
            training=dataclasses.asdict(config) if config else {},
            evaluate_on="validation" if held_out and encoder else "unseen",
            kind="encoder",
        )


def labels(visuals: Iterable[TrainedVisual | str]) -> dict[TrainedVisual, str]:
    """Return what each trained one is called beside the others.

    ``st_gcn``; ``st_gcn(epochs=12)`` where variants of it differ in that; ``st_gcn(trained)`` beside
    features of that name that are there already.
    """
    groups: dict[str, dict[TrainedVisual, dict[str, Any]]] = {}
    ready = set()
    for visual in visuals:
        if not isinstance(visual, TrainedVisual):
            ready.add(visual)
            continue
        config = visual.config()
        own: dict[str, Any] = {"seed": visual.seed, "protocol": visual.protocol, **visual.switches()}
        own |= dataclasses.asdict(config) if config else {}
        groups.setdefault(visual.encoder, {})[visual] = own
    return {
        visual: name
        + (described(own, varying(list(group.values()))) or ("(trained)" if name in ready else ""))
        for name, group in groups.items()
        for visual, own in group.items()
    }


def described(config: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return ``(name=value name=value)``, or nothing without names."""
    return f"({' '.join(f'{n}={text(config.get(n))}' for n in names)})" if names else ""


def _settled(name: str, value: Any) -> Any:
    """Return a training setting as its field has it; YAML 1.1 reads 1e-3 as text, and 60 is no text."""
    if name in ("lr", "weight_decay") and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if name == "steps" and not isinstance(value, str | bool):
        return ",".join(map(str, value if isinstance(value, list) else [value]))
    return value


def encoder_options(trial: Trial) -> dict[str, Scalar]:
    """Return the encoder's own switches of an encoder trial."""
    return {k: v for k, v in trial.options.items() if k != PROTOCOL}


def folder_of(runs: str, key: str) -> str:
    """Return where the features of an encoder trial lie, a path or an fsspec URL."""
    return f"{runs}/features/{key[:2]}/{key}"


def is_there(folder: str, needs: frozenset[str] = frozenset()) -> bool:
    """Whether the features are complete, masked ones among them where they are needed."""
    fs, path = fsspec.core.url_to_fs(folder)
    files = [MADE, *(["train_masked.npy"] if "masked" in needs else [])]
    return all(fs.exists(f"{path}/{file}") for file in files)


def fetch(folder: str) -> Path:
    """Return a local folder with the features, copied once a process where they are remote.

    Raises:
        DataError: they are not there.
    """
    fs, path = fsspec.core.url_to_fs(folder)
    if not fs.exists(f"{path}/{MADE}"):
        raise DataError(f"{folder}: the encoder's features are not there; run the sweep again to make them")
    if "local" in fs.protocol or "file" in fs.protocol:
        return Path(path)
    target = Path(tempfile.mkdtemp(prefix="dvta-features-"))
    fs.get(f"{path}/", str(target), recursive=True)
    return target
