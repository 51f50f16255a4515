"""Twenty seeds trained as one stacked model against the same trained apart, on the cores there are.

Apart, every core has a process with one thread and its share of the seeds, as a sweep runs them;
stacked, every core has a process with one thread and one stack of its share. Both train an epoch in turn,
in one run; what counts is processor time, which other work on the machine does not change. Writes the table that :func:`dvta.facts.stacking.pays` reads.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

import dvta.stacking
from dvta.facts.stacking import BENCHMARK
from dvta.features import ClassText, FeatureSet
from dvta.methods import METHODS, build
from dvta.stacking import Stack
from dvta.training import Fit, fit
from dvta.training_config import TrainingConfig
from orchestrator.execute.memory import keep_freed_pages
from tests.benchmarks.rows import Row

SEEDS, ROUNDS = 20, 2
VISUAL, TEXT, CLASSES, UNSEEN, SAMPLES = 256, 768, 60, 5, 1280
METHODS_MEASURED = ("smie", "cada_vae", "synse", "devise")
#: the published cycle's proportions in fewer steps, so that a round takes seconds
OPTIONS: dict[str, dict[str, Any]] = {"cada_vae": {"cycle_steps": 95}, "synse": {"cycle_steps": 95}}


def make_features() -> FeatureSet:
    """Return random features of the published width, 55 of 60 classes seen."""
    generator = torch.Generator().manual_seed(0)
    labels, contexts, verbs, nouns = torch.randn(4, CLASSES, TEXT, generator=generator).unbind()
    text = ClassText(torch.arange(CLASSES), labels, contexts, verbs, nouns)
    mix = torch.randn(TEXT, VISUAL, generator=generator) / TEXT**0.5

    def draw(low: int, high: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        label = torch.randint(low, high, (count,), generator=generator)
        return (labels[label] @ mix).relu(), label

    train, test = draw(UNSEEN, CLASSES, SAMPLES), draw(0, UNSEEN, SAMPLES // 4)
    names = tuple(f"class {c}" for c in range(CLASSES))
    return FeatureSet(
        "made up", "1", "made up", "made up", "simulated", "benchmark", *train, *test, None, None, text,
        names, tuple(range(UNSEEN, CLASSES)), tuple(range(UNSEEN)),
    )  # fmt: skip


def make_fits(name: str, seeds: range, features: FeatureSet) -> list[Fit]:
    """Return one run for every seed, at the method's own settings."""
    config = TrainingConfig(**{**METHODS.get(name).training_defaults, "epochs": 100})

    def start(seed: int) -> Fit:
        torch.manual_seed(seed)
        method = build(name, visual_dim=VISUAL, text_dim=TEXT, **OPTIONS.get(name, {}))
        return fit(method, features, config, seed=seed)

    return [start(seed) for seed in seeds]


def work(name: str, seeds: range, pipe: Connection) -> None:
    """Train an epoch of all seeds, apart or stacked as asked, until told to stop."""
    torch.set_num_threads(1)
    keep_freed_pages()
    features = make_features()
    apart, stack = make_fits(name, seeds, features), Stack(make_fits(name, seeds, features))
    forms: dict[str, Callable[[], object]] = {
        "apart": lambda: [next(run) for run in apart],
        "stacked": lambda: next(stack),
    }
    while form := pipe.recv():
        began = time.process_time()
        forms[form]()
        pipe.send(time.process_time() - began)


def epochs(name: str) -> dict[str, float]:
    """Return the median processor seconds of an epoch of all seeds, apart and stacked."""
    cores = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    pipes, workers = [], []
    for core in range(cores):
        ours, theirs = context.Pipe()
        workers.append(context.Process(target=work, args=(name, range(core, SEEDS, cores), theirs)))
        workers[-1].start()
        pipes.append(ours)
    seconds: dict[str, list[float]] = {"apart": [], "stacked": []}
    for number in range(ROUNDS + 1):
        for form, found in seconds.items():
            for pipe in pipes:
                pipe.send(form)
            taken = sum(pipe.recv() for pipe in pipes)
            if number:  # the first round warms up
                found.append(taken)
    for pipe, worker in zip(pipes, workers, strict=True):
        pipe.send("")
        worker.join()
    return {form: statistics.median(found) for form, found in seconds.items()}


def measure() -> Iterator[Row]:
    """Yield the throughput of each method, and write the table beside :mod:`dvta.stacking`."""
    throughput = {}
    for name in METHODS_MEASURED:
        found = epochs(name)
        throughput[name] = round(found["apart"] / found["stacked"], 2)
        yield Row(
            "stacked",
            f"{SEEDS} seeds of {name}, throughput stacked",
            throughput[name],
            "times",
            f"an epoch of each: apart {found['apart']:.2f} s, stacked {found['stacked']:.2f} s of processor time",
        )
    path = Path(dvta.stacking.__file__).with_name(BENCHMARK)
    known = json.loads(path.read_text())["throughput"]
    machine = f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}, torch {torch.__version__}"
    content = {"machine": {"cpu": machine}, "throughput": {**known, "cpu": throughput}}
    path.write_text(json.dumps(content, indent=2) + "\n")
