"""A stored trial, loaded with its weights so that figures can look into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from orchestrator.settings import Settings
from orchestrator.store import Store

if TYPE_CHECKING:
    from orchestrator.execute.trained import TrainedTrial


def load_trained(
    store: Store, settings: Settings, key: str, say: Callable[[str], None] = lambda line: None
) -> TrainedTrial:
    """Return the trained trial of a key; see :class:`orchestrator.execute.trained.TrainedTrial`."""
    # figures of the store alone need no PyTorch
    from orchestrator.execute import trained

    return trained.load_trained(store, settings, store.trial(key), say)
