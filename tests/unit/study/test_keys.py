"""Keys of trials never change: a store made before is read, and its trials are not trained again."""

import functools
import hashlib
import json
from pathlib import Path

import pytest

from dvta.data_ref import locate
from dvta.skeleton import splits
from orchestrator.spec.load import load_spec
from orchestrator.study.expand import expand
from orchestrator.study.resolve import Resolver
from tests.conftest import ROOT
from tests.factories import make_skeletons

#: name of a shipped spec -> number of its trials and digest of their keys, as of version 0.1.0
FIRST = json.loads((ROOT / "tests/assets/trial_keys.json").read_text())
OWN_ENCODER = """
study: own
defaults: {dataset: cmu, split: split_1, visual: {encoder: st_gcn, train: {epochs: 1}}}
grid: {method: [dvta, purls, smie]}
seeds: 2
"""


def keys_of(spec, resolver):
    keys = sorted({slot.trial.key for slot in expand(spec, resolver) if slot.trial})
    return [len(keys), hashlib.sha256("\n".join(keys).encode()).hexdigest()]


def test_every_spec_of_the_first_version_is_known():
    assert len(FIRST) == 21
    assert sum(count for count, _ in FIRST.values()) == 1626


@pytest.mark.parametrize("name", sorted(FIRST.keys() - {"own encoder"}))
def test_simulated_trials_keep_their_keys(name):
    spec = load_spec(ROOT / "experiments" / name)
    source = "auto" if spec.source == "real" else spec.source
    resolver = Resolver(functools.partial(locate, Path("/nonexistent")), source)
    assert keys_of(spec.model_copy(update={"source": source}), resolver) == FIRST[name]


def test_trials_on_trained_encoders_keep_their_keys(tmp_path):
    make_skeletons(tmp_path, per_class=2)
    (tmp_path / "s.yaml").write_text(OWN_ENCODER)
    resolver = Resolver(functools.partial(locate, tmp_path), "real", functools.partial(splits.load, tmp_path))
    assert keys_of(load_spec(tmp_path / "s.yaml"), resolver) == FIRST["own encoder"]
