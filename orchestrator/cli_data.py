"""Commands of the data root: import, list, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli_common import friendly, load_settings

data = typer.Typer(no_args_is_help=True, help="Look after the data root.")
encode = typer.Typer(no_args_is_help=True, help="Make features from words or skeletons.")


@data.command("import")
@friendly
def data_import(
    kind: Annotated[str, typer.Argument(help="cmu, synse, dvta or text.")],
    path: Annotated[Path, typer.Argument(help="The folder to import.")],
    dataset: Annotated[str, typer.Option(help="text: the data set.")] = "ntu120",
    encoder: Annotated[str, typer.Option(help="text: the encoder's id.")] = "clip",
) -> None:
    """Copy features you have into the data root, after checking them."""
    from dvta import data_import as imports
    from dvta.errors import DataError, did_you_mean

    kinds = ("cmu", "synse", "dvta", "text")
    if kind not in kinds:
        raise DataError(f"KIND: {kind!r} is unknown{did_you_mean(kind, kinds)}; allowed: {', '.join(kinds)}")
    root = load_settings().data
    if kind == "text":
        written = imports.import_text(path, root, dataset, encoder)
    else:
        written = imports.import_features(kind, path, root)
    typer.echo(f"{len(written)} files written under {root}")


@data.command("list")
@friendly
def data_list() -> None:
    """Print what the data root has, and where to get what it lacks."""
    from dvta import datasets

    root = load_settings().data
    for name in datasets.names():
        found = sorted(p.parent for p in (root / name / "features").glob("*/*/train.npy"))
        for folder in found:
            typer.echo(f"{name}: {folder.relative_to(root)}")
        if not found:
            typer.echo(f"{name}: no features under {root / name}; {datasets.get(name).where}")


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


@encode.command("text")
@friendly
def encode_text(
    dataset: Annotated[str, typer.Option(help="The data set whose class texts are encoded.")],
    encoder: Annotated[str, typer.Option(help="sbert, clip, clip_b32 or your own.")] = "sbert",
    model: Annotated[str | None, typer.Option(help="A model's name or folder.")] = None,
    name: Annotated[str | None, typer.Option(help="Id of the features in specs.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Your own sentences, one row a class.")] = None,
) -> None:
    """Encode labels, contexts, verbs, nouns and part texts of a data set."""
    from dvta import datasets
    from dvta.encoders.text import encode_dataset

    done = encode_dataset(
        datasets.get(dataset), load_settings().data, encoder=encoder, model=model, name=name, sentences=csv
    )
    typer.echo(f"{len(done.files)} files of width {done.dim} by {done.model} in {done.files[0].parent}")
