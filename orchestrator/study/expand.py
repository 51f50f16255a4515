"""From a spec to its slots: which trial fills which cell. No input or output, no Ray."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dvta.errors import DataError, DvtaError, did_you_mean
from dvta.facts import METHODS
from orchestrator.errors import SpecError, explain
from orchestrator.records import VALIDATION, Slot
from orchestrator.spec.encoder import EncoderSpec
from orchestrator.spec.grid import grid_points
from orchestrator.spec.model import Spec
from orchestrator.study.resolve import Resolver
from orchestrator.tables import GENERALISED, NEWER, Layout, layout
from orchestrator.tables import METHODS as LABELS
from orchestrator.trial import Kind, Trial, format_value, varying


def expand(spec: Spec, resolver: Resolver) -> list[Slot]:
    """Return the slots of a spec, in the order of its tables, rows and columns.

    Raises:
        DataError: visual features are missing and the source is ``real``.
        SpecError: configurations are impossible (all of them at once), ``where`` names what no table has, or
            ``--set`` what a table fixes.
    """
    _check_where(spec)
    mistakes: dict[str, str] = {}
    slots: list[Slot] = []
    for number in spec.tables:
        slots += _table(spec, layout(number), resolver, mistakes)
    for row, config in grid_cells(spec):
        generalised = config["evaluate_on"] == "gzsl" and spec.search is None
        for column in GENERALISED if generalised else ("accuracy",):
            slots += _slots(spec, ("grid", row, column), config, resolver, mistakes)
    slots = _each_validation_once(slots)
    slots += encoder_slots([trial for trial, _ in resolver.encoders.values()])
    if mistakes:
        lines = [f"  {row}: {message}" for message, row in mistakes.items()]
        raise SpecError("\n".join([f"{len(lines)} mistakes" if len(lines) > 1 else "1 mistake", *lines]))
    return slots


def _check_where(spec: Spec) -> None:
    """Refuse a name or value of ``where`` that no cell of the tables has."""
    configs = [c for number in spec.tables for cell in layout(number).cells() for c in cell.configs]
    names = list(dict.fromkeys(name for config in configs for name in config))
    if spec.where and not configs:
        raise SpecError(
            "where: chooses among the cells of tables, and none is named; allowed: exclude, in a grid"
        )
    for name, values in spec.where.items():
        if name not in names:
            raise SpecError(
                f"where.{name}: no cell of the tables has {name}{did_you_mean(name, names)}; "
                f"allowed: {', '.join(names)}"
            )
        known = dict.fromkeys(str(c[name]) for c in configs if name in c)
        if name == "method":
            known |= dict.fromkeys([*METHODS.names(), *spec.methods])
        for value in values:
            if str(value) not in known:
                raise SpecError(
                    f"where.{name}: {value!r} is in no cell of the tables{did_you_mean(value, known)}; "
                    f"allowed: {', '.join(known)}"
                )


def encoder_slots(trials: Sequence[Trial]) -> Iterator[Slot]:
    """Yield the cells of encoders: their accuracy on test samples of the seen classes."""
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.method, trial.dataset, trial.split), []).append(trial)
    for (method, *place), group in groups.items():
        names = varying([t.config() for t in group], without={"seed", "data_digest"})
        for trial in group:
            row = " ".join((method + described(trial.config(), names), *place))
            yield Slot("encoders", row, "seen-class accuracy", trial)


def grid_cells(spec: Spec) -> list[tuple[str, dict[str, Any]]]:
    """Return the row and the configuration of every point of the grid; those that ``--set`` makes alike once."""
    points = list(grid_points(spec.grid, spec.include, spec.exclude, spec.cell_config))
    configs = [spec.cell_config(point) for point in points]
    known = labels(config["visual"] for config in configs)
    # an included point may name what the grid does not vary
    names = list(dict.fromkeys([*spec.grid_names(), *(n for p in spec.include for n in p)]))
    cells: dict[str, dict[str, Any]] = {}
    for point, config in zip(points, configs, strict=True):
        own = {k: config[k] for k in names if k in point}
        shown = {k: known[v] if isinstance(v, EncoderSpec) else format_value(v) for k, v in own.items()}
        cells.setdefault(",".join(f"{k}={v}" for k, v in shown.items()) or spec.study, config)
    return list(cells.items())


def searched_cells(spec: Spec, slots: Iterable[Slot]) -> dict[str, dict[str, Any]]:
    """Return row -> configuration of the grid's cells that can be filled: those a search goes through."""
    filled = {s.row for s in slots if s.trial and s.table == "grid"}
    return {row: config for row, config in grid_cells(spec) if row in filled}


def _table(spec: Spec, table: Layout, resolver: Resolver, mistakes: dict[str, str]) -> Iterator[Slot]:
    # what the paper has is where the paper has it; what came after it is where it is asked for
    asked = [*spec.methods, *map(str, spec.where.get("method", ()))]
    installed = [name for name in METHODS.names() if name not in NEWER or name in asked]
    known = {*LABELS.values(), *(c["method"] for cell in table.cells() for c in cell.configs)}
    own = [m for m in dict.fromkeys([*installed, *spec.methods]) if m not in known]
    for cell in (*table.cells(), *table.rows_of(own)):
        chosen = [c for c in cell.configs if all(c.get(k) in v for k, v in spec.where.items())]
        if chosen and len(chosen) < len(cell.configs):
            absent = ", ".join(c["split"] for c in cell.configs if c not in chosen)
            reason = f"an average over splits of which where leaves out {absent}"
            yield Slot(table.name, cell.row, cell.column, None, reason)
            continue
        for config in chosen:
            _refuse_forced(spec, table, config)
            if config["method"] not in (*METHODS.names(), *spec.methods):
                missing = f"method {config['method']!r} is not available"
                yield Slot(table.name, cell.row, cell.column, None, missing)
                continue
            place = (table.name, cell.row, cell.column)
            yield from _slots(spec, place, spec.cell_config(config), resolver, mistakes)


def _each_validation_once(slots: Sequence[Slot]) -> list[Slot]:
    """Return the slots with those of trainings without validation classes at the end, each trial once."""
    twins = {s.trial.key: s for s in slots if s.table == VALIDATION and s.trial}
    return [*(s for s in slots if s.table != VALIDATION), *twins.values()]


def _refuse_forced(spec: Spec, table: Layout, config: Mapping[str, Any]) -> None:
    """Refuse ``--set`` on what a table fixes: its rows would hold other trials than they name."""
    fixed = [n for n, value in spec.forced.items() if n in config and config[n] != value]
    if fixed:
        given = ", ".join(f"--set {n}={format_value(spec.forced[n])}" for n in fixed)
        raise SpecError(
            f"{given}: {table.name} fixes {', '.join(fixed)} in its rows and columns; allowed: choose among "
            f"them with where, or vary {', '.join(fixed)} in a grid"
        )


def _slots(
    spec: Spec,
    place: tuple[str, str, str],
    config: dict[str, Any],
    resolver: Resolver,
    mistakes: dict[str, str],
) -> Iterator[Slot]:
    """Yield a slot a seed; what is impossible goes to ``mistakes``, by message, with its first row."""
    if config.get("kind") == Kind.PROFILE:
        yield Slot(*place, resolver.profile(config))
        return
    for seed in spec.seeds:
        try:
            yield Slot(*place, resolver.trial(config, seed))
            if spec.validation and spec.search is None:
                without = resolver.trial({**config, "evaluate_on": "validation"}, seed)
                yield Slot(VALIDATION, *place[1:], without)
        except DataError as error:
            if spec.source == "real":
                raise
            yield Slot(*place, None, explain(error))
        except DvtaError as error:
            mistakes.setdefault(str(error), f"{place[0]} {place[1]}")


def labels(visuals: Iterable[EncoderSpec | str]) -> dict[EncoderSpec, str]:
    """Return what each trained one is called beside the others.

    ``st_gcn``; ``st_gcn(epochs=12)`` where variants of it differ in that; ``st_gcn(trained)`` beside
    features of that name that are there already.
    """
    groups: dict[str, dict[EncoderSpec, dict[str, Any]]] = {}
    ready = set()
    for visual in visuals:
        if not isinstance(visual, EncoderSpec):
            ready.add(visual)
            continue
        config = visual.config()
        own: dict[str, Any] = {"seed": visual.seed, "protocol": visual.protocol, **visual.switches()}
        own |= dataclasses.asdict(config) if config else {}
        own |= dict(visual.end_to_end)
        groups.setdefault(visual.encoder, {})[visual] = own
    return {
        visual: name
        + (described(own, varying(list(group.values()))) or ("(trained)" if name in ready else ""))
        for name, group in groups.items()
        for visual, own in group.items()
    }


def described(config: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return ``(name=value name=value)``, or nothing without names."""
    return f"({' '.join(f'{n}={format_value(config.get(n))}' for n in names)})" if names else ""
