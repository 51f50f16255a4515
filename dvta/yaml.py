"""YAML that a person writes: what YAML itself would let pass, hang on or stumble over is one message."""

from __future__ import annotations

from typing import Any

import yaml

from dvta.errors import DataError

MAX_DEPTH, MAX_DIGITS = 20, 64
_YAML = "tag:yaml.org,2002:"


class BoundedLoader(yaml.SafeLoader):
    """Gives up where nesting becomes too deep: to read on takes time with the square of the depth."""

    max_depth = MAX_DEPTH
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the node that begins here."""
        self._depth += 1
        if self._depth > self.max_depth:
            raise RecursionError
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Loader(BoundedLoader):
    """Refuses aliases, keys that stand twice and values that do not fit their tag, with their line."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise self._refusal(
                event.start_mark, f"*{event.anchor}: anchors and aliases are not read; write it out"
            )
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise self._refusal(key.start_mark, f"the key {key.value[:80]!r} stands here twice")
            seen.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        kind = node.tag.replace(_YAML, "!!")
        if (
            kind in ("!!int", "!!float") and len(node.value) > MAX_DIGITS
        ):  # Python neither prints nor converts it
            raise self._refusal(
                node.start_mark, f"a number of {len(node.value):,} digits; allowed: at most {MAX_DIGITS}"
            )
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, DataError):
            raise
        except Exception as error:  # PyYAML raises many types here
            raise self._refusal(node.start_mark, f"{str(node.value)[:80]!r} is no {kind}") from error

    def _refusal(self, mark: yaml.Mark, problem: str) -> DataError:
        return DataError(f"{self.name}, line {mark.line + 1}: {problem}")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def load(text: str, place: object) -> Any:
    """Return the value of a YAML document.

    Args:
        text: the document. place: its file, with which messages begin.

    Raises:
        DataError: it is no YAML, is nested too deeply, has aliases, a key twice, or a value that does not fit its tag.
    """
    try:
        loader = _Loader(text)
        loader.name = str(place)
        return loader.get_single_data()
    except RecursionError:
        raise DataError(f"{place}: nested too deeply; allowed: {MAX_DEPTH} levels") from None
    except yaml.YAMLError as error:
        raise DataError(f"{place}: no readable YAML ({' '.join(str(error).split())[:300]})") from error


def dump(values: Any) -> str:
    """Return values as YAML that :func:`load` takes."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
