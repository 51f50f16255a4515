"""What passes between the driver and a worker: jobs out, reports back. Plain data only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from dvta.skeleton.splits import SkeletonSplit
from orchestrator.records import EpochRow, Failure, Outcome, Wait
from orchestrator.trial import Trial

if TYPE_CHECKING:
    from dvta.features import FeatureSet
    from dvta.joint_data import JointData

#: what a trial reads: features; skeletons, where it trains an encoder; with texts, where it trains both
Loaded: TypeAlias = "FeatureSet | SkeletonSplit | JointData"


@dataclasses.dataclass(frozen=True, slots=True)
class EncoderPayload:
    """Where a trained encoder's features go.

    Attributes:
        folder: a path or an fsspec URL.
        extra_features: what is written beyond pooled and un-pooled features (``masked``).
        reuse: an encoder that is trained already only writes what is missing.
    """

    folder: str
    extra_features: tuple[str, ...] = ()
    reuse: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class GeneralisedPayload:
    """The seen classes that stand for unseen ones while the gate of a generalised trial is fitted."""

    validation: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class EndToEndPayload:
    """How an end-to-end trial is trained.

    Attributes:
        encoder: where the weights lie that its encoder starts from; empty: from scratch.
        workers: processes that share in every batch.
    """

    encoder: str = ""
    workers: int = 1


Payload = EncoderPayload | GeneralisedPayload | EndToEndPayload | None


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One attempt a worker has to carry on until it ends.

    Attributes:
        attempt_id: the attempt in the store.
        trial: :meth:`orchestrator.trial.Trial.to_dict`.
        features: digest under which the executor finds the features; empty where none are read.
        hold_out: class ids to hold out of the training classes; empty for the real test classes.
        checkpoints: folder of the attempt's checkpoints (a path or an fsspec URL).
        checkpoint_seconds: least time between two checkpoints; 0 saves after every epoch.
        report_seconds: least training time between two reports; 0 reports every epoch.
        threads: CPU threads PyTorch may use.
        model: where to write the trained weights at the end, or empty.
        precision: ``fp32``, ``bf16``, or ``auto``: bf16 where the device has its products; provenance, not
            identity.
        log: where what it prints goes (a path or an fsspec URL), at most ``log_bytes`` of it.
        payload: what the worker has to know beside the trial; None for most.
    """

    attempt_id: int
    trial: Mapping[str, Any]
    features: str
    checkpoints: str
    hold_out: tuple[int, ...] = ()
    checkpoint_seconds: float = 30.0
    report_seconds: float = 1.0
    threads: int = 1
    model: str = ""
    precision: str = "fp32"
    log: str = ""
    log_bytes: int = 0
    payload: Payload = None


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """News of one attempt; the last report carries an outcome or a failure."""

    attempt_id: int
    epochs: tuple[EpochRow, ...] = ()
    outcome: Outcome | None = None
    failure: Failure | None = None
    worker: dict[str, str | int | float] = dataclasses.field(default_factory=dict)

    @property
    def last(self) -> bool:
        """Whether the attempt ended."""
        return self.outcome is not None or self.failure is not None


class Jobs(Protocol):
    """The driver as an executor sees it."""

    def next_trials(self, workers: int = 1, device: str = "cpu") -> tuple[Trial, ...] | Wait | None:
        """Return what one worker does next, ``Wait`` when nothing is ready yet, or None at the end.

        Several trials are to be trained as one model. None is claimed: each has to be, by :meth:`claim`,
        once there is a worker for it.

        Args:
            workers: how many share the trials there are.
            device: type of the workers' devices, ``cpu`` or ``cuda``.
        """

    def claim(self, trial: Trial) -> Job | None:
        """Return the job of a trial that was handed out, None where another driver has it by now."""

    def features(self, digest: str) -> Loaded:
        """Return what trials of that digest read."""

    def on_report(self, report: Report) -> bool:
        """Take a report; return whether the attempt should stop now."""

    def on_worker_lost(self, attempt_id: int, error: str, final: bool) -> None:
        """Note that a worker died; ``final`` when it will not be started again."""

    @property
    def stopping(self) -> bool:
        """Whether everything should stop and stay resumable."""


class Executor(Protocol):
    """Carries jobs out until there are none left."""

    def run(self, jobs: Jobs, *, alone: bool = False) -> None:
        """Carry out every job of ``jobs``; returns when there are none or ``jobs.stopping``.

        ``alone`` gives every job a whole device, one after the other.
        """
