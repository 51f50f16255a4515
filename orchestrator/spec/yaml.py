"""Reading the YAML file of a spec: line numbers, duplicate keys, YAML 1.1's traps, one parent."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import yaml

from orchestrator.errors import SpecError
from orchestrator.spec.model import YamlPath

_EXPONENT = re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
_SEXAGESIMAL = re.compile(r"^[-+]?\d+(:[0-5]?\d)+(\.\d*)?$")


@dataclasses.dataclass
class Document:
    """A YAML mapping with the line of every value and what YAML itself made doubtful."""

    path: Path
    values: dict[str, Any]
    lines: dict[YamlPath, tuple[Path, int]]
    problems: list[tuple[YamlPath, str]]

    def where(self, place: YamlPath) -> str:
        """Return a place as ``grid.gamma[2] (line 7)``, with the file's name where it is the parent's."""
        shown = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip(".")
        known = next(
            (self.lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in self.lines), None
        )
        if known is None:
            return shown or "the file"
        file, line = known
        inside = f"line {line}" if file == self.path else f"{file}, line {line}"
        return f"{shown or 'the file'} ({inside})"


def read_yaml(path: Path, _seen: tuple[Path, ...] = ()) -> Document:
    """Read a spec and the single file it extends; the spec's keys win, mappings are merged.

    Raises:
        SpecError: the file is missing, is not YAML, or extends itself.
    """
    if path.resolve() in _seen:
        raise SpecError(f"{path}: extends itself through {' → '.join(p.name for p in _seen)}")
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    document = Document(path, {}, {}, [])
    if not isinstance(node, yaml.MappingNode):
        raise SpecError(f"{path}: a spec is a mapping with at least the key study")
    _walk(node, (), document)
    try:
        document.values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    parent = document.values.get("extends")
    if isinstance(parent, str):
        base = read_yaml(path.parent / parent, (*_seen, path.resolve()))
        document.problems += base.problems
        document.lines = {**base.lines, **document.lines}
        document.values = _merged(base.values, document.values)
    return document


def flag_value(name: str, written: str) -> Any:
    """Return the value of a flag ``NAME=VALUE``: YAML, but 1e-5 is a number and nothing an empty text.

    Raises:
        SpecError: it is not YAML.
    """
    if _EXPONENT.match(written):
        return float(written)
    try:
        return yaml.safe_load(written) if written else ""
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"{name}={written}: not YAML: {' '.join(str(error).split())}") from error


def _walk(node: yaml.Node, place: YamlPath, document: Document) -> None:
    document.lines.setdefault(place, (document.path, node.start_mark.line + 1))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name, line = key.value, key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise SpecError(
                    f"{document.path}, line {line}: a key must be a text; names that vary together are "
                    'written "dataset, split"'
                )
            document.lines[(*place, name)] = document.path, line
            if name in seen:
                document.problems.append(((*place, name), "the key stands here twice"))
            seen.add(name)
            _walk(value, (*place, name), document)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _walk(value, (*place, i), document)
    elif isinstance(node, yaml.ScalarNode) and node.style is None and _SEXAGESIMAL.match(node.value):
        message = f"YAML reads {node.value} as a number to base 60; quote it: '{node.value}'"
        document.problems.append((place, message))


def _merged(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict) and key != "grid"
        out[key] = _merged(base[key], value) if both else value
    return out
