"""What is known of methods, encoders and losses without their networks; importing it announces their names."""

from dvta.facts import diffusion, dvta, embeddings, encoders, vaes  # noqa: F401  (importing announces them)
from dvta.facts.base import ENCODERS, LOSSES, METHODS, EncoderFacts, MethodFacts

__all__ = ["ENCODERS", "LOSSES", "METHODS", "EncoderFacts", "MethodFacts"]
