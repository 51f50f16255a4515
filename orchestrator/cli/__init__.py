"""The command line."""

from orchestrator.cli.main import app

__all__ = ["app"]
