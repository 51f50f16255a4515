"""Commands of recordings: prepare, joints, check."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.common import counted, friendly, load_settings, near
from orchestrator.cli.output import AsJson, print_json, say

if TYPE_CHECKING:
    from dvta.data_root import Check
    from dvta.skeleton.prepare import Prepared
    from orchestrator.cli.answers import CheckedFolder

Joints = Annotated[
    str | None, typer.Option("--joints", help="bvh: a joint map's file or name; found without it.")
]
Unit = Annotated[
    str | None,
    typer.Option("--unit", help="bvh: m, cm, mm, inch, cmu or metres in a unit; found without it."),
]
Fps = Annotated[float | None, typer.Option("--fps", help="bvh: frames a second, instead of the file's.")]
FirstFrame = Annotated[
    str, typer.Option("--first-frame", help="bvh: keep, drop or auto (drop an added T-pose).")
]


@friendly
def prepare(
    kind: Annotated[str, typer.Argument(help="ntu, pku or bvh (BVH or Acclaim).")],
    path: Annotated[Path, typer.Argument(help="The folder of recordings, searched with its subfolders.")],
    dataset: Annotated[str | None, typer.Option(help="ntu60, ntu120, pku, cmu or your own.")] = None,
    protocol: Annotated[
        str | None, typer.Option(help="ntu, pku: xsub, xview or xsetup; xsub without it.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="ntu, pku: frames50 or frames300; ntu: clean; frames50 without it.")
    ] = None,
    ignore: Annotated[
        Path | None, typer.Option(help="ntu, pku: a list of recordings or samples to leave out.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="bvh: a table of clip,class (an id or a name).")
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="bvh: keep other clips prepared earlier.")] = False,
    joints: Joints = None,
    unit: Unit = None,
    fps: Fps = None,
    first_frame: FirstFrame = "auto",
    on_error: Annotated[str, typer.Option("--on-error", help="stop at a broken file, or skip it.")] = "stop",
    processes: Annotated[int | None, typer.Option(help="Worker processes; one a core without it.")] = None,
) -> None:
    """Turn raw recordings into the arrays that encoders read."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from dvta.skeleton import prepare as preparing
    from dvta.skeleton.motion import Reading
    from orchestrator.cli.progress import stderr_console

    how = Reading(joints, unit, fps, first_frame)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=stderr_console())
    task = bar.add_task("")
    with ExitStack() as drawn:

        def show(done: int, total: int, name: str) -> None:
            if not bar.live.is_started:
                drawn.enter_context(bar)
            bar.update(task, completed=done, total=total, description=name)

        done = preparing.prepare(
            kind, path, load_settings().data, dataset=dataset, protocol=protocol, recipe=recipe, ignore=ignore,
            classes=classes, add=add, how=how, on_error=on_error, processes=processes, progress=show,
        )  # fmt: skip
    for line in _notes(done):
        say(line)
    counts = ", ".join(f"{count} {part}" for part, count in done.samples.items())
    typer.echo(f"{counts} samples in {near(done.folder)}; {counted(len(done.skipped), 'recording')} left out")


@friendly
def joints(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A .bvh, .asf or .amc file.")],
    joints: Joints = None,
) -> None:
    """Print a recording's hierarchy beside the joint map that would be used."""
    from dvta.errors import DataError
    from dvta.skeleton.joints import shown_beside
    from dvta.skeleton.motion import ENDINGS, Reading, hierarchy, read_clip

    found = hierarchy(path, joints)
    for line in shown_beside(found.names, found.depths, found.fitted):
        typer.echo(line)
    if found.fitted is None:
        raise DataError(found.problem)
    if path.suffix.lower() in ENDINGS:
        said = read_clip(path, Reading(joints=joints)).said
    else:
        said = found.fitted.said()
    for line in said:
        typer.echo(line)


@friendly
def check(as_json: AsJson = False) -> None:
    """Read and check every feature file, text, description of a data set and prepared skeleton of the data root."""
    from dvta.data_root import check_features, check_texts
    from orchestrator.cli.answers import DataCheck

    root = load_settings().data
    features, texts = _checked(check_features(root)), _checked(check_texts(root))
    skeletons = _check_skeletons(root, quiet=as_json)
    known = [folder for folder in features if folder.state != "not checked"]
    wrong, wrong_texts, wrong_skeletons = (
        sum(f.state == "wrong" for f in found) for found in (features, texts, skeletons)
    )
    every = wrong + wrong_texts + wrong_skeletons
    if as_json:
        checked = len(known) + len(texts) + len(skeletons)
        print_json(DataCheck(str(root), checked, every, tuple(features), tuple(texts), tuple(skeletons)))
    else:
        typer.echo(f"{counted(len(known), 'feature folder')} checked, {wrong} wrong")
        if texts:
            typer.echo(f"{counted(len(texts), 'text encoding')} checked, {wrong_texts} wrong")
        if skeletons:
            typer.echo(f"{counted(len(skeletons), 'folder of skeletons')} checked, {wrong_skeletons} wrong")
    raise typer.Exit(2 if every else 0)


def _checked(checks: Iterable[Check]) -> list[CheckedFolder]:
    """Return what was checked, and say what is wrong or could not be."""
    from orchestrator.cli.answers import CheckedFolder

    checked = []
    for found in checks:
        if found.wrong:
            typer.echo(f"wrong: {found.wrong}", err=True)
        if found.unknown:
            say(f"not checked: {found.path}: {found.unknown}")
        state = "wrong" if found.wrong else "not checked" if found.unknown else "good"
        checked.append(CheckedFolder(str(found.path), state, found.wrong or found.unknown))
    return checked


def _notes(done: Prepared) -> list[str]:
    """Return what is said of a preparation beside its result."""
    lines = [f"left out: {reason}" for _, reason in done.skipped]
    lines += [f"{counted(count, 'recording')}: {said}" for said, count in done.said.items()]
    lines += [f"{counted(count, 'recording')}: {problem}" for problem, count in done.problems.items()]
    for names, what in (
        (done.absent, "entry of the class table or list without a recording here"),
        (done.unlisted, "recording of which the class table says nothing"),
    ):
        if names:
            lines.append(f"{counted(len(names), what)}, such as {', '.join(names[:3])}")
    if done.ignored:
        lines.append(f"{counted(done.ignored, 'recording or sample')} left out by the ignore list")
    if done.replaced:
        counts = ", ".join(f"{count} {part}" for part, count in done.replaced.items())
        lines.append(f"replaced {counts} samples prepared earlier in {near(done.folder)}")
    return lines


def _check_skeletons(root: Path, *, quiet: bool) -> list[CheckedFolder]:
    """Check prepared skeletons, say their problems unless ``quiet``, and return what each folder is."""
    from dvta.errors import DvtaError
    from dvta.skeleton.check import check_prepared
    from orchestrator.cli.answers import CheckedFolder

    checked = []
    for folder in sorted({path.parent for path in root.glob("*/skeletons/*/*_position.npy")}):
        try:
            found = check_prepared(folder)
        except DvtaError as error:
            checked.append(CheckedFolder(str(folder), "wrong", str(error)))
            typer.echo(f"wrong: {error}", err=True)
            continue
        mended = " (mended)" if folder.name.endswith("_clean") else ""
        problems = [
            f"{counted(count, 'sample')}: {problem}{mended}" for problem, count in found.problems.items()
        ]
        checked.append(CheckedFolder(str(folder), "good", "; ".join(problems) or None))
        if quiet:
            continue
        counts = ", ".join(f"{count} {part}" for part, count in found.samples.items())
        typer.echo(f"{folder.relative_to(root)}: {counts} samples")
        for problem in problems:
            typer.echo(f"  {problem}")
    return checked
