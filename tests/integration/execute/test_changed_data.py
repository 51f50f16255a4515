"""A trial never carries the digest of data that it did not read."""

import os

import numpy as np
import pytest
from rich.console import Console

from dvta import datasets
from dvta.arrays import file_digest
from dvta.datasets.stand_in import StandIn
from orchestrator.cli.progress import SweepProgress
from orchestrator.execute.inline import InlineExecutor
from orchestrator.store import Store
from orchestrator.study.plan import plan_study
from orchestrator.study.study import read_study
from orchestrator.sweep import run_study
from tests.factories import make_skeletons
from tests.sweeps import settings_of

SPEC = """
study: s
source: real
defaults: {dataset: cmu, split: split_1, visual: VISUAL, epochs: 1, batch_size: 64, aa: false}
seeds: 1
grid: {tau: [0.1]}
"""


@pytest.fixture
def place(tmp_path):
    dataset = datasets.get("cmu")
    made = StandIn(train_per_class=3, test_per_class=4, visual_dim=16)
    folder = tmp_path / "data/cmu/features/st_gcn/split_1"
    folder.mkdir(parents=True)
    for name, array in made.generate(dataset, dataset.split("split_1"), "st_gcn").items():
        np.save(folder / f"{name}.npy", array)
    return tmp_path


def planned(place, visual="st_gcn"):
    settings = settings_of(place)
    (place / "spec.yaml").write_text(SPEC.replace("VISUAL", visual))
    study = read_study(place / "spec.yaml", settings)
    store = Store.open(settings.store)
    plan = plan_study(study, store)

    def execute():
        display = SweepProgress(Console(quiet=True))
        return run_study(study, plan, store, settings, InlineExecutor(0.01), display, mirror=False)

    return plan, store, execute


def rewrite(path, *, same_time=False):
    """Permute the rows of a file: equal size, and with ``same_time`` equal time of modification."""
    before = path.stat()
    array = np.load(path)
    np.save(path, array[::-1])
    if same_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("same_time", [False, True])
@pytest.mark.parametrize("name", ["ztest", "train", "z_label"])
def test_features_that_change_after_the_plan_fail_by_name(place, name, same_time):
    path = place / f"data/cmu/features/st_gcn/split_1/{name}.npy"
    before = file_digest(path)
    plan, store, execute = planned(place)
    rewrite(path, same_time=same_time)
    after = file_digest(path)
    assert after != before
    assert execute() == 1
    (value,) = store.trials()
    assert (value.state, value.final, value.key) == ("failed", None, plan.to_run[0].key)
    for part in (str(path), before[:16], after[:16], "run the same command again"):
        assert part in value.error
    # the same command again plans what is there now
    again, _, execute = planned(place)
    assert again.to_run[0].key != value.key
    assert execute() == 0


def test_texts_that_change_after_the_plan_fail_by_name(place):
    folder = place / "data/cmu/text"
    folder.mkdir()
    count = len(datasets.get("cmu").class_names)
    rng = np.random.default_rng(0)
    for part in ("labels", "contexts"):
        np.save(folder / f"sbert_{part}.npy", rng.normal(size=(count, 8)).astype(np.float32))
    _, store, execute = planned(place)
    rewrite(folder / "sbert_labels.npy")
    assert execute() == 1
    assert "sbert_*.npy: its content has changed" in store.trials()[0].error


def test_skeletons_that_change_after_the_plan_train_no_encoder(tmp_path):
    (tmp_path / "data").mkdir()
    make_skeletons(tmp_path / "data", per_class=2)
    _, store, execute = planned(tmp_path, "{encoder: kinematic}")
    (path,) = tmp_path.glob("data/cmu/skeletons/*/all_position.npy")
    content = np.lib.format.open_memmap(path, mode="r+")
    content[0], content[1] = content[1].copy(), content[0].copy()
    content.flush()
    assert execute() == 1
    errors = [value.error for value in store.trials() if value.error]
    assert len(errors) == 1
    assert f"{path}: its content has changed" in errors[0]
    assert not list(tmp_path.glob("runs/features/*/*/made.json"))


def test_features_of_a_trained_encoder_must_be_those_it_wrote(tmp_path):
    (tmp_path / "data").mkdir()
    make_skeletons(tmp_path / "data", per_class=2)
    _, store, execute = planned(tmp_path, "{encoder: kinematic}")
    assert execute() == 0
    spec = SPEC.replace("0.1", "0.2")
    (path,) = tmp_path.glob("runs/features/*/*/ztest.npy")
    rewrite(path, same_time=True)
    (tmp_path / "spec.yaml").write_text(spec)
    settings = settings_of(tmp_path)
    (tmp_path / "spec.yaml").write_text(spec.replace("VISUAL", "{encoder: kinematic}"))
    study = read_study(tmp_path / "spec.yaml", settings)
    plan = plan_study(study, store)
    assert len(plan.to_run) == 1
    display = SweepProgress(Console(quiet=True))
    assert run_study(study, plan, store, settings, InlineExecutor(0.01), display, mirror=False) == 1
    assert f"{path}: its content has changed" in store.trials({"key": plan.to_run[0].key})[0].error
