"""The nine methods, one file each, behind one contract (:mod:`dvta.methods.base`)."""

from dvta.methods import dvta as _dvta  # noqa: F401
from dvta.methods.base import METHODS, Method, Options, build

__all__ = ["METHODS", "Method", "Options", "build"]
