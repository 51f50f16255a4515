"""From a spec to its trials: one generator, no input or output, no Ray."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dvta.arrays import digest
from dvta.datasets.stand_in import StandIn
from dvta.errors import DataError, DvtaError, OptionError, did_you_mean
from dvta.features import DataRef
from dvta.methods import METHODS, Method
from dvta.skeleton.splits import SkeletonSplit
from dvta.training import TrainingConfig
from orchestrator.errors import SpecError, explain
from orchestrator.records import Slot
from orchestrator.spec.model import DEFAULTS, Spec
from orchestrator.study.visual import TrainedVisual, described, labels
from orchestrator.tables import GENERALISED, Layout, layout
from orchestrator.tables import METHODS as LABELS
from orchestrator.trial import Trial, text, varying

TRAINING = frozenset(f.name for f in dataclasses.fields(TrainingConfig))
STAND_IN = frozenset(f.name for f in dataclasses.fields(StandIn))
PLACE = ("dataset", "split", "visual", "text")

PUBLISHED = frozenset(LABELS.values())

Locate = Callable[..., DataRef]


class Resolver:
    """Turns flat configurations into trials; finds each distinct data set and method once.

    Args:
        locate: :func:`dvta.features.locate` without its data root.
        source: ``auto``, ``real`` or ``simulated``.
        skeletons: :func:`dvta.skeleton.splits.load` without its data root.
        encoded: the folder of an encoder trial's features by its key.

    Attributes:
        refs: data digest -> the features a trial reads.
        encoders: key -> the encoder trial others need, with its skeletons.
        wanted: key of an encoder trial -> what its readers need beyond pooled and un-pooled features.
        mistakes: what is wrong with configurations, by message, with the first row that has it.
    """

    def __init__(
        self,
        locate: Locate,
        source: str,
        skeletons: Callable[..., SkeletonSplit] | None = None,
        encoded: Callable[[str], str] = lambda key: f"features/{key}",
    ) -> None:
        self._locate, self._source = locate, source
        self._skeletons, self.encoded = skeletons, encoded
        self.encoders: dict[str, tuple[Trial, SkeletonSplit]] = {}
        self._data: dict[Any, DataRef | DataError] = {}
        self._splits: dict[tuple[str, str, str | None], SkeletonSplit | DataError] = {}
        self._options: dict[Any, tuple[dict[str, Any], frozenset[str]]] = {}
        self.refs: dict[str, DataRef] = {}
        self.wanted: dict[str, frozenset[str]] = {}
        self.mistakes: dict[str, str] = {}

    def trial(self, config: Mapping[str, Any], seed: int) -> Trial:
        """Return the trial of a flat configuration.

        Raises:
            DataError: its features or texts are missing.
            OptionError, UnknownNameError: a value is impossible, or a name is unknown.
        """
        full = {**DEFAULTS, **config}
        for name in ("dataset", "split"):
            if name not in full:
                raise OptionError(f"no {name}; name one under defaults, grid or include")
        method = METHODS.get(full["method"])
        stand_in = {k: v for k, v in full.items() if k in STAND_IN}
        given = _options_given(method, full)
        memo = (full["method"], tuple(sorted(given.items(), key=lambda item: item[0])))
        if memo not in self._options:
            options = method.options_class.resolve(given)
            self._options[memo] = (options.canonical(), method.needs(options))
        canonical, needs = self._options[memo]
        if full["evaluate_on"] == "gzsl":
            needs |= {"generalised"}
        encoder = self._encoder(full, seed) if isinstance(full["visual"], TrainedVisual) else None
        if encoder is not None:
            _check_made(full["visual"], full["method"], needs)
            self.wanted[encoder.key] = self.wanted.get(encoder.key, frozenset()) | (needs & {"masked"})
        ref = self._find(full, stand_in, needs, encoder)
        return Trial(
            method=full["method"],
            revision=method.revision,
            dataset=full["dataset"],
            split=full["split"],
            visual=str(full["visual"]),
            text=full["text"],
            seed=seed,
            source=ref.source,
            data_digest=ref.digest,
            options=canonical,
            training=_settings(method, full),
            stand_in=dataclasses.asdict(ref.stand_in) if ref.source == "simulated" else {},
            evaluate_on=full["evaluate_on"],
            needs=encoder.key if encoder else None,
        )

    def profile(self, config: Mapping[str, Any]) -> Trial:
        """Return the trial that measures a method's cost; it reads no data and has no seed."""
        method = METHODS.get(config["method"])
        given = {k: v for k, v in config.items() if k == "preset"}
        return Trial(
            method=config["method"],
            revision=method.revision,
            dataset=config["dataset"],
            split=config["split"],
            visual=config["visual"],
            text=config["text"],
            seed=0,
            source="random",
            data_digest=digest("random input"),
            options=method.options_class.resolve(given).canonical(),
            training={"visual_dim": 256, "text_dim": method.published_text_dim, "candidates": 12},
            kind="profile",
        )

    def _encoder(self, full: Mapping[str, Any], seed: int) -> Trial:
        """Return the encoder trial whose features a configuration reads."""
        visual: TrainedVisual = full["visual"]
        place = (full["dataset"], full["split"], visual.protocol)
        if self._skeletons is None or self._source == "simulated":
            raise DataError(
                f"visual {visual.encoder}: encoders are trained on real skeletons, never on simulated ones"
            )
        if place not in self._splits:
            try:
                self._splits[place] = self._skeletons(*place[:2], protocol=visual.protocol)
            except DataError as error:
                self._splits[place] = error
        data = self._splits[place]
        if isinstance(data, DataError):
            raise data
        # tuning must not see the validation classes through the encoder either
        trial = visual.trial(data, seed, held_out=full["evaluate_on"] == "validation")
        self.encoders.setdefault(trial.key, (trial, data))
        return self.encoders[trial.key][0]

    def _find(
        self,
        full: Mapping[str, Any],
        stand_in: dict[str, Any],
        needs: frozenset[str],
        encoder: Trial | None,
    ) -> DataRef:
        place = tuple(str(full[name]) for name in PLACE)
        memo = (place, tuple(sorted(stand_in.items())), needs, encoder)
        if memo not in self._data:
            try:
                made = (self.encoded(encoder.key), encoder.key) if encoder else None
                ref = self._locate(
                    *place, source=self._source, stand_in=StandIn(**stand_in), needs=needs, made=made
                )
                self.refs[ref.digest] = ref
                self._data[memo] = ref
            except DataError as error:
                self._data[memo] = error
        found = self._data[memo]
        if isinstance(found, DataError):
            raise found
        return found


def check_settings(config: Mapping[str, Any]) -> None:
    """Build the options and settings of a flat configuration, without looking for its data.

    Raises:
        OptionError: a value is impossible, alone or beside the others.
    """
    full = {**DEFAULTS, **config}
    method = METHODS.get(full["method"])
    method.options_class.resolve(_options_given(method, full))
    _settings(method, full)
    StandIn(**{k: v for k, v in full.items() if k in STAND_IN})


def _options_given(method: type[Method], config: Mapping[str, Any]) -> dict[str, Any]:
    known = {"preset", *(f.name for f in dataclasses.fields(method.options_class))}
    return {k: v for k, v in config.items() if k in known}


def _check_made(visual: TrainedVisual, method: str, needs: frozenset[str]) -> None:
    """Refuse what an encoder cannot make.

    Raises:
        DataError: the method needs more than pooled features, and nothing is trained to make them.
    """
    for need in sorted(needs & {"masked", "unpooled"}):
        if not visual.trained:
            raise DataError(f"{method} needs {need} features, which {visual} does not make; train an encoder")


def _settings(method: type[Method], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return all training settings; a method's own warm-up yields to fewer epochs."""
    given = {k: v for k, v in config.items() if k in TRAINING}
    settings = {**method.training_defaults, **given}
    if "warmup_epochs" not in given and "epochs" in given:
        settings["warmup_epochs"] = min(settings.get("warmup_epochs", 0), max(given["epochs"] - 1, 0))
    return dataclasses.asdict(TrainingConfig(**settings))


def expand(spec: Spec, resolver: Resolver) -> Iterator[Slot]:
    """Yield the slots of a spec, in the order of its tables, rows and columns.

    Raises:
        DataError: visual features are missing and the source is ``real``.
        SpecError: configurations are impossible (all of them at once), ``where`` names what no table has, or
            ``--set`` what a table fixes.
    """
    _check_where(spec)
    for number in spec.tables:
        yield from _table(spec, layout(number), resolver)
    for row, config in grid_cells(spec):
        generalised = config["evaluate_on"] == "gzsl" and spec.search is None
        for column in GENERALISED if generalised else ("accuracy",):
            yield from _slots(spec, "grid", row, column, config, resolver)
    yield from encoder_slots([trial for trial, _ in resolver.encoders.values()])
    if resolver.mistakes:
        lines = [f"  {row}: {message}" for message, row in resolver.mistakes.items()]
        raise SpecError("\n".join([f"{len(lines)} mistakes" if len(lines) > 1 else "1 mistake", *lines]))


def _check_where(spec: Spec) -> None:
    """Refuse a value of ``where`` that no cell of the tables has."""
    configs = [c for number in spec.tables for cell in layout(number).cells() for c in cell.configs]
    for name, values in spec.where.items():
        known = dict.fromkeys(str(c[name]) for c in configs if name in c)
        if name == "method":
            known |= dict.fromkeys([*METHODS.names(), *spec.methods])
        for value in values:
            if configs and known and str(value) not in known:
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
    """Return the row and the configuration of every point of the grid."""
    points = list(grid_points(spec.grid, spec.include, spec.exclude, spec.settle))
    settled = [spec.settle(point) for point in points]
    known = labels(c["visual"] for c in settled)
    # an included point may name what the grid does not vary
    names = list(dict.fromkeys([*spec.grid_names(), *(n for p in spec.include for n in p)]))
    rows = []
    for point in points:
        own = {k: point[k] for k in names if k in point}
        shown = {k: known[v] if isinstance(v, TrainedVisual) else text(v) for k, v in own.items()}
        rows.append(",".join(f"{k}={v}" for k, v in shown.items()) or spec.study)
    return list(zip(rows, settled, strict=True))


def grid_points(
    grid: Mapping[str, list[Any]],
    include: list[dict[str, Any]],
    exclude: list[dict[str, Any]],
    settle: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda point: point,
) -> Iterator[dict[str, Any]]:
    """Yield the product of the axes, less what matches an exclude once settled, plus the includes.

    An axis ``"a, b"`` varies both names together.
    """
    if grid:
        axes = [[_coupled(names, value) for value in values] for names, values in grid.items()]
        for parts in itertools.product(*axes):
            point = {k: v for part in parts for k, v in part.items()}
            full = settle(point) if exclude else point
            if not any(all(full.get(k) == v for k, v in rule.items()) for rule in exclude):
                yield point
    yield from include


def _coupled(names: str, value: Any) -> dict[str, Any]:
    keys = [n.strip() for n in names.split(",")]
    return {names.strip(): value} if len(keys) == 1 else dict(zip(keys, value, strict=True))


def _table(spec: Spec, table: Layout, resolver: Resolver) -> Iterator[Slot]:
    own = [m for m in dict.fromkeys([*METHODS.names(), *spec.methods]) if m not in PUBLISHED]
    for cell in (*table.cells(), *table.rows_of(own)):
        chosen = [c for c in cell.configs if all(c[k] in v for k, v in spec.where.items() if k in c)]
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
            yield from _slots(spec, table.name, cell.row, cell.column, spec.settle(config), resolver)


def _refuse_forced(spec: Spec, table: Layout, config: Mapping[str, Any]) -> None:
    """Refuse ``--set`` on what a table fixes: its rows would hold other trials than they name."""
    fixed = [n for n, value in spec.forced.items() if n in config and config[n] != value]
    if fixed:
        given = ", ".join(f"--set {n}={text(spec.forced[n])}" for n in fixed)
        raise SpecError(
            f"{given}: {table.name} fixes {', '.join(fixed)} in its rows and columns; allowed: choose among "
            f"them with where, or vary {', '.join(fixed)} in a grid"
        )


def _slots(
    spec: Spec, table: str, row: str, column: str, config: dict[str, Any], resolver: Resolver
) -> Iterator[Slot]:
    if config.get("kind") == "profile":
        yield Slot(table, row, column, resolver.profile(config))
        return
    for seed in spec.seeds:
        try:
            yield Slot(table, row, column, resolver.trial(config, seed))
        except DataError as error:
            if spec.source == "real":
                raise
            yield Slot(table, row, column, None, explain(error))
        except DvtaError as error:
            resolver.mistakes.setdefault(str(error), f"{table} {row}")
