"""Reading the YAML file of a spec: line numbers, duplicate keys, YAML 1.1's traps, one parent."""

from __future__ import annotations

import dataclasses
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from dvta.yaml import MAX_DEPTH, BoundedLoader
from orchestrator.errors import SpecError
from orchestrator.spec.model import YamlPath

_EXPONENT = re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
_OCTAL = re.compile(r"^[-+]?0[0-9_]+$")
_SEXAGESIMAL = re.compile(r"^[-+]?\d+(:[0-5]?\d)+(\.\d*)?$")
_YAML = "tag:yaml.org,2002:"
# what no spec comes near to; aliases are counted wherever they stand
MAX_BYTES, MAX_VALUES, MAX_PARENTS = 200_000, 50_000, 10
MAX_NAME, MAX_TEXT = 500, 20_000


class _Loader(BoundedLoader):
    max_depth = MAX_DEPTH + 2  # the exact place is found later, where it is not much deeper


@dataclasses.dataclass
class Document:
    """A YAML mapping with its text, the line of every value and what YAML itself made doubtful."""

    path: Path
    values: dict[str, Any]
    lines: dict[YamlPath, tuple[Path, int]]
    problems: list[tuple[YamlPath, str]]
    text: str

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
    if len(_seen) == MAX_PARENTS:
        raise SpecError(f"{path}: more than {MAX_PARENTS} files extend one another; allowed: fewer")
    document = Document(path, {}, {}, [], _text(path))
    try:
        loader = _Loader(document.text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode) or node.tag != f"{_YAML}map":
            raise SpecError(f"{path}: a spec is a mapping with at least the key study")
        _Walk(loader, document).visit(node, ())
        document.values = loader.construct_document(node)
    except RecursionError:
        raise SpecError(f"{path}: nested too deeply; allowed: {MAX_DEPTH} levels") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    parent = document.values.get("extends")
    if isinstance(parent, str):
        above = path.parent / parent
        if not above.exists():
            raise SpecError(
                f"{path}: {document.where(('extends',))}: {above}: cannot be read (No such file or directory)"
            )
        base = read_yaml(above, (*_seen, path.resolve()))
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
    if not written:
        return ""
    if len(written) > MAX_BYTES:
        raise SpecError(f"{name}: {len(written):,} characters; allowed: at most {MAX_BYTES:,}")
    document = Document(Path(name), {}, {}, [], written)
    try:
        loader = _Loader(written)
        node = loader.get_single_node()
        if node is None:
            return None
        _Walk(loader, document).visit(node, ())
        value = loader.construct_document(node)
    except RecursionError:
        raise SpecError(f"{name}: nested too deeply; allowed: {MAX_DEPTH} levels") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"{name}={written}: not YAML: {' '.join(str(error).split())}") from error
    if document.problems:
        raise SpecError(f"{name}: {document.problems[0][1]}")
    return value


def _text(path: Path) -> str:
    """Return the text of a regular file of a spec's size; a pipe or a device would never end."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise SpecError(f"{path}: not a file; allowed: a regular file of YAML text")
        if found.st_size > MAX_BYTES:
            raise SpecError(f"{path}: {found.st_size:,} bytes are no spec; allowed: at most {MAX_BYTES:,}")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise SpecError(f"{path}: not YAML: {error}") from error
        raise SpecError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


class _Walk:
    """Visits every value as it stands in the file, aliases followed, and notes what is doubtful.

    What it notes it also replaces, so that the rest of the file can be checked.
    """

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader, self._document = loader, document
        self._above: list[yaml.Node] = []
        self._visited = 0

    def visit(self, node: yaml.Node, place: YamlPath) -> None:
        """Note the lines and problems of a node and all below it.

        Raises:
            SpecError: it contains itself, is nested too deeply or comes to too many values.
        """
        line = node.start_mark.line + 1
        self._document.lines.setdefault(place, (self._document.path, line))
        self._visited += 1
        if any(node is each for each in self._above):
            raise SpecError(f"{self._document.path}, line {line}: a value that contains itself")
        if len(self._above) > MAX_DEPTH or self._visited > MAX_VALUES:
            raise SpecError(
                f"{self._document.path}, line {line}: nested too deeply or too many values, aliases "
                f"followed; allowed: {MAX_DEPTH} levels and {MAX_VALUES:,} values"
            )
        self._above.append(node)
        if isinstance(node, yaml.ScalarNode):
            self._scalar(node, place)
        elif node.tag not in (f"{_YAML}map", f"{_YAML}seq"):
            raise SpecError(
                f"{self._document.path}, line {line}: {node.tag.replace(_YAML, '!!')} is not allowed; "
                "allowed: texts, numbers, true, false, null, lists and mappings"
            )
        elif isinstance(node, yaml.MappingNode):
            self._mapping(node, place)
        else:
            for i, value in enumerate(node.value):
                self.visit(value, (*place, i))
        self._above.pop()

    def _mapping(self, node: yaml.MappingNode, place: YamlPath) -> None:
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise SpecError(
                    f"{self._document.path}, line {line}: a key must be a text; names that vary together "
                    'are written "dataset, split"'
                )
            name = key.value
            self._document.lines[(*place, name)] = self._document.path, line
            if len(name) > MAX_NAME:
                key.value = name = f"{name[:20]}…"
                self._note((*place, name), f"a key of more than {MAX_NAME} characters")
            if key.tag not in (f"{_YAML}str", f"{_YAML}merge"):
                self._note((*place, name), f"a key must be a text; quote it: '{name}'")
                key.tag = f"{_YAML}str"
            if name in seen:
                self._note((*place, name), "the key stands here twice")
            seen.add(name)
            self.visit(value, (*place, name))

    def _scalar(self, node: yaml.ScalarNode, place: YamlPath) -> None:
        longest = MAX_TEXT if place == ("description",) else MAX_NAME
        kind = node.tag.replace(_YAML, "!!")
        if len(node.value) > longest:
            self._note(place, f"a text of {len(node.value):,} characters; allowed: at most {longest:,}")
            node.tag, node.value = f"{_YAML}str", f"{node.value[:20]}…"
        elif any(not c.isprintable() and c not in "\n\t" for c in node.value):
            self._note(place, "a text with control characters; allowed: printable ones")
            node.tag, node.value = f"{_YAML}str", "?"
        elif kind not in ("!!str", "!!int", "!!float", "!!bool", "!!null", "!!merge", "!!value"):
            hint = f"; quote it: '{node.value}'" if kind == "!!timestamp" else ""
            self._note(place, f"YAML reads {node.value!r} as {kind}, which is not allowed{hint}")
            node.tag = f"{_YAML}str"
        elif node.style is None and _SEXAGESIMAL.match(node.value):
            self._note(place, f"YAML reads {node.value} as a number to base 60; quote it: '{node.value}'")
        elif node.style is None and _OCTAL.match(node.value):
            plain = node.value.replace("_", "").lstrip("+-0") or "0"
            self._note(place, f"YAML reads {node.value} as a number to base 8; write {plain}, or quote it")
        else:
            self._constructed(node, place, kind)

    def _constructed(self, node: yaml.ScalarNode, place: YamlPath, kind: str) -> None:
        """Note a value that does not fit its tag."""
        try:
            self._loader.construct_object(node)
        except Exception:  # PyYAML raises many types here, and remembers the node as begun
            self._loader.recursive_objects.pop(node, None)
            self._note(place, f"{node.value!r} is no {kind}")
            node.tag = f"{_YAML}str"

    def _note(self, place: YamlPath, message: str) -> None:
        self._document.problems.append((place, message))


def _merged(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict) and key != "grid"
        out[key] = _merged(base[key], value) if both else value
    return out
