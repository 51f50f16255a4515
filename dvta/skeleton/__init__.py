"""Raw skeleton recordings to arrays: readers, preprocessing, joint graphs, zero-shot partings."""

from dvta.skeleton.lines import SkeletonError

__all__ = ["SkeletonError"]
