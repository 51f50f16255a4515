"""A trial's model: how it is seeded, built, trained and loaded. What a result means is decided here, once."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dvta.encoders import build_encoder
from dvta.encoders.base import SkeletonEncoder
from dvta.encoders.training import EncoderFit
from dvta.end_to_end import ENCODER, METHOD, EndToEndFit, initial_encoder
from dvta.errors import DataError
from dvta.features import FeatureSet
from dvta.joint_data import JointData
from dvta.methods import Method, build
from dvta.skeleton.splits import SkeletonSplit
from dvta.training import Fit, fit
from dvta.training_config import EncoderConfig, TrainingConfig
from orchestrator.execute.checkpoints import read_bytes
from orchestrator.study.joint import read_joint
from orchestrator.study.resolve import encoder_options
from orchestrator.trial import Trial


def build_method(trial: Trial, features: FeatureSet) -> Method:
    """Return the method of an alignment trial with its initial weights, the same at every call."""
    options = {name: value for name, value in trial.options.items() if value is not None}
    torch.manual_seed(trial.seed)
    return build(trial.method, visual_dim=features.visual_dim, text_dim=features.text_dim, **options)


def train_method(
    trial: Trial,
    features: FeatureSet,
    *,
    device: str,
    precision: str = "fp32",
    state: dict[str, Any] | None = None,
) -> Fit:
    """Return the training of an alignment trial, from its beginning or from a checkpoint's state."""
    config = TrainingConfig(**trial.training)  # type: ignore[arg-type]
    method = build_method(trial, features)
    return fit(method, features, config, seed=trial.seed, device=device, precision=precision, state=state)


def train_jointly(
    trial: Trial,
    data: JointData,
    start: str,
    *,
    device: str,
    precision: str = "fp32",
    state: dict[str, Any] | None = None,
    workers: int = 1,
) -> EndToEndFit:
    """Return the training of an end-to-end trial, from its beginning or from a checkpoint's state.

    Args:
        start: where the weights lie that its encoder starts from; empty: from scratch.
        workers: processes that train it together.

    Raises:
        DataError: they are not there, or of something else.
    """
    joint = read_joint(trial.visual, trial.training)
    weights = read_weights(start) if start and state is None else None
    if start and state is None and weights is None:
        raise DataError(
            f"{start}: the trained encoder's weights are not there; run the sweep again to make them"
        )
    encoder = initial_encoder(trial.visual, joint.switches, trial.seed)
    if weights is not None:
        _fill(encoder, weights, start)
    return EndToEndFit(
        build_method(trial, data.features), encoder, data, joint.training, joint.settings,
        seed=trial.seed, device=device, precision=precision, state=state, workers=workers,
    )  # fmt: skip


def fill_jointly(
    trial: Trial, data: JointData, weights: Mapping[str, Tensor], path: str
) -> tuple[SkeletonEncoder, Method]:
    """Return encoder and method of an end-to-end trial with the weights that were read from ``path``.

    Raises:
        DataError: they are of something else.
    """
    encoder = initial_encoder(trial.visual, read_joint(trial.visual, trial.training).switches, trial.seed)
    method = build_method(trial, data.features)
    method.prepare(data.features)
    for prefix, module in ((ENCODER, encoder), (METHOD, method)):
        own = {n.removeprefix(prefix): value for n, value in weights.items() if n.startswith(prefix)}
        _fill(module, own, path)
    return encoder, method


def fill_method(trial: Trial, features: FeatureSet, weights: Mapping[str, Tensor], path: str) -> Method:
    """Return the method of a trial with the weights that were read from ``path``.

    Raises:
        DataError: they are of something else.
    """
    method = build_method(trial, features)
    method.prepare(features)
    _fill(method, weights, path)
    return method


def train_encoder(
    trial: Trial,
    data: SkeletonSplit,
    *,
    device: str,
    precision: str = "fp32",
    held_out: tuple[int, ...] = (),
    state: dict[str, Any] | None = None,
) -> EncoderFit:
    """Return the training of an encoder trial, from its beginning or from a checkpoint's state."""
    return EncoderFit(
        trial.method,
        data,
        EncoderConfig(**trial.training),  # type: ignore[arg-type]
        options=encoder_options(trial),
        seed=trial.seed,
        device=device,
        precision=precision,
        held_out=held_out,
        state=state,
    )


def load_encoder(trial: Trial, path: str) -> SkeletonEncoder | None:
    """Return the trained encoder whose weights lie at ``path``, None where there are none.

    Raises:
        DataError: the file is damaged, or holds weights of something else.
    """
    weights = read_weights(path)
    if weights is None:
        return None
    encoder = build_encoder(trial.method, encoder_options(trial))
    _fill(encoder, weights, path)
    return encoder


def read_weights(path: str) -> dict[str, Tensor] | None:
    """Return the weights at a path or URL, None where there are none.

    Raises:
        DataError: the file is damaged, or holds no weights.
    """
    content = read_bytes(path)
    if content is None:
        return None
    try:
        weights = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many types on a damaged file
        raise DataError(f"{path}: not readable weights ({error})") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise DataError(f"{path}: not weights, which are names and tensors; move the file away")
    return weights


def _fill(module: nn.Module, weights: Mapping[str, Tensor], path: str) -> None:
    try:
        module.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: weights of something else, not of this {type(module).__name__} "
            f"({str(error).splitlines()[-1].strip()}); move the file away"
        ) from error
