"""Run the benchmarks and write what they measured: docs/performance.json, and the table of docs/performance.md.

    python -m tests.benchmarks [NAME]...

Each runs in a process of its own; those that are not named keep the rows they had, of the machine they had them on.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.rows import Row, machine
from tests.conftest import ROOT

NAMES = (
    "step",
    "methods",
    "stacked",
    "overhead",
    "growth",
    "plan",
    "start_up",
    "report_store",
    "page",
    "stream",
    "accuracy",
)
JSON, MARKDOWN = ROOT / "docs/performance.json", ROOT / "docs/performance.md"
BEGIN, END = "<!-- written by make bench -->", "<!-- end of what make bench writes -->"


def main(names: list[str]) -> None:
    """Run some benchmarks, by default all, and write the table."""
    for name in names:
        if name not in NAMES:
            sys.exit(f"{name}: no benchmark; allowed: {', '.join(NAMES)}")
    rows = {Row(**row) for row in json.loads(JSON.read_text())["rows"]} if JSON.exists() else set()
    for name in names or NAMES:
        began = time.perf_counter()
        load = os.getloadavg()[0]
        done = subprocess.run(
            [sys.executable, "-c", f"from tests.benchmarks.__main__ import one; one({name!r})"],
            stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True,
        )  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        found = [Row(**line | {"machine": machine()}) for line in lines]
        for row in found:
            print(row, flush=True)
        print(f"{name}: {time.perf_counter() - began:.0f} s, load {load:.1f} at its start", flush=True)
        rows = {row for row in rows if row.benchmark != name} | set(found)
    ordered = sorted(rows, key=lambda row: (NAMES.index(row.benchmark), row.what))
    JSON.write_text(
        json.dumps({"rows": [dataclasses.asdict(row) for row in ordered]}, indent=1, ensure_ascii=False)
        + "\n"
    )
    write_table(MARKDOWN, ordered)


def one(name: str) -> None:
    """Print the rows of one benchmark as JSON, a line each."""
    for row in importlib.import_module(f"tests.benchmarks.bench_{name}").measure():
        print(json.dumps(dataclasses.asdict(row)), flush=True)


def write_table(path: Path, rows: list[Row]) -> None:
    """Write the table between its marks, one for every machine that measured."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = []
    for place in dict.fromkeys(row.machine for row in rows):
        tables += [f"Measured on {place}.", "", "| | | in the same run |", "|---|---|---|"]
        tables += [f"| {r.what} | {r.shown} {r.unit} | {r.beside} |" for r in rows if r.machine == place]
        tables.append("")
    text = "\n".join(tables).strip()
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
