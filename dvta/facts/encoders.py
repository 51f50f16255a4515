"""Facts of the skeleton encoders: ST-GCN in two sizes, Shift-GCN, CTR-GCN and the kinematic one."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

from dvta.facts.base import ENCODERS, EncoderFacts, EncoderOptions

KINEMATIC = "kinematic"  # statistics and PCA: fitted, never trained
KINEMATIC_REVISION = 1


@dataclasses.dataclass(frozen=True)
class STGCNOptions(EncoderOptions):
    """Switches of both sizes of ST-GCN.

    Attributes:
        partition: see :func:`dvta.skeleton.graph.spatial_partition`.
    """

    partition: Literal["official", "true_distance"] = "official"


class STGCNFacts(EncoderFacts):
    """Of STGCN."""

    options_class = STGCNOptions


@ENCODERS.announces("st_gcn")
class SmallSTGCNFacts(STGCNFacts):
    """Of SmallSTGCN."""

    training_defaults: ClassVar[dict[str, Any]] = {
        "epochs": 150, "batch_size": 128, "optimizer": "adam", "lr": 5e-3, "schedule": "cosine",
    }  # fmt: skip


@ENCODERS.announces("st_gcn_classical")
class ClassicalSTGCNFacts(STGCNFacts):
    """Of ClassicalSTGCN."""

    training_defaults: ClassVar[dict[str, Any]] = {
        "epochs": 80, "batch_size": 64, "optimizer": "sgd", "lr": 0.1, "schedule": "steps",
        "steps": "10,50", "weight_decay": 1e-4,
    }  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ShiftGCNOptions(EncoderOptions):
    """Switches of Shift-GCN.

    Attributes:
        shift_grad: ``sign`` replaces the temporal offsets' gradient as published, ``true`` leaves it.
    """

    shift_grad: Literal["sign", "true"] = "sign"


@ENCODERS.announces("shift_gcn")
class ShiftGCNFacts(EncoderFacts):
    """Of ShiftGCN."""

    training_defaults: ClassVar[dict[str, Any]] = {
        "epochs": 140, "batch_size": 64, "optimizer": "sgd", "lr": 0.1, "schedule": "steps",
        "steps": "60,80,100", "weight_decay": 1e-4,
    }  # fmt: skip
    options_class = ShiftGCNOptions


@ENCODERS.announces("ctr_gcn")
class CTRGCNFacts(EncoderFacts):
    """Of CTRGCN."""

    training_defaults: ClassVar[dict[str, Any]] = {
        "epochs": 65, "batch_size": 64, "optimizer": "sgd", "lr": 0.1, "schedule": "steps",
        "steps": "35,55", "warmup_epochs": 5, "weight_decay": 4e-4,
    }  # fmt: skip
