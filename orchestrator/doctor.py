"""What is wrong with the surroundings, one line each, with the remedy."""

from __future__ import annotations

import os
import sys
import urllib.request

from dvta import datasets
from dvta.errors import DvtaError
from orchestrator import provenance
from orchestrator.execute.cluster import silence
from orchestrator.mirror import Mirror
from orchestrator.settings import Settings
from orchestrator.store import Store


def examine(settings: Settings) -> list[tuple[bool, str]]:
    """Return (is good, line) for versions, GPU, Ray address, data root, store and MLflow."""
    import torch

    versions = ", ".join(
        f"{k} {v}" for k, v in provenance.collect().items() if k not in ("git_commit", "host")
    )
    lines = [(sys.version_info >= (3, 11), f"versions: {versions}")]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none, trials run on the CPU"
    lines.append((True, f"GPU: {gpu}; {os.cpu_count()} CPUs"))
    lines.append(_ray())
    found = [name for name in datasets.names() if (settings.data / name / "features").is_dir()]
    hint = ", ".join(found) or "no features, experiments use simulated ones; see dvta-orch data list"
    lines.append((True, f"data root {settings.data}: {hint}"))
    store = None
    try:
        store = Store.open(settings.store, create=False)
        lines.append((True, f"store {settings.store.rpartition('@')[2]}: {len(store.studies())} studies"))
    except DvtaError as error:
        lines.append(("nothing was run yet" in str(error), str(error)))
    lines.append(_mlflow(settings.mlflow, store))
    return lines


def _ray() -> tuple[bool, str]:
    """Look at the cluster this machine would join with ``--address auto``, without joining it."""
    address = os.environ.get("RAY_ADDRESS", "").strip()
    if not address:
        return True, "Ray: no RAY_ADDRESS; sweeps start a cluster here, or name one with --address HOST:PORT"
    if not address.rpartition(":")[2].isdigit():
        return True, f"Ray: RAY_ADDRESS is {address!r}; sweeps with --address auto use it"
    why = silence(address)
    if why is not None:
        return False, (
            f"Ray: nothing answers at RAY_ADDRESS {address} ({why}); "
            "start the head with: ray start --head --port=6379, or unset RAY_ADDRESS"
        )
    known = any(os.environ.get(n) for n in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    token = (
        "with a token" if known else "without a token: set RAY_AUTH_TOKEN_PATH where the cluster asks for one"
    )
    return True, f"Ray: {address} answers, {token}"


def _mlflow(uri: str, store: Store | None) -> tuple[bool, str]:
    """Copy what is new to MLflow; without a store, see whether a server answers."""
    remedy = "start the server, then: dvta-orch mirror"
    if store is None:
        if not uri.startswith("http"):
            return True, f"MLflow {uri}: made by the first sweep"
        try:
            urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5).close()
        except OSError as error:
            return False, f"MLflow {uri}: no server answers ({error}); {remedy}"
        return True, f"MLflow {uri}: answers"
    try:
        Mirror(store, uri).flush()
    except DvtaError as error:
        return False, f"{error}; {remedy}"
    return True, f"MLflow {uri}: up to date"
