"""The store, copied to MLflow: may lag, may be down, is never read back."""

from orchestrator.mirror.files import MirrorError, without_login
from orchestrator.mirror.mirror import Mirror, MirrorThread

__all__ = ["Mirror", "MirrorError", "MirrorThread", "without_login"]
