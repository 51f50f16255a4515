"""Commands that make features from words or skeletons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.common import counted, friendly, load_settings, names_of, near, pairs

encode = typer.Typer(no_args_is_help=True, help="Make features from words or skeletons.")


@encode.command("text")
@friendly
def encode_text(
    dataset: Annotated[str, typer.Option(help="The data set whose class texts are encoded.")],
    encoder: Annotated[str, typer.Option(help="sbert, clip, clip_b32 or your own.")] = "sbert",
    model: Annotated[str | None, typer.Option(help="A model's name or folder.")] = None,
    name: Annotated[str | None, typer.Option(help="Id of the features in specs.")] = None,
    csv: Annotated[
        list[Path] | None, typer.Option(help="Your own sentences, a row a class; for idx,label several.")
    ] = None,
    join: Annotated[
        str, typer.Option(help="Parts joined to one feature a class: labels,contexts,motions as MSF.")
    ] = "",
) -> None:
    """Encode labels, contexts, verbs, nouns and part texts of a data set."""
    from dvta import datasets
    from dvta.encoders.text import encode_dataset

    root = load_settings().data
    done = encode_dataset(
        datasets.get(dataset, root),
        root,
        encoder=encoder,
        model=model,
        name=name,
        sentences=csv or (),
        join=names_of(join),
    )
    typer.echo(
        f"{counted(len(done.files), f'file of width {done.dim}')} by {done.model} in {near(done.files[0].parent)}"
    )


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
    from orchestrator.cli.progress import stderr_console
    from orchestrator.execute.encode import encode_skeletons
    from orchestrator.spec.encoder import EncoderSpec
    from orchestrator.spec.yaml import flag_value

    read = {k: flag_value(f"--set {k}", v) for k, v in pairs("--set", overrides).items()}
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
    typer.echo(f"features in {near(folder)}{reached}")
