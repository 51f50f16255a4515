"""What is asked of a Ray cluster, where it is, and whether anything answers there. Knows no Ray."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator

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
