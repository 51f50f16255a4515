"""Commands of the data root: import, new, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.common import counted, friendly, load_settings, names_of, near, pairs
from orchestrator.cli.output import AsJson, print_json, say

data = typer.Typer(no_args_is_help=True, help="Look after the data root.")


KINDS = ("arrays", "cmu", "ctr_gcn", "dvta", "flora", "purls", "smie", "synse", "text")
FROM_FILES = ("arrays", "ctr_gcn", "flora")  # read a file too, not only a folder


@data.command("import")
@friendly
def data_import(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")],
    path: Annotated[Path, typer.Argument(help="The folder; arrays, flora, ctr_gcn: or a file.")],
    dataset: Annotated[str | None, typer.Option(help="The data set, where names do not tell it.")] = None,
    split: Annotated[str | None, typer.Option(help="arrays, synse, flora: the split of features.")] = None,
    unseen: Annotated[
        str | None, typer.Option(help="The unseen classes of a split of your own: names or ids, with commas.")
    ] = None,
    visual: Annotated[str | None, typer.Option(help="Id of the features in specs.")] = None,
    labels: Annotated[
        str, typer.Option(help="auto, global or renumbered; arrays: or a file of labels.")
    ] = "auto",
    protocol: Annotated[str | None, typer.Option(help="arrays: xsub or another, of skeletons.")] = None,
    fps: Annotated[float, typer.Option(help="arrays: frames a second of skeletons.")] = 30.0,
    encoder: Annotated[str, typer.Option(help="text: the encoder's id.")] = "clip",
    match: Annotated[str, typer.Option(help="text: what a file's name must have in it.")] = "",
    join: Annotated[str, typer.Option(help="text: parts joined: labels,contexts,motions as MSF.")] = "",
    link: Annotated[bool, typer.Option("--link", help="smie: link large arrays, do not copy.")] = False,
    recipe: Annotated[str, typer.Option(help="ctr_gcn, arrays: frames50 or frames300.")] = "frames50",
) -> None:
    """Bring features or skeletons you have into the data root, after checking them."""
    from dvta.datasets.describe import parse_splits
    from dvta.errors import DataError, did_you_mean
    from dvta.importers import features
    from dvta.importers.arrays import import_arrays
    from dvta.importers.ctr_gcn import import_ctr_gcn
    from dvta.importers.purls import import_purls
    from dvta.importers.skeletons import import_smie
    from dvta.importers.texts import import_text

    if kind not in KINDS:
        raise DataError(f"KIND: {kind!r} is unknown{did_you_mean(kind, KINDS)}; allowed: {', '.join(KINDS)}")
    if not path.is_dir() and not (kind in FROM_FILES and path.is_file()):
        raise DataError(f"{path}: no such {'file or ' if kind in FROM_FILES else ''}folder")
    root = load_settings().data
    counting = labels if labels in features.COUNTING or kind != "arrays" else "auto"
    held = tuple(parse_splits({"unseen": unseen})["unseen"]) if unseen is not None else None
    choice = features.Choice(dataset, split, visual, held, counting)
    if kind == "arrays":
        file = None if labels in features.COUNTING else Path(labels)
        done = import_arrays(path, root, choice, labels=file, protocol=protocol, recipe=recipe, fps=fps)
    elif kind == "text":
        done = import_text(path, root, dataset or "ntu120", encoder, match, names_of(join))
    elif kind == "purls":
        done = import_purls(path, root)
    elif kind == "ctr_gcn":
        done = import_ctr_gcn(path, root, recipe=recipe)
    elif kind == "smie":
        done = import_smie(path, root, link=link)
    else:
        done = features.import_features(kind, path, root, choice)
    for note in done.notes:
        say(note)
    typer.echo(f"{counted(len(done.files), 'file or folder')} written under {near(root)}")


@data.command("new")
@friendly
def data_new(
    name: Annotated[str, typer.Argument(help="Its name in specs: letters, digits, _ and -.")],
    path: Annotated[
        Path, typer.Argument(help="A folder of a subfolder a class, or a table with a column class.")
    ],
    split: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=CLASS,CLASS", help="A split by its unseen classes, by name or id."),
    ] = None,
    citation: Annotated[str, typer.Option(help="Whom to cite.")] = "",
    where: Annotated[str, typer.Option(help="How to get the data.")] = "",
) -> None:
    """Describe a data set of your own; every command knows it then."""
    from dvta import datasets
    from dvta.datasets import own
    from dvta.datasets.describe import describe, parse_splits
    from dvta.errors import DataError

    root = load_settings().data
    if name in datasets.names(root):
        raise DataError(f"{name}: there is a data set of that name; known: {', '.join(datasets.names(root))}")
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    splits = parse_splits(pairs("--split", split))
    file = own.write(root, name, {**describe(path), "splits": splits, "where": where, "citation": citation})
    known = datasets.get(name, root)
    typer.echo(
        f"{near(file)}: {len(known.class_names)} classes, splits {', '.join((*known.splits, 'random/U/k'))}"
    )


@data.command("list")
@friendly
def data_list(as_json: AsJson = False) -> None:
    """Print what the data root has, and where to get what it lacks."""
    from dvta.data_root import contents
    from orchestrator.cli.answers import DataList

    root = load_settings().data
    found = DataList(str(root), tuple(contents(root)))
    if as_json:
        print_json(found)
        return
    for line in found.lines:
        typer.echo(line)
