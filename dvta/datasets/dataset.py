"""What a dataset is: class names, texts, and splits into seen and unseen classes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dvta.errors import DataError, UnknownNameError, did_you_mean
from dvta.texts import plain

PARTS = ("head", "hands", "torso", "legs", "start", "middle", "end", "global")
RANDOM = re.compile(r"random/([1-9][0-9]{0,5})/(0|[1-9][0-9]{0,8})")


@dataclasses.dataclass(frozen=True)
class Split:
    """Which classes are unseen; ids are global and ascending.

    ``validation`` are classes held out of the seen ones for tuning: published where there are any
    (SynSE), else drawn once with a fixed seed, as many as there are unseen classes.

    Attributes:
        stamp: what the digest of the data has to hold beside the name: the unseen classes, where the
            name alone does not fix them for ever; empty for splits of the shipped catalogue.
    """

    name: str
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    validation: tuple[int, ...]
    stamp: str = ""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What is known of a dataset without its data; lists are in the order of class ids.

    ``parts`` has eight texts a class: four body parts, three phases and the action, as in PURLS.

    Attributes:
        where: how to get the data. citation: whom to cite.
        own: whether it comes from a ``dataset.yaml``, whose splits may be edited.
    """

    name: str
    class_names: tuple[str, ...]
    contexts: tuple[str, ...]
    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    splits: dict[str, tuple[int, ...]]
    validation: dict[str, tuple[int, ...]]
    where: str
    parts: tuple[tuple[str, ...], ...] = ()
    citation: str = ""
    own: bool = False

    def split(self, name: str, unseen: Sequence[str | int] | None = None) -> Split:
        """Return a split by name.

        Args:
            name: of the dataset, or ``random/U/k`` (see :meth:`random_order`), or anything with ``unseen``.
            unseen: the unseen classes of a split of one's own, by name or id.

        Raises:
            UnknownNameError: the dataset has no such split.
            DataError: the unseen classes are none, leave no class seen, or are not in the dataset.
        """
        drawn = RANDOM.fullmatch(name)
        order: tuple[int, ...] = ()
        if unseen is not None:
            held = self.class_ids(unseen, f"split {name!r}")
            if name in self.splits and held != tuple(sorted(self.splits[name])):
                known = ", ".join(self.class_names[c] for c in sorted(self.splits[name])[:10])
                raise DataError(
                    f"split {name!r}: {self.name} has a split of that name, with the unseen classes {known}; "
                    "take another name, or leave the classes out"
                )
        elif name in self.splits:
            held = tuple(sorted(self.splits[name]))
        elif drawn:
            order = self.random_order(int(drawn[2]))
            held = self._unseen(order[: int(drawn[1])], f"split {name!r}", int(drawn[1]))
        else:
            raise UnknownNameError(
                f"{self.name} has no split {name!r}{did_you_mean(name, self.splits)}; "
                f"allowed: {', '.join((*self.splits, 'random/U/k'))}"
            )
        seen = tuple(c for c in range(len(self.class_names)) if c not in set(held))
        # as many as there are unseen classes, and never more than half of the seen ones
        size = min(len(held), len(seen) // 2)
        validation = self.validation.get(name) if unseen is None and not drawn else None
        if drawn and unseen is None:
            validation = order[len(held) : len(held) + size]
        elif validation is None:
            chosen = np.random.default_rng(0).choice(seen, size=size, replace=False)
            validation = tuple(int(c) for c in chosen)
        fixed = unseen is None and not drawn and not self.own
        return Split(name, seen, held, tuple(sorted(validation)), "" if fixed else f"unseen {list(held)}")

    def random_order(self, seed: int) -> tuple[int, ...]:
        """Return all class ids in the order in which ``random/U/<seed>`` takes its U unseen classes.

        The rule: ids ascend by the SHA-256 of the text ``<seed>/<id>``. It needs no random generator,
        so it is the same on every machine, and fewer unseen classes are a part of more of them. The
        next ids of the order are the validation classes.
        """
        ids = range(len(self.class_names))
        return tuple(sorted(ids, key=lambda c: hashlib.sha256(f"{seed}/{c}".encode()).digest()))

    def class_ids(self, classes: Sequence[str | int], place: str) -> tuple[int, ...]:
        """Return the ascending ids of unseen classes, given by name (in any case) or id.

        Raises:
            DataError: one is unknown or twice, or they are none or too many; the message begins with ``place``.
        """
        known = {plain(name): c for c, name in enumerate(self.class_names)}
        found: list[int] = []
        for value in classes:
            if isinstance(value, str) and plain(value) in known:
                class_id = known[plain(value)]
            elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(known):
                class_id = value
            else:
                names = ", ".join(self.class_names[:10]) + (", …" if len(known) > 10 else "")
                raise DataError(
                    f"{place}: {str(value)[:80]!r} is no class of {self.name}"
                    f"{did_you_mean(str(value)[:80], self.class_names)}; allowed: 0 to {len(known) - 1}, or {names}"
                )
            if class_id in found:
                raise DataError(
                    f"{place}: class {class_id} ({self.class_names[class_id]}) stands there twice"
                )
            found.append(class_id)
        return self._unseen(found, place, len(found))

    def _unseen(self, ids: Sequence[int], place: str, wanted: int) -> tuple[int, ...]:
        most = len(self.class_names) - 1
        if not 1 <= wanted <= most:
            raise DataError(
                f"{place}: {wanted} unseen classes of {self.name}, which has {most + 1}; allowed: 1 to {most}"
            )
        return tuple(sorted(ids))

    @classmethod
    def read(cls, name: str, path: Path) -> Dataset:
        """Read a dataset's JSON description; the shipped ones are examples of the format."""
        values = json.loads(path.read_text(encoding="utf-8"))
        missing = {"class_names", "contexts", "splits"} - values.keys()
        if missing:
            raise DataError(f"{path}: missing {', '.join(sorted(missing))}")
        lists: dict[str, Any] = {
            k: tuple(values.get(k, ())) for k in ("class_names", "contexts", "verbs", "nouns")
        }
        splits: dict[str, Any] = {
            k: {s: tuple(ids) for s, ids in values.get(k, {}).items()} for k in ("splits", "validation")
        }
        described = path.with_name(f"{path.stem}_parts.json")
        parts: tuple[tuple[str, ...], ...] = ()
        if described.is_file():
            by_class = json.loads(described.read_text(encoding="utf-8"))
            # the eighth text is the action itself
            parts = tuple(
                (*(by_class[c][p] for p in PARTS[:-1]), c) for c in lists["class_names"] if c in by_class
            )
            if len(parts) != len(lists["class_names"]):
                raise DataError(f"{described}: {len(parts)} of {len(lists['class_names'])} classes described")
        return cls(name=name, where=values.get("where", ""), parts=parts, **lists, **splits)
