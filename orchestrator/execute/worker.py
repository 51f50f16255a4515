"""One attempt on one worker: train, checkpoint, report. Knows neither Ray nor the store."""

from __future__ import annotations

import functools
import json
import logging
import math
import os
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch

from dvta import features as feature_sets
from dvta import gzsl, profiling
from dvta.calibration import calibrate
from dvta.encoders import kinematic
from dvta.encoders.extract import feature_arrays, masked_features
from dvta.encoders.training import EncoderFit
from dvta.facts.encoders import KINEMATIC
from dvta.features import FeatureSet
from dvta.methods import METHODS
from dvta.skeleton.splits import SkeletonSplit
from dvta.training import EpochResult, Fit, derived_seed, native_precision
from orchestrator.execute.capture import Log, capturing
from orchestrator.execute.checkpoints import Checkpoints, read_bytes, write, write_array, write_bytes
from orchestrator.execute.failures import failure
from orchestrator.execute.memory import give_back_freed_pages, keep_freed_pages
from orchestrator.execute.model import (
    build_method,
    load_encoder,
    train_encoder,
    train_jointly,
    train_method,
)
from orchestrator.execute.protocol import EncoderPayload, EndToEndPayload, GeneralisedPayload, Job, Report
from orchestrator.records import EpochRow, Outcome
from orchestrator.study.feature_folders import FILES, MEASURED
from orchestrator.trial import Kind, Trial

log = logging.getLogger(__name__)
LoadFeatures = Callable[[str], Any]  # a :data:`orchestrator.execute.protocol.Loaded`


class Run(Protocol):
    """An iterator of epochs that can be continued: :class:`dvta.training.Fit` and its like."""

    config: Any

    def __next__(self) -> EpochResult:
        """Train an epoch."""

    def state(self) -> dict[str, Any]:
        """Return everything a continuation needs."""


class Attempt:
    """A running attempt: call :meth:`step` until its report is the last one.

    Everything that goes wrong in a step becomes the report's :class:`~orchestrator.records.Failure`;
    only the death of the process itself is left to the executor.
    """

    def __init__(self, job: Job, load_features: LoadFeatures) -> None:
        self.job = job
        self.trial = Trial.from_dict(job.trial)
        self._load_features = load_features
        self._checkpoints = Checkpoints(job.checkpoints)
        self._fit: Run | None = None
        self._history: list[EpochRow] = []
        self._reported = 0
        self._seconds = 0.0
        self._saved_at = time.monotonic()
        self._saved_epoch = 0
        self._worker: dict[str, str | int | float] = {}
        self._precision = job.precision
        self._log = Log(job.log, job.log_bytes)

    def step(self) -> Report:
        """Train for at least ``report_seconds`` or to the end, and report."""
        with capturing(self._log):
            try:
                report = self._step()
            except (Exception, SystemExit) as error:  # a user's module may exit: that is its failure
                found = failure(error)
                self._log.write(found.traceback)
                epochs = tuple(self._history[self._reported :])
                report = Report(self.job.attempt_id, epochs, failure=found, worker=self._worker)
        self._reported = len(self._history)
        if self._log.begun:
            report.worker.update(host=platform.node(), log=self.job.log)
        if report.last:
            self._log.close()
        return report

    def save(self) -> None:
        """Write a checkpoint of everything reported so far, unless that one exists."""
        self._log.close()
        if self._fit is None or not self._history or self._saved_epoch == self._history[-1].epoch:
            return
        epoch = self._history[-1].epoch
        history = [[e.epoch, e.time, dict(e.metrics)] for e in self._history]
        self._checkpoints.save(
            epoch, {"fit": self._fit.state(), "history": history, "seconds": self._seconds}
        )
        self._saved_at, self._saved_epoch = time.monotonic(), epoch

    def let_go(self) -> None:
        """End without a checkpoint: what is there is not this worker's any more."""
        self._log.close()

    def _step(self) -> Report:
        new: list[EpochRow] = []
        if self._fit is None:
            new.extend(self._start())
        assert self._fit is not None
        started = time.monotonic()
        while True:
            result = self._next()
            if result is None:
                self._worker["peak_memory_mib"] = _peak_memory()
                outcome = self._outcome()
                self._fit = None
                give_back_freed_pages()
                self._checkpoints.clear()
                return Report(self.job.attempt_id, tuple(new), outcome=outcome, worker=self._worker)
            epoch = EpochRow(result.epoch, time.time(), dict(result.metrics))
            self._seconds += result.seconds
            self._history.append(epoch)
            new.append(epoch)
            if time.monotonic() - self._saved_at >= self.job.checkpoint_seconds:
                self.save()
            if result.epoch < self._fit.config.epochs and (
                time.monotonic() - started >= self.job.report_seconds
            ):
                return Report(self.job.attempt_id, tuple(new), worker=self._worker)

    def _next(self) -> EpochResult | None:
        """Return the next epoch of the run, None after its last."""
        assert self._fit is not None
        return next(self._fit, None)

    def _begin(self) -> str:
        """Take the device, note it, and return its name."""
        torch.set_num_threads(max(1, self.job.threads))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu":
            keep_freed_pages()
        if self._precision == "auto":
            self._precision = native_precision(device)
        self._worker = {
            "host": platform.node(),
            "pid": os.getpid(),
            "device": torch.cuda.get_device_name() if device == "cuda" else (platform.processor() or "cpu"),
            "threads": torch.get_num_threads(),
            "began": time.time(),
            "precision": self._precision,
        }
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._worker["gpu_memory_mib"] = torch.cuda.get_device_properties(0).total_memory / 2**20
        return device

    def _start(self) -> list[EpochRow]:
        device = self._begin()
        for saved in self._checkpoints.newest_first(("fit", "history", "seconds")):
            try:
                self._fit = self._open(device, saved["fit"])
                self._history = [EpochRow(int(e), float(t), m) for e, t, m in saved["history"]]
                self._seconds = float(saved["seconds"])
                self._saved_epoch = self._history[-1].epoch
                break
            except Exception as error:  # what another program wrote fails in many ways
                log.warning(
                    "a checkpoint in %s cannot be used (%s); the one before is", self.job.checkpoints, error
                )
                self._history = []
        else:
            self._fit = self._open(device, None)
        self._saved_at = time.monotonic()
        # the driver may have died before it recorded what the checkpoint covers
        return list(self._history)

    def _open(self, device: str, state: dict[str, Any] | None) -> Run:
        """Return the run, from the beginning or from a checkpoint."""
        raise NotImplementedError

    def _outcome(self) -> Outcome:
        """Return what the finished run measured, after keeping what is to be kept."""
        raise NotImplementedError


class AlignmentAttempt(Attempt):
    """Trains a method on features, or with an encoder on skeletons."""

    _features: FeatureSet
    _fit: Fit | None

    def _open(self, device: str, state: dict[str, Any] | None) -> Fit:
        loaded, held, payload = self._load_features(self.job.features), self.job.hold_out, self.job.payload
        how: dict[str, Any] = {"device": device, "precision": self._precision, "state": state}
        if isinstance(payload, EndToEndPayload):
            loaded.skeletons.verify()
            data = loaded.hold_out(held) if held else loaded
            if payload.workers > 1:
                torch.set_num_threads(max(1, self.job.threads // payload.workers))
                self._worker.update(workers=payload.workers, threads=torch.get_num_threads())
            return train_jointly(self.trial, data, payload.encoder, workers=payload.workers, **how)
        self._features = feature_sets.hold_out(loaded, held) if held else loaded
        return train_method(self.trial, self._features, **how)

    def _generalised(self, run: Fit, device: str) -> dict[str, float]:
        """Return what the method makes of candidates of all classes, by result name."""
        assert isinstance(self.job.payload, GeneralisedPayload)
        return gzsl.evaluate(
            run.method,
            self._features,
            self.job.payload.validation,
            functools.partial(build_method, self.trial, self._features),
            run.config,
            seed=self.trial.seed,
            device=device,
            precision=self._precision,
        ).results()

    def _outcome(self) -> Outcome:
        assert self._fit is not None
        measured = self._fit.outcome()
        results: dict[str, float] = {
            "final_accuracy": measured.final.accuracy,
            "final_batch_accuracy": measured.final.batch_accuracy,
            "final_class_accuracy": measured.final.class_accuracy,
            "best_accuracy": measured.best.batch_accuracy,
            "best_epoch": float(measured.best_epoch),
            **_finite(measured.extra),
        }
        run = self._fit
        # as the last epoch's evaluation was seeded
        seed = derived_seed(self.trial.seed, run.config.epochs, "adapt")
        if (shares := calibrate(run.method, run.measured(), seed=seed)) is not None:
            results |= shares.results()
        if self.trial.evaluate_on == "gzsl":
            results |= self._generalised(run, str(next(run.method.parameters()).device))
        per_class = {
            protocol: {c: (evaluation.correct[c], evaluation.total[c]) for c in evaluation.total}
            for protocol, evaluation in (("final", measured.final), ("best", measured.best))
        }
        if self.job.model:
            write(self.job.model, self._fit.weights())
        return Outcome(results, per_class, self._seconds)


class EncoderAttempt(Attempt):
    """Trains a skeleton encoder on the seen classes and writes the features of all its samples.

    One that is trained already is not trained again: it only writes what is missing.
    """

    _fit: EncoderFit | None

    def _step(self) -> Report:
        results: dict[str, float] | None = None
        if self._fit is None:
            began = time.monotonic()
            payload = self.job.payload
            assert isinstance(payload, EncoderPayload)
            self._folder = payload.folder
            self._needs = frozenset({"unpooled", *payload.extra_features})
            if self.trial.method == KINEMATIC:
                self._begin()
                self._write(kinematic.feature_arrays(self._skeletons()), {})
                results = {}
            elif payload.reuse and (results := self._measured()) is not None:
                self._extend(self._begin(), results)
        if results is None:
            return super()._step()
        outcome = Outcome(results, {}, time.monotonic() - began)
        return Report(self.job.attempt_id, outcome=outcome, worker=self._worker)

    def _open(self, device: str, state: dict[str, Any] | None) -> EncoderFit:
        self._data = self._skeletons()
        return train_encoder(
            self.trial,
            self._data,
            device=device,
            precision=self._precision,
            held_out=self.job.hold_out,
            state=state,
        )

    def _outcome(self) -> Outcome:
        assert self._fit is not None
        accuracy, epoch = self._fit.best
        encoder = self._fit.encoder
        write(self.job.model, encoder.state_dict())
        results = {"best_epoch": float(epoch)}
        if accuracy is not None:
            results |= {"final_accuracy": self._history[-1].metrics["accuracy"], "best_accuracy": accuracy}
        self._write(feature_arrays(self._data, encoder, needs=self._needs, seed=self.trial.seed), results)
        return Outcome(results, {}, self._seconds)

    def _skeletons(self) -> SkeletonSplit:
        data: SkeletonSplit = self._load_features(self.job.features)
        data.verify()
        return data

    def _measured(self) -> dict[str, float] | None:
        """Return what an earlier training measured, None where its features or weights are gone."""
        note = read_bytes(f"{self._folder}/{MEASURED}")
        if note is None or read_bytes(self.job.model) is None:
            return None
        return {name: value for name, value in json.loads(note).items() if name != FILES}

    def _extend(self, device: str, results: Mapping[str, float]) -> None:
        encoder = load_encoder(self.trial, self.job.model)
        assert encoder is not None
        encoder.to(device)
        data = self._skeletons()
        # what others have read already stays as it is
        self._write({"train_masked": masked_features(data.train, encoder, seed=self.trial.seed)}, results)

    def _write(self, arrays: Mapping[str, np.ndarray], results: Mapping[str, float]) -> None:
        note = read_bytes(f"{self._folder}/{MEASURED}")
        digests: dict[str, str] = json.loads(note).get(FILES, {}) if note else {}
        for name, array in arrays.items():
            # un-pooled features are large, and half precision is finer than they are
            content = array.astype(np.float16) if array.ndim == 4 else array
            digests[name] = write_array(f"{self._folder}/{name}.npy", content)
        write_bytes(f"{self._folder}/{MEASURED}", json.dumps({**results, FILES: digests}).encode())


class ProfileAttempt(Attempt):
    """Measures what a method costs on this worker's device; nothing to checkpoint."""

    def _step(self) -> Report:
        began = time.monotonic()
        device = self._begin()
        profile = profiling.profile_published(METHODS.get(self.trial.method), self.trial.options, device)
        results = {
            "parameters": float(profile.parameters),
            "macs_per_pair": float(profile.macs_per_pair),
            "macs_per_sample": float(profile.macs_per_sample),
            "candidates": float(profile.candidates),
            **{f"fps_{size}": fps for size, fps in profile.fps.items()},
        }
        return Report(
            self.job.attempt_id,
            outcome=Outcome(results, {}, time.monotonic() - began),
            worker=self._worker,
        )


KINDS: dict[Kind, type[Attempt]] = {
    Kind.ALIGNMENT: AlignmentAttempt,
    Kind.ENCODER: EncoderAttempt,
    Kind.PROFILE: ProfileAttempt,
}


def start(job: Job, load_features: LoadFeatures) -> Attempt:
    """Return the attempt of a job, by its trial's kind."""
    return KINDS[Kind(job.trial["kind"])](job, load_features)


def _finite(extra: Mapping[str, float]) -> dict[str, float]:
    """Return what a method says of itself in numbers; not every database takes those that are not finite."""
    found = {name: float(value) for name, value in extra.items()}
    for name, value in found.items():
        if not math.isfinite(value):
            log.warning("extra_metrics: %s is %s and is left out", name, value)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _peak_memory() -> float:
    """Return the largest GPU memory the process held, in MiB; 0 without a GPU."""
    return torch.cuda.max_memory_reserved() / 2**20 if torch.cuda.is_available() else 0.0
