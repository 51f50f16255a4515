"""What a plan reads of a method or an encoder: everything but its network, and without PyTorch."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from dvta.options import Options
from dvta.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from dvta.encoders.base import SkeletonEncoder
    from dvta.methods.base import Method


class MethodFacts:
    """What decides on a method's trials before one is trained; :class:`dvta.methods.Method` begins with it.

    A method of your own sets these in its class. Those of this package have them in a class of their own
    under :mod:`dvta.facts`, so that planning a study of them imports no PyTorch.
    """

    #: part of every trial's identity: raise it whenever results change
    revision: ClassVar[int] = 1
    options_class: ClassVar[type[Options]] = Options
    #: training settings in which this method differs from ``dvta.training_config.TrainingConfig``
    training_defaults: ClassVar[dict[str, Any]] = {}
    #: width of the text features in the method's publication, at which its cost is measured
    published_text_dim: ClassVar[int] = 768
    #: whether scoring goes through the classes one by one, so that an exported graph has their number in it
    loops_over_classes: ClassVar[bool] = False
    #: whether it learns from batches; one that is solved in :meth:`dvta.methods.Method.prepare` cannot train an
    #: encoder with it
    trains_on_batches: ClassVar[bool] = True

    @classmethod
    def needs(cls, options: Options) -> frozenset[str]:
        """Return which inputs the options need beyond pooled features and label texts.

        Any of ``contexts``, ``verbs``, ``nouns``, ``parts`` (class texts), ``unpooled`` (features
        (N, T, V, Dv)) and ``masked`` (training samples (N, 1 + K, Dv) with K masked variants).
        """
        return frozenset()

    @classmethod
    def stackable(cls, options: Options) -> frozenset[str] | None:
        """Return which options may differ among models trained as one, None where none can be.

        A method that can be stacked has a :meth:`dvta.methods.Method.training_loss` that ``torch.func.vmap``
        maps over models: no shape depends on the data, noise comes from ``torch.randn`` and ``torch.rand``
        alone, and the named options may be scalar tensors. See :mod:`dvta.stacking`.
        """
        return None


@dataclasses.dataclass(frozen=True)
class EncoderOptions(Options):
    """Base of an encoder's own switches; the defaults are as published, so there are no presets."""

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}


class EncoderFacts:
    """What decides on an encoder's trials; :class:`dvta.encoders.SkeletonEncoder` begins with it."""

    #: part of every trial's identity: raise it whenever results change
    revision: ClassVar[int] = 1
    #: how it is published to be trained; see :class:`dvta.training_config.EncoderConfig`
    training_defaults: ClassVar[dict[str, Any]] = {}
    #: the switches of its own, part of the trial's identity
    options_class: ClassVar[type[EncoderOptions]] = EncoderOptions


def _loss(v2t: Tensor, t2v: Tensor, labels: Tensor, *, target: str, reduce: str) -> Tensor:
    """Be called as every loss is."""
    raise NotImplementedError


METHODS: Registry[type[Method]] = Registry(
    "method", "dvta.methods", of="dvta.methods.base.Method", home="dvta.methods"
)
#: name -> encoder class; ``kinematic`` is no network and stands apart
ENCODERS: Registry[type[SkeletonEncoder]] = Registry(
    "encoder", "dvta.encoders", of="dvta.encoders.base.SkeletonEncoder", home="dvta.encoders"
)
LOSSES: Registry[Callable[..., Tensor]] = Registry(
    "loss", "dvta.losses", takes=inspect.signature(_loss), home="dvta.losses"
)
for _name in ("kld", "infonce", "softmax_ce"):
    LOSSES.announces(_name)(_name)
