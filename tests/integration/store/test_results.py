"""The Python snippets of the README, run as they stand there."""

import re

import numpy as np
import pytest

import orchestrator
from orchestrator.errors import StoreError
from tests.commands import run
from tests.conftest import ROOT, forget_settings

SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
SMALL = ("train_per_class=2", "test_per_class=2", "visual_dim=8", "epochs=2", "seeds=1")


@pytest.fixture
def place(tmp_path, monkeypatch):
    forget_settings(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_sweep_measured_is_a_data_frame(place, capsys):
    with pytest.raises(StoreError, match="nothing was run yet"):
        orchestrator.results()
    small = [part for value in SMALL for part in ("--set", value)]
    spec = str(ROOT / "experiments/quickstart.yaml")
    assert run("sweep", spec, "--executor", "inline", *small) == 0
    capsys.readouterr()
    assert len(SNIPPETS) == 2
    exec(SNIPPETS[1], {})
    assert "leaky_sigmoid" in capsys.readouterr().out
    frame = orchestrator.results(study="quickstart")
    assert len(frame) == frame["key"].nunique() == 12
    assert set(frame["state"]) == {"done"}
    assert set(frame["source"]) == {"simulated"}
    assert set(frame["table"]) == {"table5"}
    np.testing.assert_array_equal(frame["final"], frame["final_accuracy"])
    assert frame["final"].between(0, 1).all()
    epochs = orchestrator.results(epochs=True)
    assert len(epochs) == 2 * 12
    assert set(epochs["key"]) == set(frame["key"])
    last = epochs[epochs["epoch"] == 2].set_index("key")["accuracy"]
    np.testing.assert_array_equal(last[frame["key"]], frame["final"])
    with pytest.raises(StoreError, match="studies here: quickstart"):
        orchestrator.results(study="quickstarts")


def test_the_science_is_pleasant_alone(place, capsys):
    names = {}
    exec(SNIPPETS[0].replace("epochs=5", "epochs=1"), names)
    assert capsys.readouterr().out.startswith("1 0.")
    assert repr(names["features"]).startswith("FeatureSet(ntu60 55/5, shift_gcn/sbert, simulated, train (")
