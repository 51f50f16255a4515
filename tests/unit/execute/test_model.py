"""Weights that lie where a trial's weights should."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dvta.errors import DataError
from dvta.features import FeatureSet
from dvta.methods import Method
from orchestrator.execute.model import build_method, fill_method, read_weights
from orchestrator.trial import Kind, Trial
from tests.factories import make_features

SOMETHING_ELSE = {
    "a list": [1, 2],
    "plain values": {"epochs": 3},
    "other names": {"weights": torch.zeros(3)},
    "other shapes": None,
    "rubbish": b"rubbish",
}


def _trial() -> Trial:
    return Trial(kind=Kind.ALIGNMENT, revision=1, options={}, method="devise", dataset="toy", split="1", visual="v", text="t", seed=0,
                 source="real", data_digest="0" * 64, training={"epochs": 1})  # fmt: skip


def _load(features: FeatureSet, path: Path) -> Method:
    weights = read_weights(str(path))
    assert weights is not None
    return fill_method(_trial(), features, weights, str(path))


def test_weights_of_the_trial_itself_are_read(tmp_path):
    features = make_features()
    method = build_method(_trial(), features)
    torch.save(method.state_dict(), tmp_path / "m.pt")
    loaded = _load(features, tmp_path / "m.pt")
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), method.parameters(), strict=True))
    assert read_weights(str(tmp_path / "none.pt")) is None


@pytest.mark.parametrize("content", SOMETHING_ELSE)
def test_weights_of_something_else_are_one_message_with_the_file(tmp_path, content):
    path, features = tmp_path / "m.pt", make_features()
    if content == "rubbish":
        path.write_bytes(SOMETHING_ELSE[content])
    elif content == "other shapes":
        torch.save({n: w[:1] for n, w in build_method(_trial(), features).state_dict().items()}, path)
    else:
        torch.save(SOMETHING_ELSE[content], path)
    with pytest.raises(DataError) as caught:
        _load(features, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
