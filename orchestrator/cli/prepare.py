"""Commands of recordings: prepare, joints, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.common import friendly, load_settings


@friendly
def prepare(
    kind: Annotated[str, typer.Argument(help="ntu, pku or bvh (BVH or Acclaim).")],
    path: Annotated[Path, typer.Argument(help="The folder of recordings, searched with its subfolders.")],
    dataset: Annotated[str | None, typer.Option(help="ntu60, ntu120, pku, cmu or your own.")] = None,
    protocol: Annotated[str, typer.Option(help="xsub, xview or xsetup.")] = "xsub",
    recipe: Annotated[str, typer.Option(help="frames50 or frames300.")] = "frames50",
    ignore: Annotated[Path | None, typer.Option(help="ntu: the list of incomplete recordings.")] = None,
    classes: Annotated[Path | None, typer.Option(help="bvh: a table of clip,class id.")] = None,
    add: Annotated[bool, typer.Option("--add", help="bvh: keep other clips prepared earlier.")] = False,
    on_error: Annotated[str, typer.Option("--on-error", help="stop at a broken file, or skip it.")] = "stop",
    processes: Annotated[int | None, typer.Option(help="Worker processes; one a core without it.")] = None,
) -> None:
    """Turn raw recordings into the arrays that encoders read."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from dvta.skeleton import prepare as preparing
    from orchestrator.cli.progress import stderr_console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr_console()) as bar:
        task = bar.add_task(f"preparing {kind}", total=None)

        def show(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name)

        done = preparing.prepare(
            kind, path, load_settings().data, dataset=dataset, protocol=protocol, recipe=recipe, ignore=ignore,
            classes=classes, add=add, on_error=on_error, processes=processes, progress=show,
        )  # fmt: skip
    for file, reason in done.skipped:
        typer.echo(f"left out: {file}: {reason}", err=True)
    if done.absent:
        some = ", ".join(done.absent[:3])
        typer.echo(
            f"{len(done.absent)} clips of the class table have no recording here, such as {some}", err=True
        )
    counts = ", ".join(f"{count} {part}" for part, count in done.samples.items())
    typer.echo(f"{counts} samples in {done.folder}; {len(done.skipped)} recordings left out")


@friendly
def check() -> None:
    """Read and check every feature file of the data root."""
    from dvta import datasets, features
    from dvta.errors import DvtaError

    root, wrong, count = load_settings().data, 0, 0
    for name in datasets.names():
        for split in datasets.get(name).splits:
            for train in sorted((root / name / "features").glob(f"*/{split.replace('/', '-')}/train*.npy")):
                if train.stem != "train":
                    continue
                count += 1
                try:
                    features.locate(
                        root, name, split, train.parent.parent.name, "sbert", source="real"
                    ).load()
                except DvtaError as error:
                    wrong += 1
                    typer.echo(f"wrong: {error}", err=True)
    typer.echo(f"{count} feature folders checked, {wrong} wrong")
    raise typer.Exit(2 if wrong else 0)
