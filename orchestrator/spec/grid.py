"""The points of a grid: a product of axes, some of them coupled, with includes and excludes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any


def grid_points(
    grid: Mapping[str, list[Any]],
    include: list[dict[str, Any]],
    exclude: list[dict[str, Any]],
    cell_config: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda point: point,
) -> Iterator[dict[str, Any]]:
    """Yield the product of the axes, less what an exclude matches with its defaults, plus the includes.

    An axis ``"a, b"`` varies both names together.
    """
    if grid:
        axes = [[_coupled(names, value) for value in values] for names, values in grid.items()]
        for parts in itertools.product(*axes):
            point = {k: v for part in parts for k, v in part.items()}
            full = cell_config(point) if exclude else point
            if not any(all(full.get(k) == v for k, v in rule.items()) for rule in exclude):
                yield point
    yield from include


def _coupled(names: str, value: Any) -> dict[str, Any]:
    keys = [n.strip() for n in names.split(",")]
    return {names.strip(): value} if len(keys) == 1 else dict(zip(keys, value, strict=True))
