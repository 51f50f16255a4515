"""Stored values as the reports read them, made up for tests."""

import json

from orchestrator.report.table import build_table
from orchestrator.store import CellValue
from orchestrator.tables import TABLES, layout
from orchestrator.trial import State


def value(
    row, column, seed, final, split="55/5", source="real", missing=None, results=None, device=None, **config
):
    key = None if missing else f"{row}{column}{seed}{split}{sorted(config.items())}"
    flat = {
        "kind": "alignment",
        "dataset": "ntu60",
        "split": split,
        "method": "dvta",
        "source": source,
        **config,
    }
    state = None if final is None else State.DONE
    best = None if final is None else final + 0.1
    return CellValue(
        "t", row, column, missing, key, seed, "digest", flat, state, 1, final, best, 1.0, None,
        json.dumps(results or {"parameters": 4_888_193.0}), device and json.dumps({"device": device}),
    )  # fmt: skip


def table5(source="real"):
    return [
        value(c.row, c.column, seed, 0.5 + 0.1 * seed, c.configs[0]["split"], source)
        for c in layout(5).cells()
        for seed in range(3)
    ]


def generalised(row, column, seed, harmonic):
    results = {"gzsl_seen": 0.9, "gzsl_unseen": 0.1, "gzsl_harmonic": harmonic}
    return value(row, column, seed, 0.7, results=results, evaluate_on="gzsl")


def full_tables():
    for name in TABLES:
        shape = layout(name)
        values = [value(c.row, c.column, s, 0.5) for c in shape.cells() for s in range(2)]
        yield build_table(values, protocol="final", study="a_b & 100 %", layout=shape)
