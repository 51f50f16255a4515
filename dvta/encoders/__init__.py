"""Encoders: skeletons to features (ST-GCN, Shift-GCN, CTR-GCN, kinematic) and words to features."""

from dvta.encoders import ctr_gcn, shift_gcn, st_gcn  # noqa: F401  (importing registers them)
from dvta.encoders.base import ENCODERS, SkeletonEncoder, build_encoder

__all__ = ["ENCODERS", "SkeletonEncoder", "build_encoder"]
