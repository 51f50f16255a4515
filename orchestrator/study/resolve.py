"""From a flat configuration to its trial: options, settings and data resolved, nothing left to a default."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dvta import datasets
from dvta.arrays import digest
from dvta.data_ref import DataRef
from dvta.datasets import Dataset, Split
from dvta.datasets.stand_in import StandIn
from dvta.errors import DataError, OptionError
from dvta.facts import ENCODERS, METHODS, MethodFacts
from dvta.facts.encoders import KINEMATIC_REVISION
from dvta.skeleton.splits import SkeletonSplit
from dvta.training_config import TrainingConfig
from orchestrator.spec.configuration import STAND_IN, check_option_names, method_options, training_settings
from orchestrator.spec.encoder import EncoderSpec
from orchestrator.spec.model import DEFAULTS
from orchestrator.study.joint import PROTOCOL, check_joint, flat_training, made_from
from orchestrator.trial import END_TO_END, Kind, Scalar, Trial

DATA_NAMES = ("dataset", "split", "visual", "text")

Locate = Callable[..., DataRef]


class Resolver:
    """Turns flat configurations into trials; finds each distinct data set and method once.

    Args:
        locate: :func:`dvta.data_ref.locate` without its data root.
        source: ``auto``, ``real`` or ``simulated``.
        skeletons: :func:`dvta.skeleton.splits.load` without its data root.
        feature_folder, weights_file: where an encoder trial's features and weights lie, by its key.
        catalogue: finds a dataset by name.
        splits: the spec's own splits: the unseen classes, by name or id, by the split's name.

    :meth:`trial` fills the attributes; a sweep reads them when it runs what it planned.

    Attributes:
        refs: data digest -> the features a trial reads.
        encoders: key -> the encoder trial others depend on, with its skeletons.
        skeletons: data digest -> the skeletons a trial reads that trains its encoder with the alignment.
        extra_features: key of an encoder trial -> what its readers need beyond pooled and un-pooled features:
            ``masked`` ones, and its ``weights``.
    """

    def __init__(
        self,
        locate: Locate,
        source: str,
        skeletons: Callable[..., SkeletonSplit] | None = None,
        feature_folder: Callable[[str], str] = lambda key: f"features/{key}",
        weights_file: Callable[[str], str] = lambda key: f"models/{key}.pt",
        catalogue: Callable[[str], Dataset] = datasets.get,
        splits: Mapping[str, Sequence[str | int]] | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._own_splits = {name: tuple(unseen) for name, unseen in (splits or {}).items()}
        self._locate, self._source = locate, source
        self._open, self.feature_folder, self.weights_file = skeletons, feature_folder, weights_file
        self.encoders: dict[str, tuple[Trial, SkeletonSplit]] = {}
        self._data: dict[Any, DataRef | DataError] = {}
        self._splits: dict[tuple[str, str, str | None], SkeletonSplit | DataError] = {}
        self._options: dict[Any, tuple[dict[str, Any], frozenset[str]]] = {}
        self.refs: dict[str, DataRef] = {}
        self.skeletons: dict[str, SkeletonSplit] = {}
        self.extra_features: dict[str, frozenset[str]] = {}

    def split_of(self, trial: Trial) -> Split:
        """Return the seen, unseen and validation classes of a trial.

        Raises:
            DvtaError: its dataset or split is gone.
        """
        return self._catalogue(trial.dataset).split(trial.split, self._own_splits.get(trial.split))

    def trial(self, config: Mapping[str, Any], seed: int) -> Trial:
        """Return the trial of a flat configuration.

        Notes its data under :attr:`refs` and, where a sweep trains the encoder of its features, that
        trial under :attr:`encoders` and what it has to write under :attr:`extra_features`.

        Raises:
            DataError: its features or texts are missing.
            OptionError, UnknownNameError: a value is impossible, or a name is unknown.
        """
        full = {**DEFAULTS, **config}
        for name in ("dataset", "split"):
            if name not in full:
                raise OptionError(f"no {name}; name one under defaults, grid or include")
        method = METHODS.facts(full["method"])
        given = method_options(method, full)
        memo = (full["method"], tuple(sorted(given.items(), key=lambda item: item[0])))
        if memo not in self._options:
            check_option_names(method, TrainingConfig)
            options = method.options_class.resolve(given)
            self._options[memo] = (options.canonical(), method.needs(options))
        canonical, needs = self._options[memo]
        if full["evaluate_on"] == "gzsl":
            needs |= {"generalised"}
        if full["evaluate_on"] != "unseen":
            self._check_validation(full["dataset"], full["split"])
        make = self._end_to_end if full["train"] == END_TO_END else self._pre_extracted
        ref, training, encoder = make(full, seed, method, needs)
        return Trial(
            method=full["method"],
            revision=method.revision,
            dataset=full["dataset"],
            split=full["split"],
            visual=str(full["visual"]),
            text=full["text"],
            seed=seed,
            source=ref.source,
            data_digest=ref.digest,
            options=canonical,
            training=training,
            stand_in=dataclasses.asdict(ref.stand_in) if ref.source == "simulated" else {},
            evaluate_on=full["evaluate_on"],
            depends_on=encoder.key if encoder else None,
        )

    def _check_validation(self, dataset: str, name: str) -> None:
        """Refuse a split of which no seen class can be held out."""
        split = self._catalogue(dataset).split(name, self._own_splits.get(name))
        if not split.validation:
            raise DataError(
                f"{dataset} {name}: has {len(split.seen)} seen class, of which none can be held out; "
                "protocol gzsl, validation and search need 2 or more"
            )

    def profile(self, config: Mapping[str, Any]) -> Trial:
        """Return the trial that measures a method's cost; it reads no data and has no seed."""
        method = METHODS.facts(config["method"])
        check_option_names(method, TrainingConfig)
        given = {k: v for k, v in config.items() if k == "preset"}
        return Trial(
            method=config["method"],
            revision=method.revision,
            dataset=config["dataset"],
            split=config["split"],
            visual=config["visual"],
            text=config["text"],
            seed=0,
            source="random",
            data_digest=digest("random input"),
            options=method.options_class.resolve(given).canonical(),
            training={"visual_dim": 256, "text_dim": method.published_text_dim, "candidates": 12},
            kind=Kind.PROFILE,
        )

    def _pre_extracted(
        self, full: Mapping[str, Any], seed: int, method: type[MethodFacts], needs: frozenset[str]
    ) -> tuple[DataRef, dict[str, Scalar], Trial | None]:
        """Return features, training settings and the encoder trial of an alignment on features made beforehand."""
        encoder = trained = None
        if isinstance(full["visual"], EncoderSpec):
            encoder = self._encoder(full, seed)
            _check_encoder_makes(full["visual"], full["method"], needs)
            self._note_extra(encoder, needs & {"masked"})
            trained = self.feature_folder(encoder.key), encoder.key
        return self._find(full, needs, trained), training_settings(method, full), encoder

    def _end_to_end(
        self, full: Mapping[str, Any], seed: int, method: type[MethodFacts], needs: frozenset[str]
    ) -> tuple[DataRef, dict[str, Scalar], Trial | None]:
        """Return texts, training settings and the encoder trial, if it starts from one, of encoder and alignment together."""
        visual = check_joint(full, method, method.options_class.resolve(method_options(method, full)))
        data = self._open_skeletons(full)
        training = flat_training(training_settings(method, full), visual, data)
        encoder = self._encoder(full, seed) if training["init"] == "trained" else None
        if encoder is not None:
            self._note_extra(encoder, frozenset({"weights"}))
        ref = self._find(full, needs, made_from(data))
        self.skeletons[ref.digest] = data
        return ref, training, encoder

    def _note_extra(self, encoder: Trial, extra: frozenset[str]) -> None:
        self.extra_features[encoder.key] = self.extra_features.get(encoder.key, frozenset()) | extra

    def _encoder(self, full: Mapping[str, Any], seed: int) -> Trial:
        """Return the encoder trial whose features a configuration reads."""
        visual: EncoderSpec = full["visual"]
        data = self._open_skeletons(full)
        # tuning must not see the validation classes through the encoder either
        trial = encoder_trial(visual, data, seed, held_out=full["evaluate_on"] == "validation")
        self.encoders.setdefault(trial.key, (trial, data))
        return self.encoders[trial.key][0]

    def _open_skeletons(self, full: Mapping[str, Any]) -> SkeletonSplit:
        """Return the skeletons that an encoder of a configuration is trained on."""
        visual: EncoderSpec = full["visual"]
        split = (full["dataset"], full["split"], visual.protocol)
        if self._open is None or self._source == "simulated":
            raise DataError(
                f"visual {visual.encoder}: encoders are trained on real skeletons, never on simulated ones"
            )
        if split not in self._splits:
            try:
                self._splits[split] = self._open(
                    *split[:2], protocol=visual.protocol, **self._unseen(full["split"])
                )
            except DataError as error:
                self._splits[split] = error
        data = self._splits[split]
        if isinstance(data, DataError):
            raise data
        return data

    def _unseen(self, split: str) -> dict[str, Any]:
        """Return what the readers of data have to be told of a split of the spec."""
        return {"unseen": self._own_splits[split]} if split in self._own_splits else {}

    def _find(
        self, full: Mapping[str, Any], needs: frozenset[str], trained: tuple[str, str] | None
    ) -> DataRef:
        names = tuple(str(full[name]) for name in DATA_NAMES)
        stand_in = {k: v for k, v in full.items() if k in STAND_IN}
        memo = (names, tuple(sorted(stand_in.items())), needs, trained)
        if memo not in self._data:
            try:
                ref = self._locate(
                    *names, source=self._source, stand_in=StandIn(**stand_in), needs=needs, trained=trained,
                    **self._unseen(full["split"]),
                )  # fmt: skip
                self.refs[ref.digest] = ref
                self._data[memo] = ref
            except DataError as error:
                self._data[memo] = error
        found = self._data[memo]
        if isinstance(found, DataError):
            raise found
        return found


def _check_encoder_makes(visual: EncoderSpec, method: str, needs: frozenset[str]) -> None:
    """Refuse what an encoder cannot make.

    Raises:
        DataError: the method needs more than pooled features, and nothing is trained to make them.
    """
    for need in sorted(needs & {"masked", "unpooled"}):
        if not visual.is_trainable:
            raise DataError(f"{method} needs {need} features, which {visual} does not make; train an encoder")


def encoder_trial(visual: EncoderSpec, data: SkeletonSplit, seed: int, *, held_out: bool) -> Trial:
    """Return the trial that trains the encoder; ``held_out`` leaves the validation classes out."""
    encoder = ENCODERS.facts(visual.encoder) if visual.is_trainable else None
    config = visual.config()
    return Trial(
        method=visual.encoder,
        revision=encoder.revision if encoder else KINEMATIC_REVISION,
        dataset=data.dataset,
        split=data.split,
        visual=visual.encoder,
        text="none",
        seed=(seed if visual.seed is None else visual.seed) if encoder else 0,
        source="real",
        data_digest=data.digest,
        options={PROTOCOL: data.protocol, **visual.switches()},
        training=dataclasses.asdict(config) if config else {},
        evaluate_on="validation" if held_out and encoder else "unseen",
        kind=Kind.ENCODER,
    )


def encoder_options(trial: Trial) -> dict[str, Scalar]:
    """Return the encoder's own switches of an encoder trial."""
    return {k: v for k, v in trial.options.items() if k != PROTOCOL}
