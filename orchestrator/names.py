"""What a trial is called: one name a trial, the same wherever it is printed, and read back.

A name such as ``dvta[dataset=ntu60,split=55/5,seed=0,gamma=0.05]`` holds data set, split and seed,
kind, source and classes of the evaluation where they are not the usual ones, and everything else in
which the trial differs from the first of its method, kind and source in the store. Trials are never
deleted, so a name never changes. The digest of the data and the trial that made them are not in it:
where a second trial would have the name of an earlier one, it has the beginning of its key too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.errors import SettingsError
from orchestrator.trial import Scalar, format_value

KEY_LENGTH = 10
ALWAYS = ("dataset", "split", "seed")
USUAL = {"kind": "alignment", "source": "real", "evaluate_on": "unseen"}  # is not said
UNNAMED = frozenset({"data_digest", "depends_on"})
HIDDEN = frozenset({"method", *UNNAMED, *ALWAYS, *USUAL})

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_METHOD = re.compile(rf"\s*({_QUOTED}|[^\[\]\"]*?)\s*\[")
_PART = re.compile(rf"\s*([^=,\[\]\"\s]+)\s*=\s*({_QUOTED}|[^,\[\]\"]*?)\s*(,|\]\s*$)")
_UNSAFE = re.compile(r'[,=\[\]"\\\x00-\x1f\x7f-\x9f]|^\s|\s$|^$')


class Named(NamedTuple):
    """What a name is made of: the key of a trial and its flat configuration, one object for equal ones."""

    key: str
    config: Mapping[str, Any]


def names(
    trials: Sequence[Named], first: Mapping[tuple[Any, ...], Mapping[str, Any]], wanted: Collection[str]
) -> dict[str, str]:
    """Return key -> name of the trials whose keys are wanted.

    Args:
        trials: in the order they were stored; with a trial all earlier ones of its method, data set,
            split and seed.
        first: :func:`group` -> the configuration of its first trial.
    """
    found: dict[str, str] = {}
    short: dict[int, str] = {}
    taken: set[str] = set()
    alike = {_values(config) for key, config in trials if key in wanted}
    for key, config in trials:
        if id(config) not in short:
            # only a trial of the same values can have taken a wanted one's name
            short[id(config)] = _name(config, first[group(config)]) if _values(config) in alike else ""
        name = short[id(config)]
        if key in wanted:
            found[key] = name if name not in taken else f"{name[:-1]},key={key[:KEY_LENGTH]}]"
        taken.add(name)
    return found


def _values(config: Mapping[str, Any]) -> frozenset[tuple[str, Scalar]]:
    """Return what is equal wherever names are; it may be equal where they are not: 1, 1.0 and true are alike."""
    return frozenset((n, v) for n, v in config.items() if v is not None and n not in UNNAMED)


def group(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what the trials have in common that are named by their differences."""
    return config["method"], config["kind"], config["source"]


def parse_name(name: str) -> tuple[str, dict[str, str]] | None:
    """Return the method and the name -> text pairs of a printed name, None where it is none.

    Texts are as printed, see :func:`text_of`; their order in the name does not matter.
    """
    head = _METHOD.match(name)
    if head is None:
        return None
    parts: dict[str, str] = {}
    at = head.end()
    if name[at:].strip() == "]":
        return head[1], parts
    while part := _PART.match(name, at):
        parts[part[1]] = part[2]
        at = part.end()
        if part[3] != ",":
            return head[1], parts
    return None


def text_of(printed: str) -> str:
    """Return a value's text without the quotation marks it may have in a name.

    Raises:
        SettingsError: it begins with a quotation mark and is no text as JSON has it.
    """
    if not printed.startswith('"'):
        return printed
    try:
        text = str(json.loads(printed))
        text.encode()  # half of a surrogate pair is no text
    except ValueError:
        raise SettingsError(
            f'{printed} is no text in quotation marks; allowed: one as in JSON, such as "a,b" or "a\\\\b"'
        ) from None
    return text


def printed(value: Scalar) -> str:
    """Return a value as it stands in a name; different values have different texts.

    A text that could be read as something else, or has a separator in it, is quoted as in JSON.
    """
    if not isinstance(value, str):
        return format_value(value)
    return json.dumps(value, ensure_ascii=False) if _UNSAFE.search(value) or _is_other(value) else value


def _name(config: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    shown = {n: config[n] for n in ALWAYS}
    shown |= {n: config[n] for n, usual in USUAL.items() if config[n] != usual}
    for n in sorted((config.keys() | first.keys()) - HIDDEN):
        if printed(config.get(n)) != printed(first.get(n)):
            shown[n] = config.get(n)
    return f"{printed(config['method'])}[{','.join(f'{n}={printed(v)}' for n, v in shown.items())}]"


def _is_other(text: str) -> bool:
    """Return whether a text looks like none, true, false or a number."""
    if text in ("none", "true", "false"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
