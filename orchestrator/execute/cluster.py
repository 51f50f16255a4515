"""What is asked of a Ray cluster, where it is, and whether anything answers there. Knows no Ray."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dvta.errors import DvtaError

SECONDS = 5.0


class ClusterError(DvtaError):
    """The Ray cluster cannot be reached or cannot run a trial."""


def resolve_address(address: str) -> str:
    """Return what ``--address`` means: ``auto`` is ``RAY_ADDRESS`` where that is set."""
    return (address == "auto" and os.environ.get("RAY_ADDRESS", "").strip()) or address


def unreachable_reason(address: str) -> str | None:
    """Return why nothing answers at ``HOST:PORT``, or None where something does."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return "not of the form HOST:PORT"
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def has_token() -> bool:
    """Whether Ray finds a token here for a cluster that asks for one."""
    named = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return named or (Path.home() / ".ray" / "auth_token").is_file()


def token_mode() -> dict[str, str]:
    """Return the variable of Ray's token mode where there is a token; read when Ray is imported."""
    return {"RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token")} if has_token() else {}


def asks_for_token(address: str) -> bool | None:
    """Return whether the cluster at ``HOST:PORT`` turns away who has no token, None if unknown."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    command = [sys.executable, "-m", "ray.scripts.scripts", "status", f"--address={address}"]
    with tempfile.TemporaryDirectory() as empty:  # a home without ~/.ray/auth_token
        environment |= {"RAY_AUTH_MODE": "disabled", "HOME": empty}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
        except subprocess.TimeoutExpired:
            return None
    if done.returncode == 0:
        return False
    return True if "AuthToken" in done.stderr + done.stdout else None


def no_cluster_error(address: str, why: str) -> ClusterError:
    """Return the error that no cluster answers at an ``--address``."""
    return ClusterError(
        f"--address {address}: no Ray cluster answers there ({why}); "
        "allowed: local (start one here), auto (the one this machine belongs to), HOST:PORT; "
        "start one with: ray start --head"
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Ray's and Tune's own loggers for a while; warnings about real trouble are ours."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune", "ray.air")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
