"""A study as its YAML file describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

Point = dict[str, Any]
YamlPath = tuple[Any, ...]  # of a value in the file
DATA_TYPES: dict[str, Any] = {
    "dataset": str,
    "split": str,
    "visual": str,
    "text": str,
    "method": str,
    "train": Literal["pre_extracted", "end_to_end"],
}
DEFAULTS: Point = {
    "method": "dvta",
    "visual": "shift_gcn",
    "text": "sbert",
    "train": "pre_extracted",
    "evaluate_on": "unseen",
}

LARGEST_SEED = 2**31 - 1  # what every database and random generator takes
MAX_TRIALS = 1_000_000
GRID_POINTS = 5  # that a grid sampler tries of a range without a step
Whole = Annotated[int, Field(strict=True)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class When(_Strict):
    """Constants for some configurations: visible in the file instead of hidden in code."""

    when: Point
    set: Point


class Resources(_Strict):
    """What one trial takes, and how many may run at once (0: as many as fit).

    ``gpus_per_trial: auto`` lets the first trial run alone on a GPU and takes the share of the memory
    that it used; without a GPU in the cluster it is 0. ``stack`` is how many trials that differ only in values
    train as one model: ``auto`` where that was measured to pay, a number up to so many always, ``off`` never.
    ``workers`` processes share an end-to-end trial's ``cpus_per_trial``; with GPUs, each has one.
    """

    cpus_per_trial: float = Field(1.0, gt=0)
    gpus_per_trial: Annotated[float, Field(ge=0)] | Literal["auto"] = 0.0
    max_concurrent: Whole = Field(0, ge=0)
    restarts: Whole = Field(3, ge=0)
    stack: int | str = "auto"
    workers: Whole = Field(1, ge=1)

    @model_validator(mode="after")
    def _one_gpu_each(self) -> Resources:
        if self.workers > 1 and self.gpus_per_trial not in (0, self.workers):
            raise PydanticCustomError(
                "workers", f"with workers: {self.workers}, gpus_per_trial should be 0 or {self.workers}"
            )
        return self

    @field_validator("stack", mode="before")
    @classmethod
    def _stack(cls, value: Any) -> Any:
        value = "off" if value is False else value  # as YAML reads it
        if value in ("auto", "off") or (type(value) is int and value >= 1):
            return value
        raise PydanticCustomError("stack", "input should be auto, off or a whole number from 1")


class Checkpoint(_Strict):
    """How often a running trial writes a checkpoint, and whether weights are kept at its end."""

    every_seconds: float = Field(30.0, ge=0)
    models: Literal["none", "first_seed", "all"] = "none"


class Axis(_Strict):
    """One searched option."""

    type: Literal["float", "int", "categorical"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = Field(None, gt=0)
    choices: list[Any] = []
    when: Point = {}

    @property
    def pace(self) -> float | None:
        """The distance between its values, None where any number is one."""
        return self.step or (1.0 if self.type == "int" else None)


class Search(_Strict):
    """An Optuna search in every cell of the grid.

    ``repeats`` of it, each with a seed of its own, show how much its winner owes to chance.
    """

    space: dict[str, Axis]
    trials: Whole = Field(20, gt=0)
    repeats: Whole = Field(1, gt=0)
    sampler: Literal["tpe", "random", "gp", "cmaes", "grid"] = "tpe"
    pruner: Literal["none", "median", "percentile", "hyperband", "successive_halving"] = "none"
    objective: Literal["val_acc", "test"] = "val_acc"
    seed: Seed = 0
    enqueue: list[Point] = []


class Spec(_Strict):
    """A study. Flat names are those of :meth:`orchestrator.trial.Trial.config`.

    ``methods`` are yours, by entry point or dotted path: each gets a row in the tables of methods.
    ``splits`` are yours too: the unseen classes, by name or id, by the split's name. A spec that comes to
    more than ``max_trials`` is refused before any is made. ``validation`` trains every trial once more without
    its validation classes, for the protocol of that name.
    """

    study: str
    description: str = ""
    extends: str | None = None
    tables: list[int | str] = []
    methods: list[str] = []
    splits: dict[str, Annotated[list[int | str], Field(min_length=1)]] = {}
    where: dict[str, list[Any]] = {}
    grid: dict[str, list[Any]] = {}
    include: list[Point] = []
    exclude: list[Point] = []
    defaults: Point = {}
    overrides: list[When] = []
    seeds: Annotated[list[Seed], Field(min_length=1)] = [0]
    max_trials: Whole = Field(MAX_TRIALS, gt=0)
    profiles: dict[str, Point] = {}
    profile: str | None = None
    protocol: Literal["zsl", "gzsl"] = "zsl"
    validation: bool = False
    source: Literal["auto", "real", "simulated"] = "auto"
    resources: Resources = Field(default_factory=Resources)
    checkpoint: Checkpoint = Field(default_factory=Checkpoint)
    lease_seconds: float = Field(60.0, ge=3)
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    search: Search | None = None
    forced: Point = {}
    text: str = ""

    @field_validator("study")
    @classmethod
    def _name(cls, value: str) -> str:
        if not re.fullmatch(r"[\w.-]+", value):
            raise PydanticCustomError("study", "a name of letters, digits, _, . and -")
        return value

    @field_validator("seeds", mode="before")
    @classmethod
    def _count(cls, value: Any) -> Any:
        if isinstance(value, list):
            return value
        if type(value) is not int:
            raise PydanticCustomError("seeds", "a number of seeds, or a list of them")
        return list(range(value))

    @field_validator("where", "grid", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: v if isinstance(v, list) else [v] for k, v in value.items()}

    def cell_config(self, cell: Mapping[str, Any]) -> Point:
        """Return a cell's configuration over profile and defaults, under ``--set``.

        A rule of ``overrides`` may ask for the ``profile`` too. Order, later wins: defaults, profile, overrides that match, the cell, ``--set``.
        """
        config = self._shared()
        for rule in self._matching(config, cell):
            config |= rule.set
        return {**config, **cell, **self.forced}

    def rules_for(self, cell: Mapping[str, Any]) -> list[When]:
        """Return the overrides that match a cell, in their order."""
        return self._matching(self._shared(), cell)

    def _matching(self, shared: Point, cell: Mapping[str, Any]) -> list[When]:
        whole = {**shared, **cell, **self.forced, "profile": self.profile}
        return [rule for rule in self.overrides if all(whole.get(k) == v for k, v in rule.when.items())]

    def _shared(self) -> Point:
        """Return what every cell starts from."""
        config: Point = {**DEFAULTS, **self.defaults, **self.profiles.get(self.profile or "", {})}
        return config | ({"evaluate_on": "gzsl"} if self.protocol == "gzsl" else {})

    def grid_names(self) -> list[str]:
        """Return the names the grid varies, coupled ones apart."""
        return [n.strip() for names in self.grid for n in names.split(",")]
