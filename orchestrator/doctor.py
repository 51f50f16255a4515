"""What is wrong with the surroundings, one line each, with the remedy."""

from __future__ import annotations

import os
import sys

from dvta import datasets
from dvta.errors import DvtaError
from orchestrator import provenance
from orchestrator.mirror import Mirror
from orchestrator.settings import Settings
from orchestrator.store import Store


def examine(settings: Settings) -> list[tuple[bool, str]]:
    """Return (is good, line) for versions, GPU, data root, store and MLflow."""
    import torch

    versions = ", ".join(
        f"{k} {v}" for k, v in provenance.collect().items() if k not in ("git_commit", "host")
    )
    lines = [(sys.version_info >= (3, 11), f"versions: {versions}")]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none, trials run on the CPU"
    lines.append((True, f"GPU: {gpu}; {os.cpu_count()} CPUs"))
    found = [name for name in datasets.names() if (settings.data / name / "features").is_dir()]
    hint = ", ".join(found) or "no features, experiments use simulated ones; see dvta-orch data list"
    lines.append((True, f"data root {settings.data}: {hint}"))
    store = None
    try:
        store = Store.open(settings.store, create=False)
        lines.append((True, f"store {settings.store.rpartition('@')[2]}: {len(store.studies())} studies"))
    except DvtaError as error:
        lines.append(("nothing was run yet" in str(error), str(error)))
    if store is not None:
        try:
            Mirror(store, settings.mlflow).flush()
            lines.append((True, f"MLflow {settings.mlflow}: up to date"))
        except DvtaError as error:
            lines.append((False, f"{error}; start the server, then: dvta-orch mirror"))
    return lines
