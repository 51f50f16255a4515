"""Zero-shot skeleton action recognition: features, encoders, methods, training and evaluation.

The science half of dvta-orch. Needs PyTorch and NumPy only, and never imports ``orchestrator``.
"""

__version__ = "0.1.0"
