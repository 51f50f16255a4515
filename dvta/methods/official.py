"""Checkpoints of methods' authors: their keys, renamed and checked, into our modules."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from dvta.errors import DataError


def load(model: nn.Module, state_dict: Mapping[str, Tensor], names: Mapping[str, str], what: str) -> None:
    """Copy the authors' tensors into a module of ours.

    Args:
        state_dict: the authors' tensors by their key.
        names: their key -> ours, for every tensor.
        what: what the checkpoint should be (``an SMIE checkpoint of its authors``).

    Raises:
        DataError: a key is missing or unknown, or a shape does not fit.
    """
    check_keys(state_dict, names, what)
    own = model.state_dict()
    for theirs, ours in names.items():
        if state_dict[theirs].shape != own[ours].shape:
            raise DataError(
                f"{theirs}: shape {tuple(state_dict[theirs].shape)} does not fit, "
                f"allowed: {tuple(own[ours].shape)}"
            )
    model.load_state_dict({**own, **{ours: state_dict[theirs] for theirs, ours in names.items()}})


def check_keys(state_dict: Mapping[str, Tensor], names: Mapping[str, str], what: str) -> None:
    """Check that a checkpoint has the keys of ``names`` and no other.

    Raises:
        DataError: a key is missing or unknown.
    """
    missing, unknown = sorted(names.keys() - state_dict.keys()), sorted(state_dict.keys() - names.keys())
    if missing or unknown:
        raise DataError(f"not {what}: missing keys {missing or 'none'}, unknown keys {unknown or 'none'}")


def flat(states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors of several files as ``file.key``."""
    return {f"{file}.{key}": tensor for file, state in states.items() for key, tensor in state.items()}


def width(state_dict: Mapping[str, Tensor], key: str, axis: int, what: str) -> int:
    """Return a width of a checkpoint, read off one of its tensors.

    Raises:
        DataError: the tensor is not there.
    """
    if key not in state_dict:
        raise DataError(f"not {what}: missing key {key}")
    return int(state_dict[key].shape[axis])


def parts(layers: Mapping[str, str]) -> dict[str, str]:
    """Return the keys of weights and biases of layers, theirs -> ours."""
    return {f"{a}.{part}": f"{b}.{part}" for a, b in layers.items() for part in ("weight", "bias")}
