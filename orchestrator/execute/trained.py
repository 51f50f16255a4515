"""A trial that was run, loaded again: its features, its trained method, and what it says of a recording."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dvta import datasets, features
from dvta.arrays import read
from dvta.calibration import fitted_temperature
from dvta.data_ref import DataRef, locate
from dvta.datasets.stand_in import StandIn
from dvta.encoders.base import SkeletonEncoder
from dvta.encoders.extract import segments
from dvta.errors import DataError, OptionError
from dvta.facts.encoders import KINEMATIC
from dvta.features import ClassText, FeatureSet
from dvta.joint_data import JointData
from dvta.methods import METHODS, Method
from dvta.predict import Ranked, rank
from dvta.skeleton.motion import Reading
from dvta.skeleton.read import read_any
from dvta.skeleton.sequences import is_sequence_file
from dvta.skeleton.splits import SkeletonSplit, recipe_name
from dvta.skeleton.splits import load as load_skeletons
from dvta.training import Fit, derived_seed
from orchestrator.execute.checkpoints import write
from orchestrator.execute.model import (
    fill_jointly,
    fill_method,
    load_encoder,
    read_weights,
    train_jointly,
    train_method,
)
from orchestrator.execute.phrases import Phrases
from orchestrator.settings import Settings
from orchestrator.store import Store
from orchestrator.study.feature_folders import bind, folder_of, weights_of
from orchestrator.study.joint import PROTOCOL, made_from, read_joint
from orchestrator.trial import Kind, State, Trial


class TrainedTrial:
    """An alignment trial that was run: its features and its trained method, ready to rank phrases.

    Attributes:
        trial, features, method: the trial, what it read, and its trained method.
        encoder_trial: the trial that trained the encoder of its features, where a sweep did.
        weights: whether they are the attempt's own, and what they reach where they are not.

    Args:
        trial: an alignment trial that was run.
        settings: where data, runs and weights lie.
        say: is told when the trial has to be trained again because its weights were not kept, and
            how a recording was read.
        encoder: the trial that trained the encoder of its features, where a sweep did.
        own_splits: what specs have called a split of the trial's name: unseen classes by name or id.
        worker: what the worker of the trial's attempt said of itself: precision, threads, device.
        accuracy: what is stored, as a fraction; weights that were trained again are held against it.

    Raises:
        DataError: its data are gone or have changed, or the trial trains no alignment.
    """

    def __init__(
        self,
        trial: Trial,
        settings: Settings,
        say: Callable[[str], None] = lambda line: None,
        *,
        encoder: Trial | None = None,
        own_splits: Sequence[tuple[str | int, ...]] = (),
        worker: Mapping[str, Any] = types.MappingProxyType({}),
        accuracy: float | None = None,
    ) -> None:
        if trial.kind is not Kind.ALIGNMENT:
            raise DataError(f"trial {trial.key[:10]} is of kind {trial.kind}; allowed: alignment")
        self.trial, self._settings, self.encoder_trial = trial, settings, encoder
        self._say, self._worker, self._stored = say, worker, accuracy
        self._own_encoder: SkeletonEncoder | None = None
        self.weights = "weights kept by the sweep"
        self._dataset = datasets.get(trial.dataset, settings.data)
        self._loaded = self._load(own_splits)
        self.features, self.method = self._trained(say)

    def rank(
        self,
        path: Path,
        phrases: Sequence[str],
        contexts: Sequence[str],
        model: str | None,
        how: Reading | None = None,
        temperature: float = 1.0,
    ) -> tuple[list[Ranked], int]:
        """Return the ranked phrases and the number of windows or samples they were scored on.

        Args:
            path: a recording (NTU, PKU-MMD, BVH, AMC), a position array (N, 3, 50, 25, M) or a
                feature array (N, Dv).
            phrases: any words, classes or not. contexts: a sentence for each.
            model: name or folder of the text model that made the trial's text features; needed where a phrase is
                no class and was not encoded earlier.
            how: joint map, unit and frame rate of a BVH or AMC recording; found in it without.
            temperature: of the softmax of the shares.

        Raises:
            DataError: the file, the encoder's weights or the text model do not fit the trial.
        """
        visual = self.visual(path, how or Reading())
        text = self.text(phrases, contexts, model)
        found = rank(self.method, visual, text, phrases, seed=self.trial.seed, temperature=temperature)
        return found, len(visual)

    def text(self, phrases: Sequence[str], contexts: Sequence[str], model: str | None) -> ClassText:
        """Return the texts of phrases; see :class:`orchestrator.execute.phrases.Phrases`."""
        return Phrases(self._settings, self.trial, model).text(phrases, contexts, self.features.class_text)

    def adapt(self, text: ClassText) -> None:
        """Fit what the method needs to score these texts."""
        self.method.eval()
        self.method.adapt(text, torch.Generator().manual_seed(self.trial.seed))

    @functools.cached_property
    def temperature(self) -> float | None:
        """Of the softmax, fitted on test samples of seen classes; None where there are none."""
        seed = derived_seed(self.trial.seed, self.trial.training["epochs"], "adapt")
        return fitted_temperature(self.method, self.features, seed=seed)

    @property
    def protocol(self) -> str | None:
        """Of the skeletons its encoder was trained on, None without an encoder."""
        if self.trial.is_end_to_end:
            return read_joint(self.trial.visual, self.trial.training).protocol
        return str(self.encoder_trial.options[PROTOCOL]) if self.encoder_trial else None

    @property
    def recipe(self) -> str | None:
        """By which recipe the encoder's skeletons were prepared, None without an encoder."""
        return None if self.protocol is None else recipe_name(self.protocol)

    @property
    def skeletons(self) -> SkeletonSplit | None:
        """What an end-to-end trial was trained and measured on; None for one on features made beforehand."""
        return self._loaded.skeletons if isinstance(self._loaded, JointData) else None

    def prepared(self) -> SkeletonSplit:
        """Return the prepared skeletons of the trial's split, of its encoder's protocol where it has one.

        Raises:
            DataError: none are prepared.
        """
        of = self.trial.dataset, self.trial.split
        return load_skeletons(self._settings.data, *of, protocol=self.protocol, unseen=self._unseen)

    def encode(self, skeletons: Tensor) -> Tensor:
        """Return the features of network input (N, 3, T, 25, M), (N, Dv), or un-pooled ones where the method reads those."""
        encoder = self.encoder
        assert encoder is not None
        with torch.inference_mode():
            maps = encoder.feature_map(skeletons)
        return segments(maps).clone() if self.features.train.ndim == 4 else maps.mean((1, 2)).clone()

    @functools.cached_property
    def encoder(self) -> SkeletonEncoder | None:
        """The network that made the trial's features, None where no sweep trained it."""
        if self._own_encoder is not None:
            return self._own_encoder
        trained = self.encoder_trial
        if trained is None:
            return None
        encoder = load_encoder(trained, weights_of(self._settings.runs, trained.key))
        return None if encoder is None else encoder.eval()

    def need_encoder(self, what: str) -> SkeletonEncoder:
        """Return the encoder.

        Raises:
            DataError: the trial has none; ``what`` begins the message.
        """
        if self.encoder is None:
            visual, made_by = self.trial.visual, self.encoder_trial
            if made_by is None:
                why = f"{visual} of this trial was not trained by a sweep"
            elif made_by.method == KINEMATIC:
                why = f"{visual} is none: its features are made of all samples of a split at once"
            else:
                why = f"there is no file {weights_of(self._settings.runs, made_by.key)}"
            raise DataError(
                f"{what}: a skeleton needs the network that made the trial's features, and {why}; allowed: a feature "
                f"array (N, {self.features.visual_dim}), or a trial with visual: {{encoder: st_gcn}} or another network"
            )
        return self.encoder

    def visual(self, path: Path, how: Reading) -> Tensor:
        """Return the features of a file's windows or samples; see :meth:`rank`.

        Raises:
            DataError: the file or the encoder's weights do not fit the trial.
        """
        found, encoded = self.read(path, how)
        return found if encoded else self.encode(found)

    def read(self, path: Path, how: Reading, say: Callable[[str], None] | None = None) -> tuple[Tensor, bool]:
        """Return a file's network input (N, 3, T, 25, M), or its features, and whether it is features.

        ``say`` is told how a recording was read, instead of the trial's own.

        Raises:
            DataError: the file does not fit the trial.
        """
        if path.suffix == ".npy" and not is_sequence_file(path):
            if how != Reading():
                raise OptionError(
                    f"{path}: joint map, unit, frame rate and first frame are options of .bvh and .amc only"
                )
            visual = torch.from_numpy(read(path, "float", self.features.train.ndim))
            if visual.shape[1:] != self.features.train.shape[1:]:
                raise DataError(
                    f"{path}: rows of shape {tuple(visual.shape[1:])}, allowed: {tuple(self.features.train.shape[1:])}"
                )
            return visual, True
        self.need_encoder(str(path))
        return torch.from_numpy(read_any(path, self.recipe, how, say or self._say)), False

    # --- inside --------------------------------------------------------------------------------

    def _load(self, own_splits: Sequence[tuple[str | int, ...]]) -> FeatureSet | JointData:
        trial = self.trial
        self._unseen, (ref, skeletons) = self._found(own_splits)
        if ref.digest != trial.data_digest:
            raise DataError(
                f"trial {trial.key[:10]}: its data have changed since it ran (digest {ref.digest[:10]} now, "
                f"{trial.data_digest[:10]} then); sweep again"
            )
        held = (
            self._dataset.split(trial.split, self._unseen).validation
            if trial.evaluate_on == "validation"
            else ()
        )
        if skeletons is not None:
            data = JointData.of(skeletons, ref)
            return data.hold_out(held) if held else data
        if trial.depends_on:
            ref = bind(ref, folder_of(self._settings.runs, trial.depends_on))
        loaded = ref.load()
        return features.hold_out(loaded, held) if held else loaded

    def _found(
        self, own_splits: Sequence[tuple[str | int, ...]]
    ) -> tuple[tuple[str | int, ...] | None, tuple[DataRef, SkeletonSplit | None]]:
        """Return the classes of the trial's split, None where the dataset knows them, and its data."""
        if self.trial.split in self._dataset.splits or not own_splits:
            return None, self._locate(None)
        for unseen in own_splits:
            # one name may stand for classes of other data sets too
            with contextlib.suppress(DataError):
                found = self._locate(unseen)
                if found[0].digest == self.trial.data_digest:
                    return unseen, found
        return own_splits[0], self._locate(own_splits[0])

    def _locate(self, unseen: tuple[str | int, ...] | None) -> tuple[DataRef, SkeletonSplit | None]:
        trial, settings = self.trial, self._settings
        skeletons = None
        if trial.is_end_to_end:
            skeletons = load_skeletons(
                settings.data, trial.dataset, trial.split, protocol=self.protocol, unseen=unseen
            )
        method = METHODS.get(trial.method)
        needs = method.needs(method.options_class.resolve(dict(trial.options)))
        trained = None
        if skeletons is not None:
            trained = made_from(skeletons)
        elif trial.depends_on:
            trained = folder_of(settings.runs, trial.depends_on), trial.depends_on
        ref = locate(
            settings.data,
            trial.dataset,
            trial.split,
            trial.visual,
            trial.text,
            source=trial.source,
            stand_in=StandIn(**trial.stand_in) if trial.stand_in else None,  # type: ignore[arg-type]
            needs=needs | ({"generalised"} if trial.evaluate_on == "gzsl" else set()),
            trained=trained,
            unseen=unseen,
        )
        return ref, skeletons

    def _trained(self, say: Callable[[str], None]) -> tuple[FeatureSet, Method]:
        trial = self.trial
        kept = weights_of(self._settings.runs, trial.key)
        if (weights := read_weights(kept)) is not None:
            return self._filled(weights, kept)
        # weights that are not the attempt's own never take their place
        path = f"{self._settings.runs}/models/{trial.key}.again.pt"
        again = read_weights(path)
        if again is None:
            epochs = trial.training["epochs"]
            say(
                f"the weights of trial {trial.key[:10]} were not kept (checkpoint.models); "
                f"training {epochs} epochs again"
            )
            again = self._train_again()
            write(path, again)
        if "accuracy" not in again:
            raise DataError(f"{path}: no accuracy beside the weights; move the file away")
        accuracy = float(again.pop("accuracy"))
        filled = self._filled(again, path)
        stored = self._stored
        if stored is not None and abs(accuracy - stored) < 1e-9:
            self.weights = f"weights trained again, with the stored accuracy of {100 * stored:.2f} %"
        else:
            was = "an unknown one" if stored is None else f"{100 * stored:.2f} %"
            self.weights = f"NOT the stored weights: trained again, with an accuracy of {100 * accuracy:.2f} % instead of {was}"
        return filled

    def _filled(self, weights: Mapping[str, Tensor], path: str) -> tuple[FeatureSet, Method]:
        """Return features and method with these weights; an end-to-end trial's encoder makes the features."""
        if not isinstance(self._loaded, JointData):
            return self._loaded, fill_method(self.trial, self._loaded, weights, path)
        encoder, method = fill_jointly(self.trial, self._loaded, weights, path)
        self._own_encoder = encoder.eval()
        return self._loaded.encoded(encoder), method

    def _train_again(self) -> dict[str, Tensor]:
        """Train as the attempt did, in its precision and threads, on a GPU if it did and there is one."""
        worker = self._worker
        torch.set_num_threads(int(worker.get("threads") or torch.get_num_threads()))
        on_gpu = "gpu_memory_mib" in worker and torch.cuda.is_available()
        precision = str(worker.get("precision") or "fp32")
        how: dict[str, Any] = {"device": "cuda" if on_gpu else "cpu", "precision": precision}
        if isinstance(self._loaded, JointData):
            needed = self.trial.depends_on
            start = weights_of(self._settings.runs, needed) if needed else ""
            run: Fit = train_jointly(self.trial, self._loaded, start, **how)
        else:
            run = train_method(self.trial, self._loaded, **how)
        for _ in run:
            pass
        weights = {name: value.cpu() for name, value in run.weights().items()}
        return {**weights, "accuracy": torch.tensor(run.outcome().final.accuracy, dtype=torch.float64)}


def load_trained(
    store: Store, settings: Settings, trial: Trial, say: Callable[[str], None] = lambda line: None
) -> TrainedTrial:
    """Return a stored trial with its weights, held against what the store says of it."""
    done = [a for a in store.attempts([trial.key]) if a.state == State.DONE]
    return TrainedTrial(
        trial,
        settings,
        say,
        encoder=store.trial(trial.depends_on) if trial.depends_on and not trial.is_end_to_end else None,
        own_splits=store.own_splits(trial.split),
        worker=done[-1].worker if done else {},
        accuracy=store.results([trial.key]).get(trial.key, {}).get("final_accuracy"),
    )
