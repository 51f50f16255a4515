"""Joining a Ray cluster, or starting one that only this process and its workers can talk to."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.execute.cluster import (
    ClusterError,
    no_cluster_error,
    quiet,
    resolve_address,
    token_mode,
    unreachable_reason,
)

os.environ.update(token_mode())
# read by the workers, which inherit it
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"

import ray

from orchestrator.spec.model import Resources

IMPORTED = ("orchestrator.execute.ray_tune", "dvta.features")  # while Ray starts


@contextlib.contextmanager
def joined(address: str, resources: Resources) -> Iterator[None]:
    """Join a cluster, or start one here, for so long; what takes long to import is imported meanwhile.

    Raises:
        ClusterError: it cannot be reached, or no node can ever hold a trial.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    threading.Thread(target=_import, args=IMPORTED, daemon=True).start()
    try:
        connect(address)
    except SystemExit:  # Ray's own answer to SIGTERM
        raise KeyboardInterrupt from None
    if threading.current_thread() is threading.main_thread():
        # Ray exits at SIGTERM; the driver's own handler stops in good order
        for number, handler in handlers.items():
            signal.signal(number, handler)
    try:
        if resources.gpus_per_trial == "auto":
            resources = with_whole_gpu(resources)
        check_resources(resources)
        yield
    finally:
        disconnect()


def _import(*modules: str) -> None:
    for module in modules:
        with contextlib.suppress(ImportError):  # whoever needs it says what is wrong
            importlib.import_module(module)


def connect(address: str) -> None:
    """Join the cluster at ``address`` (``auto``, ``HOST:PORT``) or start one here (``local``).

    A cluster started here asks everybody for a token that was made for it. Another's token is found by
    Ray: ``RAY_AUTH_TOKEN_PATH``, ``RAY_AUTH_TOKEN`` or ``~/.ray/auth_token``.

    Raises:
        ClusterError: nothing answers there.
    """
    target = resolve_address(address)
    # Ray itself would wait for minutes
    why = None if target in ("local", "auto") else unreachable_reason(target)
    if why is not None:
        raise no_cluster_error(address, why)
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "configure_logging": True,
    }
    if address == "local":
        _ask_for_own_token()
        # what else the machine is doing must not cost a trial its worker
        os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")
        options.update(include_dashboard=False, num_cpus=os.cpu_count())
    else:
        import dvta
        import orchestrator

        # nodes that lack the packages get the driver's
        options["runtime_env"] = {"py_modules": [dvta, orchestrator]}
    with quiet():
        try:
            ray.init(address=address, **options)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise no_cluster_error(address, str(error).splitlines()[0]) from error


def disconnect() -> None:
    """Leave the cluster; one that was started here ends."""
    ray.shutdown()


def with_whole_gpu(resources: Resources) -> Resources:
    """Return resources with a GPU for every trial, without any where the cluster has none."""
    has_gpu = any(node["Resources"].get("GPU") for node in ray.nodes() if node["Alive"])
    return resources.model_copy(update={"gpus_per_trial": float(has_gpu)})


def slots(resources: Resources) -> int:
    """Return how many trials fit the cluster now, at least 1."""
    have = ray.cluster_resources()
    fits = have.get("CPU", 1.0) / max(resources.cpus_per_trial, 1e-3)
    if resources.gpus_per_trial:
        fits = min(fits, have.get("GPU", 0.0) / float(resources.gpus_per_trial))
    return max(1, min(int(fits), resources.max_concurrent or 10_000))


def check_resources(resources: Resources) -> None:
    """Refuse what no node of the cluster can ever hold.

    Raises:
        ClusterError: a trial asks for more than the largest node has.
    """
    asked = {"CPU": resources.cpus_per_trial, "GPU": float(resources.gpus_per_trial)}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(kind, 0.0) >= want for kind, want in asked.items()) for node in nodes):
        return
    best = {kind: max((node.get(kind, 0.0) for node in nodes), default=0.0) for kind in asked}
    raise ClusterError(
        f"resources: a trial asks for {asked['CPU']:g} CPUs and {asked['GPU']:g} GPUs, "
        f"but no node has both; the largest node has {best['CPU']:g} CPUs and {best['GPU']:g} GPUs"
    )


def _ask_for_own_token() -> None:
    """Make the cluster that is started next ask for this process's token.

    Ray reads a token mode only when it is imported, but turns it on by itself for a cluster that it
    starts where the environment names no mode. Its processes find the token by the file's path.
    """
    for variable in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        os.environ.pop(variable, None)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(_own_token())


@functools.cache
def _own_token() -> Path:
    """Write a random token to a file that only this user reads; gone when the process ends.

    One for a process, whatever it starts: Ray keeps the first that it read.
    """
    folder = Path(tempfile.mkdtemp(prefix="dvta-orch-token-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "token"
    with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(secrets.token_hex(32))
    return path
