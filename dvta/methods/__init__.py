"""The nine methods, one file each, behind one contract (:mod:`dvta.methods.base`)."""

from dvta.methods import (  # noqa: F401  (importing registers them)
    cada_vae,
    devise,
    dvta,
    jpose,
    purls,
    relationnet,
    revise,
    smie,
    synse,
)
from dvta.methods.base import METHODS, Method, build
from dvta.options import Options

__all__ = ["METHODS", "Method", "Options", "build"]
