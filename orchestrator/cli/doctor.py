"""What is wrong with the surroundings, one line each, with the remedy."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

from dvta import datasets
from dvta.errors import DvtaError
from dvta.text_models import DEFAULT_MODELS, hub_problem, is_cached
from orchestrator import provenance
from orchestrator.cli.common import counted
from orchestrator.execute.cluster import asks_for_token, has_token, unreachable_reason
from orchestrator.mirror import Mirror, without_login
from orchestrator.settings import Settings
from orchestrator.store import Store


def examine(settings: Settings) -> list[tuple[bool, str]]:
    """Return (is good, line) for versions, GPU, Ray address, data root, text models, store and MLflow."""
    import torch

    versions = ", ".join(
        f"{k} {v}" for k, v in provenance.collect().items() if k not in ("git_commit", "host")
    )
    lines = [(sys.version_info >= (3, 11), f"versions: {versions}")]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none, trials run on the CPU"
    lines.append((True, f"GPU: {gpu}; {os.cpu_count()} CPUs"))
    lines.append(_ray())
    found = [name for name in datasets.names(settings.data) if (settings.data / name / "features").is_dir()]
    hint = ", ".join(found) or "no features, experiments use simulated ones; see dvta-orch data list"
    lines.append((True, f"data root {settings.data}: {hint}"))
    lines.append(_text_models())
    store = None
    try:
        store = Store.open(settings.store, create=False)
        lines.append(
            (True, f"store {settings.store.rpartition('@')[2]}: {counted(len(store.studies()), 'study')}")
        )
    except DvtaError as error:
        lines.append(("nothing was run yet" in str(error), str(error)))
    lines.append(_mlflow(settings.mlflow, store))
    return lines


def _text_models() -> tuple[bool, str]:
    """Say which of the usual text models are on this machine, and whether others can be had."""
    usual = [f"sentence-transformers/{datasets.PACKAGED_TEXT}", *DEFAULT_MODELS.values()]
    here = [model for model in usual if is_cached(model)]
    problem = hub_problem()
    others = f"{problem}; other models by their folder: --model FOLDER" if problem else "others from the hub"
    return True, f"text models here: {', '.join(here) or 'none'}; {others}"


def _ray() -> tuple[bool, str]:
    """Look at the cluster this machine would join with ``--address auto``, without joining it."""
    address = os.environ.get("RAY_ADDRESS", "").strip()
    if not address:
        return True, "Ray: no RAY_ADDRESS; sweeps start a cluster here, or name one with --address HOST:PORT"
    if not address.rpartition(":")[2].isdigit():
        return True, f"Ray: RAY_ADDRESS is {address!r}; sweeps with --address auto use it"
    why = unreachable_reason(address)
    if why is not None:
        return False, (
            f"Ray: nothing answers at RAY_ADDRESS {address} ({why}); "
            "start the head with: ray start --head --port=6379, or unset RAY_ADDRESS"
        )
    asks, known = asks_for_token(address), has_token()
    if asks is None:
        return True, f"Ray: {address} answers; whether it asks for a token could not be found out"
    if asks and not known:
        return False, f"Ray: {address} asks for a token: set RAY_AUTH_TOKEN_PATH to the file that holds it"
    if not asks:
        return False, (
            f"Ray: {address} asks for no token: whoever reaches it can run code as its user; "
            "start it with RAY_AUTH_MODE=token, see docs/cluster.md"
        )
    return True, f"Ray: {address} answers and asks for a token, which is here"


def _mlflow(uri: str, store: Store | None) -> tuple[bool, str]:
    """See whether a server answers, and copy to MLflow what is new."""
    shown, remedy = without_login(uri), "start the server, then: dvta-orch mirror"
    if uri.startswith("http"):
        try:
            urllib.request.urlopen(f"{shown}/health", timeout=5).close()
        except urllib.error.HTTPError as error:
            if error.code not in (401, 403):  # one that asks who is there answers
                return False, f"MLflow {shown}: no MLflow server ({error}); {remedy}"
        except (OSError, ValueError) as error:
            return False, f"MLflow {shown}: no server answers ({error}); {remedy}"
    if store is None:
        return True, f"MLflow {shown}: " + (
            "answers" if uri.startswith("http") else "made by the first sweep"
        )
    mirror = Mirror(store, uri)
    try:
        mirror.flush()
        left = mirror.left_elsewhere()
    except DvtaError as error:
        return False, f"{error}; when that is mended: dvta-orch mirror"
    if left:
        return (
            True,
            f"MLflow {shown}: in another one there are {counted(left, 'attempt')}; copy with: dvta-orch mirror",
        )
    return True, f"MLflow {shown}: up to date"
