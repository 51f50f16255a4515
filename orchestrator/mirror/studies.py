"""What a study is in MLflow: an experiment, and a parent run with its numbers, tables and spec."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import urllib.parse
from typing import Any

from orchestrator.records import StudySummary
from orchestrator.settings import sqlite_path

KIND = {"mlflow.experimentKind": "custom_model_development"}  # the view of models, not of prompts
NOTE = "mlflow.note.content"  # what MLflow shows as a description
MADE = "dvta.made"  # when a parent was made, which its start does not say
NOTE_CHARACTERS = 7500  # MLflow's limit of a tag is 8000


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A study in MLflow; ``used`` where it had runs of attempts when it was first seen here."""

    id: str
    parent: str
    used: bool


class Experiments:
    """The experiments of one MLflow, made where they are missing."""

    def __init__(self, client: Any, uri: str) -> None:
        self._client, self._uri = client, uri
        self._known: dict[str, Experiment] = {}

    def get(self, study: str, began: float | None = None) -> Experiment:
        """Return a study's experiment with its parent run, both made where missing.

        Args:
            began: Unix seconds of the attempt for which it is wanted, the start of a new parent.
        """
        if study not in self._known:
            client = self._client
            found = client.get_experiment_by_name(study)
            experiment = found.experiment_id if found else self._make(study)
            if found and KIND.items() - found.tags.items():
                for name, value in KIND.items():
                    client.set_experiment_tag(experiment, name, value)
            parent = self._oldest(experiment, study)
            if parent is None:
                start = int(began * 1000) if began else None
                tags = {"dvta.study": study, "mlflow.source.name": "dvta-orch", MADE: str(time.time_ns())}
                made = client.create_run(experiment, start, tags, study).info.run_id
                # another mirror may have made one at the same moment
                parent = self._oldest(experiment, study)
                if parent != made:
                    client.delete_run(made)
            used = bool(client.search_runs([experiment], "tags.`dvta.trial` != ''", max_results=1))
            self._known[study] = Experiment(experiment, str(parent), used)
        return self._known[study]

    def forget(self, study: str) -> None:
        """Look a study up anew the next time."""
        self._known.pop(study, None)

    def restore(self, study: str) -> bool:
        """Restore an experiment that was deleted in MLflow; return whether it was."""
        found = self._client.get_experiment_by_name(study)
        if found is None or found.lifecycle_stage != "deleted":
            return False
        self._client.restore_experiment(found.experiment_id)
        return True

    def describe(self, study: str, summary: StudySummary) -> None:
        """Write the numbers, the description, the tables and the spec of a study to its parent run."""
        from mlflow.entities import Metric, RunTag

        client, experiment = self._client, self.get(study)
        note = summary.description
        if len(note) > NOTE_CHARACTERS:
            note = note[:NOTE_CHARACTERS].rpartition("\n")[0] + "\n\nthe rest is among the artifacts"
        client.set_experiment_tag(experiment.id, NOTE, note)
        when = int(summary.ended * 1000)
        metrics = [Metric(name, value, when, 0) for name, value in summary.metrics.items()]
        client.log_batch(experiment.parent, metrics, [], [RunTag(NOTE, note)])
        for name, text in summary.files.items():
            client.log_text(experiment.parent, text, name)
        if summary.finished:
            status = "FAILED" if summary.metrics.get("trials_failed") else "FINISHED"
            client.set_terminated(experiment.parent, status=status, end_time=when)

    def _make(self, study: str) -> str:
        """Make an experiment; what is kept of it lies beside MLflow's file, not where a command is called."""
        path = sqlite_path(self._uri)
        place = None
        if path is not None:
            folder = path.absolute().parent / "mlflow-artifacts" / urllib.parse.quote(study, safe="")
            place = folder.as_uri()
        with contextlib.suppress(Exception):  # another mirror may have made it at the same moment
            return str(self._client.create_experiment(study, artifact_location=place, tags=KIND))
        return str(self._client.get_experiment_by_name(study).experiment_id)

    def _oldest(self, experiment: str, study: str) -> str | None:
        runs = self._client.search_runs([experiment], f"tags.`dvta.study` = '{study}'")
        return min(((int(r.data.tags.get(MADE, 0)), r.info.run_id) for r in runs), default=(0, None))[1]
