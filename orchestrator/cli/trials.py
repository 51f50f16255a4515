"""The command that lists stored trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.common import friendly, open_store, study_option
from orchestrator.cli.output import AsCsv, AsJson, print_csv, print_json, refuse_both
from orchestrator.trial import (
    SEEN_CLASSES,
    TEST_CLASSES,
    VALIDATION_CLASSES,
    classes_measured,
    format_value,
    varying,
)

if TYPE_CHECKING:
    from orchestrator.cli.answers import ListedTrial
    from orchestrator.records import CellValue
    from orchestrator.store import Store

#: the columns of a list of trials by the classes that accuracies were measured on
ACCURACIES = {
    TEST_CLASSES: ("final", "best"),
    VALIDATION_CLASSES: ("validation",),
    SEEN_CLASSES: ("seen",),
}
FIRST = ("method", "dataset", "split", "visual", "text", "seed")  # of what varies; then by alphabet
HIDDEN = ("data_digest", "depends_on")
MOST = 1_000_000


@friendly
def trials(
    filters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILTER]...", help="Such as dataset=ntu60, 'gamma>0.1', 'method=dvta|smie'."),
    ] = None,
    study: Annotated[str | None, study_option("Only trials of this study.")] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state", help="done, running, interrupted, failed, pruned or 'not run'; several: any."
        ),
    ] = None,
    limit: Annotated[str, typer.Option(metavar="INTEGER", help="At most so many.")] = "50",
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """List stored trials, the newest first: their keys and what varies among them."""
    from orchestrator.store.filters import parse_filters
    from orchestrator.store.find import list_trials

    refuse_both(as_json, as_csv)
    most = _whole(limit)
    store = open_store()
    given = [*(filters or []), *(f"state={one}" for one in state or [])]
    total, found = list_trials(store, parse_filters(given), study=study, limit=most)
    if as_json:
        from orchestrator.cli.answers import Trials

        print_json(Trials(total, tuple(_answers(store, found))))
    elif as_csv:
        _print_csv(_answers(store, found))
    elif not found:
        typer.echo("no trial fits" + (f": {' '.join(given)}" if given else ""))
    else:
        _print_table(store, found)
        typer.echo(f"{len(found)} of {total}")


def _whole(limit: str) -> int:
    """Return a limit as a number.

    Raises:
        SettingsError: it is none that a list may have.
    """
    from orchestrator.errors import SettingsError

    if not limit.isdecimal() or len(limit) > len(str(MOST)) or not 1 <= int(limit) <= MOST:
        raise SettingsError(f"--limit {limit}: allowed: a whole number from 1 to {MOST}")
    return int(limit)


def _answers(store: Store, found: Sequence[CellValue]) -> list[ListedTrial]:
    from orchestrator.cli.answers import ListedTrial
    from orchestrator.store.filters import NOT_RUN

    names = store.names([value.key for value in found if value.key])
    return [
        ListedTrial(
            key=value.key or "",
            trial=names[value.key or ""],
            state=value.state or NOT_RUN,
            final=value.final,
            best=value.best,
            measured_on=classes_measured(value.config),
            seconds=value.seconds,
            error=value.error,
            config=_config(value),
        )
        for value in found
    ]


def _config(value: CellValue) -> dict[str, Any]:
    return {**value.config, "seed": value.seed, "data_digest": value.data_digest}


def _print_csv(found: Sequence[ListedTrial]) -> None:
    names = sorted({name for each in found for name in each.config})
    columns = ("key", "trial", "state", "final", "best", "measured_on", "seconds", "error")
    print_csv(
        [*columns, *names],
        [[*(getattr(each, c) for c in columns), *(each.config.get(n) for n in names)] for each in found],
    )


def _print_table(store: Store, found: Sequence[CellValue]) -> None:
    """Print key, what varies as far as it fits, state and accuracies; then what they were measured on."""
    from orchestrator.report.terminal import fits, plain_console, plain_table, print_whole
    from orchestrator.store.filters import NOT_RUN

    out = plain_console()
    configs = [_config(value) for value in found]
    names = sorted(varying(configs, without=HIDDEN), key=lambda name: (_place(name), name))
    texts = {name: [format_value(config.get(name)) for config in configs] for name in names}
    if not names:
        called = store.names([value.key for value in found if value.key])
        names, texts = ["trial"], {"trial": [called[value.key or ""] for value in found]}
    accuracies = _accuracies(found)
    keys = [(value.key or "")[:10] for value in found]
    last = {"state": [value.state or NOT_RUN for value in found], **accuracies}
    kept = names[:1]
    for name in names[1:]:
        columns = {"key": keys, **{n: texts[n] for n in (*kept, name)}, **last}
        if fits(plain_table(list(columns), _rows(columns)), out):
            kept.append(name)
    columns = {"key": keys, **{n: texts[n] for n in kept}, **last}
    print_whole(plain_table(list(columns), _rows(columns)), out)
    for of, heads in ACCURACIES.items():
        if heads[0] in accuracies:
            out.print(f"{' and '.join(heads)}: accuracy in % on {of}", soft_wrap=True)
    if len(kept) < len(names):
        rest = ", ".join(name for name in names if name not in kept)
        out.print(f"also varies: {rest} (--csv and --json have all)", soft_wrap=True)


def _place(name: str) -> int:
    return FIRST.index(name) if name in FIRST else len(FIRST)


def _rows(columns: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    return list(zip(*columns.values(), strict=True))


def _accuracies(found: Sequence[CellValue]) -> dict[str, list[str]]:
    """Return the columns of accuracies; those on other than test classes only where there are such trials."""
    classes = [classes_measured(value.config) for value in found]
    shown: dict[str, list[str]] = {}
    for of, heads in ACCURACIES.items():
        if of not in (TEST_CLASSES, *classes):
            continue
        for at, head in enumerate(heads):
            measured = [(value.final, value.best)[at] for value in found]
            shown[head] = [
                f"{100 * x:.2f}" if x is not None and measured_on == of else ""
                for x, measured_on in zip(measured, classes, strict=True)
            ]
    return shown
