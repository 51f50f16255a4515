"""A trained trial as one file, kept only if it scores the trial's test samples as the trial does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dvta import export as exporting
from dvta.errors import DataError, OptionError
from dvta.evaluation import scored
from dvta.export import SCORES, VISUAL, Form, Scorer
from dvta.features import ClassText
from dvta.files import write_file
from orchestrator.execute.trained import TrainedTrial

LARGEST = 1e-4  # difference of a score
_CHUNK = 64


@dataclasses.dataclass(frozen=True)
class Exported:
    """A file that was written: the samples it was verified on, the largest difference of a score, what it says."""

    path: Path
    samples: int
    difference: float
    about: dict[str, Any]


def export_trial(
    trained: TrainedTrial,
    form: Form,
    path: Path,
    *,
    texts: str = "baked",
    names: list[str] | None = None,
    text: ClassText | None = None,
) -> Exported:
    """Write encoder and alignment as one file; the alignment alone where no sweep trained the trial's encoder.

    Args:
        texts: ``baked``: scores are of the given candidates; ``free``: their texts are inputs.
        names, text: the candidates; the trial's unseen classes without.

    Raises:
        OptionError: the method cannot be exported so.
        DataError: the exporter fails, or the file scores differently; nothing is written then.
    """
    exporting.check_exportable(trained.method, form, texts)
    features = trained.features
    if text is None or names is None:
        text = features.class_text.select(features.unseen)
        names = [features.class_names[i] for i in features.unseen]
    trained.adapt(text)
    encoder = trained.encoder
    fields = exporting.text_fields(trained.method) if texts == "free" else ()
    given = exporting.example_texts(text, fields)
    unpooled = features.train.ndim == 4
    scorer = Scorer(trained.method, encoder, None if fields else text, tuple(given), unpooled=unpooled)
    rows, first = _test_samples(trained) if encoder is not None else _features(features.ztest)
    about = _about(trained, names, fields, rows(np.arange(1)))
    free = not trained.method.loops_over_classes
    content = exporting.export(
        scorer, form, {VISUAL: rows(np.arange(min(first, 3))), **given}, about, classes=free
    )
    run, _ = exporting.load(content, form)
    worst = 0.0
    for start in range(0, first, _CHUNK):
        visual = rows(np.arange(start, min(start + _CHUNK, first)))
        own = scored(trained.method, trained.encode(visual) if encoder is not None else visual, text)
        found = run([visual, *given.values()])
        difference = (found - own).abs().max() if found.shape == own.shape else torch.tensor(torch.inf)
        # not a number is no agreement
        worst = max(worst, float(difference.nan_to_num(torch.inf)))
    if not worst <= LARGEST:
        raise DataError(
            f"the {form} file scores the trial's {first} test samples differently, by {worst:.3g}; allowed: {LARGEST:g}; "
            f"{path} was not written"
        )
    write_file(path, content)
    return Exported(path, first, worst, about)


def _features(ztest: Tensor) -> tuple[Callable[[np.ndarray], Tensor], int]:
    return lambda rows: ztest[torch.from_numpy(rows)], len(ztest)


def _test_samples(trained: TrainedTrial) -> tuple[Callable[[np.ndarray], Tensor], int]:
    """Return the skeletons of the trial's test samples, by rows, and their number.

    Raises:
        DataError: the skeletons are gone, or not those that the encoder was trained on.
    """
    trial, encoder = trained.trial, trained.encoder_trial
    if trained.skeletons is not None:
        own = trained.skeletons.ztest
        return lambda rows: torch.from_numpy(own.batch(rows)), len(own)
    assert encoder is not None
    data = trained.prepared()
    samples = data.ztest
    if trial.evaluate_on == "validation":
        samples = data.train.where(np.isin(data.train.labels, trained.features.unseen))
    if data.digest != encoder.data_digest or samples.labels.tolist() != trained.features.z_label.tolist():
        raise DataError(
            f"trial {trial.key[:10]}: its skeletons have changed since its encoder was trained (digest {data.digest[:10]} "
            f"now, {encoder.data_digest[:10]} then); sweep again"
        )
    return lambda rows: torch.from_numpy(samples.batch(rows)), len(samples)


def _about(
    trained: TrainedTrial, names: list[str], fields: tuple[str, ...], example: Tensor
) -> dict[str, Any]:
    """Return what a file says of itself."""
    trial, axes = trained.trial, ["samples", *map(int, example.shape[1:])]
    skeletons = trained.encoder is not None
    width = trained.features.text_dim
    shapes = {f: ["candidates", 8, width] if f == "parts" else ["candidates", width] for f in fields}
    fixed = trained.method.loops_over_classes
    return {
        "trial": trial.key,
        "method": trial.method,
        "dataset": trial.dataset,
        "split": trial.split,
        "source": trial.source,
        "inputs": {VISUAL: axes, **shapes},
        "outputs": {SCORES: ["samples", "candidates"]},
        "visual": f"skeletons, recipe {trained.recipe}"
        if skeletons
        else f"features of {trial.visual}: alignment only",
        "texts": f"inputs, features of text encoder {trial.text}" if fields else "baked in",
        "candidates": names if not fields else (len(names) if fixed else "any number from 2"),
        "temperature": trained.temperature,
    }


def check_path(path: Path) -> None:
    """Refuse a path that cannot be written, before anything is loaded.

    Raises:
        OptionError: there is no such folder, or it is one.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise OptionError(
            f"--output {path}: is a folder, or is in none; allowed: a file in a folder that is there"
        )
