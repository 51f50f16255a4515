"""Encoding skeletons outside a sweep: the features go to the data root, for every later study."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from dvta.encoders import kinematic
from dvta.encoders.extract import feature_arrays
from dvta.encoders.training import EncoderFit
from dvta.files import check_id, staged_folder, write_json
from dvta.skeleton import splits
from orchestrator.spec.encoder import EncoderSpec


def encode_skeletons(
    root: Path,
    dataset: str,
    split: str,
    visual: EncoderSpec,
    console: Console,
    *,
    masked: bool = False,
    seed: int = 0,
    name: str | None = None,
) -> tuple[Path, float | None]:
    """Train an encoder on the seen classes of a split and write all features of the split.

    Args:
        masked: write the features of masked sequences too: eight more forward passes.

    Returns:
        The folder, and the accuracy on test samples of the seen classes (None where nothing trains).

    Raises:
        DataError: there are no prepared skeletons, or the name is none of a folder.
        UnknownNameError: there is no such data set or split.
    """
    if name is not None:
        check_id("--name", name)
    data = splits.load(root, dataset, split, protocol=visual.protocol)
    accuracy: float | None = None
    about: dict[str, object] = {
        "encoder": visual.encoder,
        "skeletons": data.digest,
        "protocol": data.protocol,
    }
    config = visual.config()
    if config is None:
        arrays = kinematic.feature_arrays(data)
    else:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        run = EncoderFit(visual.encoder, data, config, options=visual.switches(), seed=seed, device=device)
        for result in run:
            reached = result.metrics.get("accuracy")
            shown = "" if reached is None else f"seen classes {100 * reached:.2f} %, "
            console.print(
                f"epoch {result.epoch}/{config.epochs}: loss {result.metrics['loss']:.4f}, {shown}{result.seconds:.1f} s"
            )
        accuracy, about["best_epoch"] = run.best
        needs = frozenset({"unpooled", *(["masked"] if masked else [])})
        arrays = feature_arrays(data, run.encoder, needs=needs, seed=seed)
        about |= {
            "seed": seed,
            "training": dataclasses.asdict(config),
            "options": visual.switches(),
            "accuracy_seen_classes": accuracy,
        }
    target = root / dataset / "features" / (name or visual.encoder) / split.replace("/", "-")
    with staged_folder(target) as stage:
        for file, array in arrays.items():
            # un-pooled features are large, and half precision is finer than they are
            np.save(stage / f"{file}.npy", array.astype(np.float16) if array.ndim == 4 else array)
        write_json(stage / "about.json", about)
    return target, accuracy
