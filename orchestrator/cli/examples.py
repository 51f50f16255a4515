"""One or two examples of every command, shown at the end of its ``--help``; no line is wider than 76 columns."""

from __future__ import annotations

from collections.abc import Mapping

import typer

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "data check": ("data check", "data check --json"),
    "data import": (
        "data import synse features/ --dataset ntu60",
        "data import arrays x.npy --dataset cmu --labels y.npy",
    ),
    "data joints": ("data joints walk.bvh",),
    "data list": ("data list",),
    "data new": ("data new gym recordings/ --split hard=jump,throw",),
    "data prepare": (
        "data prepare ntu nturgb+d_skeletons/ --protocol xsub",
        "data prepare bvh recordings/ --classes classes.csv --dataset gym",
    ),
    "db check": ("db check",),
    "db export": ("db export csv/", "db export --archive study.dvta --study quickstart"),
    "db import": ("db import study.dvta",),
    "db upgrade": ("db upgrade",),
    "doctor": ("doctor", "--quiet doctor --json"),
    "encode skeleton": ("encode skeleton --dataset cmu --split split_1",),
    "encode text": ("encode text --dataset ntu60 --encoder clip",),
    "export": ("export 3f9a2c --format onnx --output model.onnx",),
    "figure": (
        "figure curves --output curves.pdf",
        "figure confusion --trial 3f9a2c --output confusion.png",
    ),
    "judge": ("judge --table leaderboard", "judge --rows method --against dvta --format md"),
    "mirror": ("mirror --page", "mirror --register dvta-cmu 3f9a2c"),
    "page": ("page --output study.html", "page --watch --study quickstart"),
    "plan": ("plan experiments/quickstart.yaml", "plan spec.yaml --set epochs=5 --json"),
    "predict": (
        "predict walk.bvh walking 'jumping=a person jumps' --trial 3f9a2c",
        "predict --watch live.skeleton --phrases words.txt --trial 3f9a2c",
    ),
    "profile": ("profile dvta smie",),
    "query": (
        'query "SELECT method, AVG(final) FROM results GROUP BY 1"',
        'query "SELECT * FROM cells" --csv',
    ),
    "report": (
        "report --table 5 --output table5.tex",
        "report --study before --study after --rows method --cols split",
    ),
    "reproduce": ("reproduce 5 --dry-run", "reproduce experiments/table5.yaml --profile paper"),
    "show": ("show 3f9a2c", "show 3f9a2c --log"),
    "status": ("status --watch", "status --study quickstart --json"),
    "sweep": (
        "sweep experiments/quickstart.yaml",
        "sweep spec.yaml --set epochs=5 --executor inline",
    ),
    "trials": (
        "trials --state failed --study quickstart",
        "trials 'gamma>0.1' 'epochs<=15' 'method=dvta|smie' --csv",
    ),
    "ui": ("ui --port 5001", "ui --search"),
}  # fmt: skip


def add_examples(app: typer.Typer, words: tuple[str, ...] = ()) -> None:
    """Give every command of an application its examples."""
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_examples(group.typer_instance, (*words, group.name) if isinstance(group.name, str) else words)
    for command in app.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "").replace("_", "-")
        examples = EXAMPLES.get(" ".join((*words, name)), ())
        if examples:
            command.epilog = "\n".join(("Examples:", *(f"  dvta-orch {example}" for example in examples)))
