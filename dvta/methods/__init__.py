"""The methods, one file each, behind one contract (:mod:`dvta.methods.base`): the paper's nine and newer ones."""

from dvta.methods import (  # noqa: F401  (importing registers them)
    cada_vae,
    devise,
    dvta,
    flora,
    fs_vae,
    jpose,
    msf,
    purls,
    relationnet,
    revise,
    sa_dvae,
    smie,
    synse,
    tdsm,
)
from dvta.methods.base import METHODS, Method, build
from dvta.options import Options

__all__ = ["METHODS", "Method", "Options", "build"]
