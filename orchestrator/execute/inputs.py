"""What a planned trial reads, and what its worker has to know beside it."""

from __future__ import annotations

from orchestrator.execute.protocol import EncoderPayload, EndToEndPayload, GeneralisedPayload, Loaded, Payload
from orchestrator.study import feature_folders
from orchestrator.study.resolve import Resolver
from orchestrator.trial import Kind, Trial


class Inputs:
    """The inputs of a study's trials, found by the resolver that made them.

    Args:
        retrain: train encoders anew; else one that is trained already only writes what is missing.
        workers: processes that train one end-to-end trial.
    """

    def __init__(self, resolver: Resolver, *, retrain: bool = False, workers: int = 1) -> None:
        self._resolver, self._retrain, self._workers = resolver, retrain, workers

    def load(self, trial: Trial) -> Loaded:
        """Return what a trial reads.

        Raises:
            DataError: they are gone or damaged.
        """
        resolver = self._resolver
        if trial.kind is Kind.ENCODER:
            return resolver.encoders[trial.key][1]
        ref = resolver.refs[trial.data_digest]
        if trial.is_end_to_end:
            from dvta.joint_data import JointData

            return JointData.of(resolver.skeletons[trial.data_digest], ref)
        if trial.depends_on is not None:
            ref = feature_folders.bind(ref, resolver.feature_folder(trial.depends_on))
        return ref.load()

    def held_out(self, trial: Trial) -> tuple[int, ...]:
        """Return the class ids that are held out of the seen ones; empty for the real test classes."""
        if trial.evaluate_on != "validation":
            return ()
        return self._resolver.split_of(trial).validation

    def payload(self, trial: Trial) -> Payload:
        """Return what the worker has to know of a trial of its kind."""
        if trial.kind is Kind.ENCODER:
            return EncoderPayload(
                folder=self._resolver.feature_folder(trial.key),
                extra_features=tuple(sorted(self._resolver.extra_features.get(trial.key, ()))),
                reuse=not self._retrain,
            )
        if trial.is_end_to_end:
            start = self._resolver.weights_file(trial.depends_on) if trial.depends_on else ""
            return EndToEndPayload(start, self._workers)
        if trial.evaluate_on == "gzsl":
            return GeneralisedPayload(self._resolver.split_of(trial).validation)
        return None
