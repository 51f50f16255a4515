"""Commands of the data root: import, list; and of encoders and predictions."""

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
