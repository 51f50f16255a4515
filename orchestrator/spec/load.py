"""Reading a spec: strictly, completely, every mistake reported at once."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from dvta.errors import did_you_mean
from orchestrator.errors import SpecError
from orchestrator.spec.check import Checker
from orchestrator.spec.check_search import check_candidates
from orchestrator.spec.model import Axis, Checkpoint, Resources, Search, Spec, When
from orchestrator.spec.yaml import Document, flag_value, read_yaml


def load_spec(
    path: Path,
    *,
    profile: str | None = None,
    overrides: Mapping[str, str] | None = None,
    data: Path | None = None,
) -> Spec:
    """Read and check a spec.

    Args:
        profile: instead of the file's own ``profile``.
        overrides: ``--set`` values, YAML text by flat name.
        data: the data root, whose data sets the spec may name.

    Raises:
        SpecError: everything that is wrong, in one message.
    """
    document = read_yaml(path)
    raw = dict(document.values)
    problems = Problems(document)
    for name in ("text", "forced"):
        if name in raw:
            problems.add((name,), f"unknown key; {name} as an axis stands under defaults or grid")
    # a profile may set the number of seeds, the stand-in's size …, under the names of the file
    raw["text"] = path.read_text(encoding="utf-8")
    if profile is not None:
        raw["profile"] = profile
    forced = {k: flag_value(f"--set {k}", v) for k, v in (overrides or {}).items()}
    chosen = (
        (raw.get("profiles") or {}).get(raw.get("profile"), {})
        if isinstance(raw.get("profiles"), dict) and isinstance(raw.get("profile"), str | None)
        else {}
    )
    if "seeds" in forced:
        raw["seeds"] = forced.pop("seeds")
    elif isinstance(chosen, dict) and "seeds" in chosen:
        raw["seeds"] = chosen["seeds"]
    if isinstance(raw.get("profiles"), dict):
        raw["profiles"] = {
            name: {k: v for k, v in values.items() if k != "seeds"} if isinstance(values, dict) else values
            for name, values in raw["profiles"].items()
        }
    raw["forced"] = forced
    try:
        Spec.model_validate(raw)
    except ValidationError as error:
        for found in error.errors():
            problems.add_pydantic(found)
    checked = Checker(problems.add, data).check(raw)
    if "search" in checked:
        # beside mistakes elsewhere in the file
        with contextlib.suppress(ValidationError):
            parts = {k: raw[k] for k in ("profile", "protocol") if k in raw}
            check_candidates(Spec.model_validate({"study": "any", **parts, **checked}), problems.add)
    problems.raise_if_any()
    return Spec.model_validate({**raw, **checked})


class Problems:
    """Collects what is wrong, each with its place."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: dict[tuple[Any, ...], str] = {}
        for where, message in document.problems:
            self.add(where, message)

    def add(self, where: tuple[Any, ...], message: str) -> None:
        """Note a mistake; the first at a place is kept."""
        self._found.setdefault(where, message)

    def add_pydantic(self, error: Any) -> None:
        """Note one of Pydantic's errors."""
        where = tuple(p for p in error["loc"] if p not in ("int", "str"))
        if error["type"] == "extra_forbidden":
            models: dict[str, type[BaseModel]] = {
                "resources": Resources,
                "checkpoint": Checkpoint,
                "search": Search,
            }
            model = Axis if where[:2] == ("search", "space") else models.get(str(where[0]), Spec)
            model = When if where[0] == "overrides" else model
            allowed = [n for n in model.model_fields if n not in ("forced", "text")]
            message = f"unknown key{did_you_mean(where[-1], allowed)}; allowed: {', '.join(allowed)}"
        else:
            message = f"{error['input']!r} is not allowed here: {error['msg'].lower()}"
        self.add(where, message)

    def raise_if_any(self) -> None:
        """Raise one SpecError with everything noted, if anything was."""
        if not self._found:
            return
        lines = [f"{self._document.where(place)}: {text}" for place, text in self._found.items()]
        count = f"{len(lines)} mistakes" if len(lines) > 1 else "1 mistake"
        raise SpecError("\n".join([f"{self._document.path}: {count}", *(f"  {line}" for line in lines)]))
