"""Zero-shot skeleton action recognition: features, encoders, methods, training and evaluation.

The science half of dvta-orch. Needs PyTorch and NumPy only, and never imports ``orchestrator``. Its
usual names are here, imported when they are first used::

    import dvta

    features = dvta.locate(Path("data"), "ntu60", "55/5", "shift_gcn", "sbert").load()
    method = dvta.build("dvta", visual_dim=features.visual_dim, text_dim=features.text_dim)
    for epoch in dvta.fit(method, features, dvta.TrainingConfig(epochs=5)):
        print(epoch.epoch, epoch.metrics["accuracy"])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvta.data_ref import locate
    from dvta.evaluation import evaluate
    from dvta.facts import METHODS
    from dvta.features import FeatureSet
    from dvta.methods import build
    from dvta.predict import phrase_text, rank
    from dvta.training import fit
    from dvta.training_config import TrainingConfig

__version__ = "0.1.0"
__all__ = [
    "METHODS",
    "FeatureSet",
    "TrainingConfig",
    "build",
    "evaluate",
    "fit",
    "locate",
    "phrase_text",
    "rank",
]

_HOMES = {
    "METHODS": "facts",
    "build": "methods",
    "evaluate": "evaluation",
    "FeatureSet": "features",
    "locate": "data_ref",
    "phrase_text": "predict",
    "rank": "predict",
    "TrainingConfig": "training_config",
    "fit": "training",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"dvta.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'dvta' has no attribute {name!r}")
