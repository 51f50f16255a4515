"""What stands under a table: what its numbers are, what all trials share, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.records import VALIDATION, CellValue
from orchestrator.report.number import BEST, FINAL, GAIN, Number
from orchestrator.tables import Layout, is_tuned, repeat_of
from orchestrator.trial import format_value

PROTOCOLS = {
    FINAL: "protocol final: last epoch, true mean, nothing selected on test data",
    BEST: "protocol best: best epoch on the unseen test classes, mean of batch accuracies, as the paper's code",
    VALIDATION: "protocol validation: the epoch that was best on validation classes while another training with the "
    "same seed left them out; true mean of the training on all seen classes at that epoch, nothing selected on test data",
    GAIN: f"{GAIN}: what choosing the epoch on the test classes, and its mean of batches, is worth; "
    "of each seed, in percentage points",
}
SIMULATED = (
    "SIMULATED data: these numbers say nothing about the real data set and are not comparable with the paper"
)
HIDDEN = {"revision", "kind", "depends_on"}
RowColumn = tuple[str, str]


def caption(
    values: Sequence[CellValue],
    numbers: Mapping[RowColumn, Number],
    *,
    protocol: str,
    study: str,
    simulated: bool,
    layout: Layout | None,
    besides: Sequence[str],
) -> tuple[str, ...]:
    """Return the lines, the warning of simulated data first; ``besides`` those of a comparison and of averages."""
    lines = []
    if simulated:
        lines.append(SIMULATED)
    lines += [PROTOCOLS[protocol], *_measured(numbers, study), *_spreads(values, numbers)]
    shared = _shared(values)
    if shared:
        lines.append("all trials: " + ", ".join(f"{k} {format_value(v)}" for k, v in shared.items()))
    lines += besides
    if layout and layout.note:
        lines.append(layout.note)
    lines += [f"{r}, {c}: {n.note}" for (r, c), n in numbers.items() if n.note]
    for missing in dict.fromkeys(n.missing for n in numbers.values() if n.missing):
        lines.append(f"—: {missing}")
    if any(v.config.get("evaluate_on") == "gzsl" for v in values):
        lines.append("generalised: a gate fitted on validation classes chooses between seen and unseen")
    return tuple(lines)


def _measured(numbers: Mapping[RowColumn, Number], study: str) -> list[str]:
    """Return on which classes accuracies, and on which device costs were measured."""
    about = "mean ± standard deviation over n seeds"
    classes = _places({place: n.measured_on for place, n in numbers.items()})
    if len(classes) == 1:
        lines = [f"study {study}; accuracy on {next(iter(classes))} in %, {about}"]
    else:
        lines = [f"study {study}; {'accuracy in %, ' if classes else ''}{about}"]
        lines += [f"accuracy on {name}: {where}" for name, where in classes.items()]
    devices = _places({place: n.device for place, n in numbers.items()})
    if len(devices) == 1:
        return [*lines, f"costs measured on {next(iter(devices))}"]
    return [*lines, *(f"costs measured on {name}: {where}" for name, where in devices.items())]


def _spreads(values: Sequence[CellValue], numbers: Mapping[RowColumn, Number]) -> list[str]:
    """Return what ± is where it is more than the spread of one training over seeds."""
    lines = []
    if any(n.split_std is not None for n in numbers.values()):
        lines.append(
            "averages over class splits: ± behind the mean is the standard deviation over n seeds of the average, "
            "± behind the splits that between the splits, each the mean over its seeds"
        )
    tuned = [v.row for v in values if is_tuned(v.row)]
    if any(repeat_of(row) is None for row in tuned):
        lines.append(
            "tuned rows: ± is that of the winner of one search, trained again with n seeds; "
            "the search itself was not repeated (search: repeats)"
        )
    if any(repeat_of(row) is not None for row in tuned):
        lines.append(
            "tuned rows: the whole search was repeated, each time with a seed of its own; n counts the repeats, "
            "each the mean over the seeds of its winner, and ± is over them"
        )
    return lines


def _places(found: Mapping[RowColumn, str | None]) -> dict[str, str]:
    """Return every text with the columns it stands for; with the rows, or the cells, where columns mix them."""
    texts = dict.fromkeys(text for text in found.values() if text is not None)
    for part in (1, 0):
        names = {t: dict.fromkeys(place[part] for place, x in found.items() if x == t) for t in texts}
        if sum(map(len, names.values())) == len({n for each in names.values() for n in each}):
            return {text: ", ".join(each) for text, each in names.items()}
    return {t: "; ".join(", ".join(place) for place, x in found.items() if x == t) for t in texts}


def _shared(values: Sequence[CellValue]) -> dict[str, Any]:
    """Return what every trial has in common, without what has no effect."""
    # equal configurations are one object
    configs = list({id(v.config): v.config for v in values if v.key}.values())
    if not configs:
        return {}
    names = [n for n in configs[0] if n not in HIDDEN]
    return {
        n: configs[0][n]
        for n in names
        if configs[0][n] is not None and all(c.get(n) == configs[0][n] for c in configs)
    }
