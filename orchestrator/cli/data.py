"""Commands of the data root: import, list, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.common import friendly, load_settings

data = typer.Typer(no_args_is_help=True, help="Look after the data root.")


@data.command("import")
@friendly
def data_import(
    kind: Annotated[str, typer.Argument(help="cmu, synse, dvta, smie, purls, ctr_gcn or text.")],
    path: Annotated[Path, typer.Argument(help="The folder to import; ctr_gcn: or an archive.")],
    dataset: Annotated[str, typer.Option(help="text: the data set.")] = "ntu120",
    encoder: Annotated[str, typer.Option(help="text: the encoder's id.")] = "clip",
    match: Annotated[str, typer.Option(help="text: what a file's name must have in it.")] = "",
    link: Annotated[bool, typer.Option("--link", help="smie: link large arrays, do not copy.")] = False,
    recipe: Annotated[str, typer.Option(help="ctr_gcn: frames50 or frames300.")] = "frames50",
) -> None:
    """Bring features or skeletons you have into the data root, after checking them."""
    from dvta.errors import DataError, did_you_mean
    from dvta.importers import features as imports
    from dvta.importers.ctr_gcn import import_ctr_gcn
    from dvta.importers.skeletons import import_smie

    kinds = ("cmu", "synse", "dvta", "smie", "purls", "ctr_gcn", "text")
    if kind not in kinds:
        raise DataError(f"KIND: {kind!r} is unknown{did_you_mean(kind, kinds)}; allowed: {', '.join(kinds)}")
    if not path.is_dir() and not (kind == "ctr_gcn" and path.is_file()):
        raise DataError(f"{path}: no such folder")
    root = load_settings().data
    if kind == "text":
        written = imports.import_text(path, root, dataset, encoder, match)
    elif kind == "purls":
        written = imports.import_purls(path, root)
    elif kind == "ctr_gcn":
        written = import_ctr_gcn(path, root, recipe=recipe)
    elif kind == "smie":
        written = import_smie(path, root, link=link)
    else:
        written = imports.import_features(kind, path, root)
    typer.echo(f"{len(written)} files or folders written under {root}")


@data.command("prepare")
@friendly
def data_prepare(
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

    from dvta.skeleton.prepare import prepare
    from orchestrator.cli.progress import stderr_console

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr_console()) as bar:
        task = bar.add_task(f"preparing {kind}", total=None)

        def show(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name)

        done = prepare(
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


@data.command("list")
@friendly
def data_list() -> None:
    """Print what the data root has, and where to get what it lacks."""
    from dvta import datasets
    from dvta.skeleton import splits

    root = load_settings().data
    for name in datasets.names():
        found = sorted(p.parent for p in (root / name / "features").glob("*/*/train.npy"))
        skeletons = splits.available(root, name)
        for folder in found:
            typer.echo(f"{name}: {folder.relative_to(root)}")
        for protocol in skeletons:
            typer.echo(f"{name}: {name}/skeletons/{protocol}")
        if not found and not skeletons:
            typer.echo(f"{name}: no features or skeletons under {root / name}; {datasets.get(name).where}")


@data.command("check")
@friendly
def data_check() -> None:
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
