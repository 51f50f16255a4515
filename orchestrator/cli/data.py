"""Commands of the data root: import, list, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.common import friendly, load_settings, open_store, pairs

data = typer.Typer(no_args_is_help=True, help="Look after the data root.")
encode = typer.Typer(no_args_is_help=True, help="Make features from words or skeletons.")


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

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
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


@encode.command("skeleton")
@friendly
def encode_skeleton(
    dataset: Annotated[str, typer.Option(help="The data set.")],
    split: Annotated[str, typer.Option(help="The split whose seen classes train the encoder.")],
    encoder: Annotated[
        str, typer.Option(help="st_gcn, shift_gcn, ctr_gcn, kinematic or your own.")
    ] = "st_gcn",
    epochs: Annotated[int | None, typer.Option(help="Instead of the published number.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Instead of the published one.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other setting or option, such as partition=true_distance.",
        ),
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="Of the prepared skeletons, such as xsub_300.")] = None,
    masked: Annotated[
        bool, typer.Option("--masked", help="Features of masked sequences too, for SMIE's temporal term.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of weights and batches.")] = 0,
    name: Annotated[str | None, typer.Option(help="Id of the features in specs.")] = None,
) -> None:
    """Train an encoder on a split's seen classes and write features of all its samples to the data root."""
    from orchestrator.cli.encode import encode_skeletons
    from orchestrator.cli.progress import stderr_console
    from orchestrator.spec.encoder import EncoderSpec
    from orchestrator.spec.yaml import flag_value

    read = {k: flag_value(f"--set {k}", v) for k, v in pairs(overrides).items()}
    given = {"epochs": epochs, "batch_size": batch_size, **read}
    folder, accuracy = encode_skeletons(
        load_settings().data,
        dataset,
        split,
        EncoderSpec.of_flat(encoder, {k: v for k, v in given.items() if v is not None}, protocol),
        stderr_console(),
        masked=masked,
        seed=seed,
        name=name,
    )
    reached = "" if accuracy is None else f"; {100 * accuracy:.2f} % on test samples of seen classes"
    typer.echo(f"features in {folder}{reached}")


@friendly
def predict(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A recording, a position or a feature array.")],
    phrases: Annotated[
        list[str], typer.Argument(metavar="PHRASE...", help="Words, or WORDS=CONTEXT SENTENCE.")
    ],
    trial: Annotated[str, typer.Option(help="A key's beginning, or a printed name.")],
    model: Annotated[str | None, typer.Option(help="The text model's name or folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank phrases, known as classes or not, by how well a motion fits them."""
    import dataclasses
    import json

    from rich.console import Console
    from rich.table import Table

    from dvta.errors import DataError
    from orchestrator.cli.predict import Predictor
    from orchestrator.cli.results import find_trial

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    store = open_store()
    found = store.trial(find_trial(store, trial).key)
    encoder = store.trial(found.depends_on) if found.depends_on else None
    predictor = Predictor(found, load_settings(), lambda line: typer.echo(line, err=True), encoder=encoder)
    names = [p.partition("=")[0] for p in phrases]
    contexts = [p.partition("=")[2] or p for p in phrases]
    ranked, count = predictor.rank(path, names, contexts, model)
    if as_json:
        about = {"file": str(path), "trial": found.key, "source": found.source, "samples": count}
        typer.echo(json.dumps({**about, "ranking": [dataclasses.asdict(r) for r in ranked]}, indent=1))
        return
    shown = Table("phrase", "score", "share")
    for entry in ranked:
        shown.add_row(entry.phrase, f"{entry.score:.3f}", f"{100 * entry.probability:.1f} %")
    note = ", trained on SIMULATED features" if found.source == "simulated" else ""
    typer.echo(f"{path.name}: mean over {count} samples, {found.name()}{note}")
    Console(highlight=False).print(shown)
