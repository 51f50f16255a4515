"""Answers for a folder of recordings: the model is loaded once, what is refused is named, the rest goes on."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor

from dvta.errors import DataError
from dvta.live import stacked_runs
from dvta.predict import Ranked, ranked
from dvta.skeleton.motion import Reading
from dvta.skeleton.read import ENDINGS
from orchestrator.cli.asked import Asked
from orchestrator.cli.watch import answer_of
from orchestrator.execute.trained import TrainedTrial

WINDOWS = 128  # of several recordings, encoded and scored together


@dataclasses.dataclass(frozen=True)
class Answer:
    """A recording with the number of its windows or samples and its ranking."""

    path: Path
    samples: int
    ranking: list[Ranked]


def recordings(folder: Path) -> list[Path]:
    """Return the files of a folder and its subfolders that may be recordings, sorted.

    Raises:
        DataError: there are none.
    """
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
    if not found:
        raise DataError(f"{folder}: no recording in it; allowed: {', '.join(ENDINGS)}")
    return found


def answers(
    trained: TrainedTrial,
    paths: list[Path],
    asked: Asked,
    model: str | None,
    how: Reading,
    temperature: float,
    refuse: Callable[[Path, DataError], None],
    said: Counter[str],
) -> Iterator[Answer]:
    """Yield the answers of recordings, in order; those that cannot be read are refused and left out.

    ``said`` counts how they were read.
    """

    def say(line: str) -> None:
        said.update(part.partition(": ")[0] for part in line.split("; "))

    text = trained.text(asked.phrases, asked.contexts, model)
    trained.adapt(text)

    def scored(held: list[tuple[Path, Tensor, bool]]) -> Iterator[Answer]:
        rows: dict[int, list[Tensor]] = {}
        skeletons = [
            (i, row) for i, (_, found, encoded) in enumerate(held) if not encoded for row in found.numpy()
        ]
        # windows of one recording stand together, and so do those of one shape
        made = [row for run in stacked_runs([row for _, row in skeletons]) for row in trained.encode(run)]
        for (i, _), feature in zip(skeletons, made, strict=True):
            rows.setdefault(i, []).append(feature)
        for i, (path, found, encoded) in enumerate(held):
            visual = found if encoded else torch.stack(rows[i])
            with torch.inference_mode():
                scores = trained.method.class_scores(visual, text).mean(0)
            yield Answer(path, len(visual), ranked(scores, asked.phrases, temperature))

    held: list[tuple[Path, Tensor, bool]] = []
    for path in paths:
        try:
            # what a person says of BVH and AMC holds for those of a folder alone
            own = how if path.suffix.lower() in (".bvh", ".amc") else Reading()
            held.append((path, *trained.read(path, own, say)))
        except DataError as error:
            refuse(path, error)
            continue
        if sum(len(found) for _, found, _ in held) >= WINDOWS:
            yield from scored(held)
            held = []
    yield from scored(held)


def write_csv(found: Iterator[Answer], asked: Asked, reject: float | None, folder: Path, file: TextIO) -> int:
    """Write a row for every recording: its path, windows, answer, share, and the share of every phrase."""
    writer, count = csv.writer(file, lineterminator="\n"), 0
    writer.writerow(["file", "samples", "answer", "share", *asked.phrases])
    for answer in found:
        shares = {entry.phrase: f"{entry.probability:.6f}" for entry in answer.ranking}
        best = answer.ranking[0]
        name = answer.path.relative_to(folder).as_posix()
        shown = answer_of(answer.ranking, reject)
        writer.writerow(
            [name, answer.samples, shown, shares[best.phrase], *(shares[p] for p in asked.phrases)]
        )
        count += 1
    return count


def write_json(found: Iterator[Answer], reject: float | None, folder: Path, file: TextIO) -> int:
    """Write a line of JSON for every recording."""
    count = 0
    for answer in found:
        about = {"file": answer.path.relative_to(folder).as_posix(), "samples": answer.samples}
        ranking = [dataclasses.asdict(entry) for entry in answer.ranking]
        file.write(
            json.dumps({**about, "answer": answer_of(answer.ranking, reject), "ranking": ranking}) + "\n"
        )
        count += 1
    return count
