"""A trial: one training run's complete configuration and its key."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

# what an accuracy may be measured on
TEST_CLASSES = "unseen test classes"
VALIDATION_CLASSES = "validation classes held out of the seen ones"
SEEN_CLASSES = "test samples of the seen classes"

# what is trained: an alignment on features made beforehand, or encoder and alignment together
PRE_EXTRACTED, END_TO_END = "pre_extracted", "end_to_end"

Scalar = bool | int | float | str | None
GROUPS = ("options", "training", "stand_in")  # the fields of a trial that are mappings


class State(enum.StrEnum):
    """Where an attempt at a trial stands. One table gives each its word, colour and meaning."""

    RUNNING = "running"  # a driver holds its lease
    INTERRUPTED = "interrupted"  # its driver let go or its lease ran out; goes on from its checkpoint
    DONE = "done"
    FAILED = "failed"
    PRUNED = "pruned"  # the search's pruner stopped it

    @property
    def is_finished(self) -> bool:
        """Whether the attempt can never change again."""
        return self in (State.DONE, State.FAILED, State.PRUNED)


class Kind(enum.StrEnum):
    """What a trial does."""

    ALIGNMENT = "alignment"  # trains a method on features
    ENCODER = "encoder"  # trains a visual encoder on skeletons and writes its features
    PROFILE = "profile"  # measures what a method costs, on random input


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """One training run, fully resolved: nothing in it depends on a default any more.

    Attributes:
        options: canonical method options (every switch; None where it has no effect).
        training: resolved training settings that change results (epochs, batch_size, lr …).
        stand_in: the simulated data's settings; empty for real data.
        evaluate_on: ``unseen`` test classes, or ``validation`` classes held out of the seen ones.
        data_digest: digest of everything the trial reads.
        depends_on: key of the encoder trial whose features it reads, or None.
    """

    method: str
    revision: int
    dataset: str
    split: str
    visual: str
    text: str
    seed: int
    source: str
    data_digest: str
    options: Mapping[str, Scalar]
    training: Mapping[str, Scalar]
    stand_in: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)
    evaluate_on: str = "unseen"
    kind: Kind = Kind.ALIGNMENT
    depends_on: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Kind(self.kind))

    @property
    def is_end_to_end(self) -> bool:
        """Whether it trains the encoder with the alignment, on skeletons."""
        return self.training.get("train") == END_TO_END

    def config(self) -> dict[str, Any]:
        """Return the flat configuration: one name per axis, the same names as in YAML and SQL."""
        identity = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return flat_config(identity, *(identity.pop(group) for group in GROUPS))

    def to_dict(self) -> dict[str, Any]:
        """Return the nested form that :meth:`from_dict` reads back."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        """Build a trial from :meth:`to_dict`."""
        return cls(**values)

    @property
    def key(self) -> str:
        """SHA-256 hex of the canonical configuration and the data digest: the trial's identity."""
        cached = self.__dict__.get("_key")
        if cached is None:
            identity = self.to_dict()
            # the name under which the first keys were made
            identity["needs"] = identity.pop("depends_on")
            cached = hashlib.sha256(canonical_json(identity).encode()).hexdigest()
            object.__setattr__(self, "_key", cached)
        return str(cached)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trial) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


FIELDS = frozenset(f.name for f in dataclasses.fields(Trial))


def classes_measured(config: Mapping[str, Any]) -> str:
    """Return which classes the accuracy of a trial of this configuration is measured on."""
    if config.get("kind") == Kind.ENCODER:
        return SEEN_CLASSES
    return VALIDATION_CLASSES if config.get("evaluate_on") == "validation" else TEST_CLASSES


def flat_config(identity: Mapping[str, Any], *groups: Mapping[str, Any]) -> dict[str, Any]:
    """Return one mapping of a trial's own fields and of its groups; no option takes a field's place."""
    flat = dict(identity)
    for group in groups:
        flat |= {name: value for name, value in group.items() if name not in FIELDS}
    return flat


def varying(configs: Sequence[Mapping[str, Any]], without: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names, sorted, under which configurations hold different values."""
    names = {n for c in configs for n in c}.difference(without)
    return tuple(sorted(n for n in names if len({format_value(c.get(n)) for c in configs}) > 1))


def format_value(value: Scalar) -> str:
    """Return a value as it is printed in names and tables: ``true``, ``none``, ``0.01``, ``1e-05``."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)


def canonical_json(value: Any) -> str:
    """Return JSON that is equal for equal content: sorted keys, 1 and 1.0 alike, no spaces."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
