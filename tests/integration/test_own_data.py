"""A data set of one's own from nothing: described, imported, encoded, swept and asked."""

import json
from pathlib import Path

import numpy as np
import pytest

from dvta import datasets
from orchestrator.cli import main as cli
from orchestrator.settings import Settings
from orchestrator.store import Store
from tests.conftest import forget_settings


def run(*arguments):
    try:
        return cli.app(list(map(str, arguments)), standalone_mode=False) or 0
    except SystemExit as stop:
        return stop.code


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    forget_settings(monkeypatch)
    return tmp_path


CLASSES = ["wave left hand", "wave right hand", "walk", "run", "jump"]
TABLE = "class;context\n" + "".join(f"{c};A person does {c} für uns.\n" for c in CLASSES)
SPEC = """
study: own
splits: {both: [walk, RUN]}
source: real
defaults: {dataset: waves, visual: mine, method: devise, epochs: 3, batch_size: 16, warmup_epochs: 0}
grid: {split: [one, both, random/1/2]}
checkpoint: {models: all}
"""


def test_a_data_set_of_ones_own_goes_all_the_way(here, capsys, minilm):
    Path("classes.csv").write_bytes(TABLE.encode("cp1252"))
    assert run("data", "new", "waves", "classes.csv", "--split", "one=walk,4", "--citation", "Me 2026") == 0
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(5), 12)
    x = (rng.normal(size=(60, 32)) + 4 * np.eye(5, 32)[y]).astype(np.float32)
    clip = np.array([f"c{i // 2}" for i in range(60)])
    np.savez("f.npz", x=x, y=np.array(CLASSES)[y], clip=clip)
    for split, unseen in (("one", []), ("random/1/2", []), ("both", ["--unseen", "walk,run"])):
        arguments = ("f.npz", "--dataset", "waves", "--split", split, "--visual", "mine", *unseen)
        assert run("data", "import", "arrays", *arguments) == 0
    capsys.readouterr()
    assert run("data", "list") == 0
    assert "waves: waves/dataset.yaml: 5 classes, splits one, random/U/k" in capsys.readouterr().out
    assert run("data", "check") == 0
    shown = capsys.readouterr()
    assert shown.out == "2 feature folders checked, 0 wrong\n"
    assert "features/mine/both: waves has no split both; a spec may define it" in shown.err
    assert run("encode", "text", "--dataset", "waves", "--model", minilm) == 0
    capsys.readouterr()
    assert run("data", "check") == 0
    assert capsys.readouterr().out.endswith("\n1 text encoding checked, 0 wrong\n")
    Path("own.yaml").write_text(SPEC)
    assert run("plan", "own.yaml") == 0
    assert run("sweep", "own.yaml", "--executor", "inline") == 0
    assert run("sweep", "own.yaml", "--executor", "inline") == 0  # nothing is left to do
    store = Store.open(Settings.load().store, create=False)
    found = {v.config["split"]: v for v in store.trials({})}
    assert set(found) == {"one", "both", "random/1/2"}
    assert {v.state for v in found.values()} == {"done"}
    assert {v.source for v in found.values()} == {"real"}
    np.save("q.npy", x[:3])
    for split in found:
        capsys.readouterr()
        key = found[split].key[:12]
        assert run("predict", "q.npy", "walk", "run", "--trial", key, "--model", minilm, "--json") == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["samples"] == 3
        assert sum(r["probability"] for r in answer["ranking"]) == pytest.approx(1)


def _junk(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.npy").write_text("junk")


def test_every_file_that_a_method_may_read_is_checked(here, capsys):
    split = datasets.get("cmu").split("split_1")
    features, texts = here / "data/cmu/features", here / "data/cmu/text"
    seen, unseen = np.repeat(split.seen, 2), np.repeat(split.unseen, 2)
    arrays = {
        "train_label": seen, "z_label": unseen,
        "train": np.ones((len(seen), 8)), "ztest": np.ones((len(unseen), 8)),
        "train_masked": np.ones((len(seen), 2, 8)),
        "train_unpooled": np.ones((len(seen), 3, 25, 8)), "ztest_unpooled": np.ones((len(unseen), 3, 25, 8)),
    }  # fmt: skip
    pooled = ("train", "ztest", "train_masked")
    for visual, names in {
        "both": arrays,
        "pooled": [n for n in arrays if "unpooled" not in n],
        "unpooled": [n for n in arrays if n not in pooled],
    }.items():
        (features / visual / "split_1").mkdir(parents=True)
        for name in names:
            np.save(features / visual / f"split_1/{name}.npy", arrays[name])
    texts.mkdir()
    np.save(texts / "mine_labels.npy", np.ones((34, 4)))
    assert run("data", "check") == 0
    assert capsys.readouterr().out == "3 feature folders checked, 0 wrong\n1 text encoding checked, 0 wrong\n"
    files = [features / "both/split_1" / f"{name}.npy" for name in arrays]
    for path in [
        *files,
        features / "both/split_1/gtest_unpooled.npy",
        texts / "mine_labels.npy",
        texts / "mine_verbs.npy",
    ]:
        kept = path.read_bytes() if path.exists() else None
        _junk(path.parent, path.stem)
        assert run("data", "check") == 2
        assert f"wrong: {path}: not a NumPy array file" in capsys.readouterr().err
        path.unlink() if kept is None else path.write_bytes(kept)
    _junk(features / "alone/split_1", "ztest")
    _junk(features / "labels/split_1", "train_label")
    _junk(texts, "other_contexts")
    assert run("data", "check", "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["checked"], found["wrong"]) == (7, 3)
    assert [Path(t["path"]).name for t in found["texts"] if t["state"] == "wrong"] == ["other"]
    assert {Path(f["path"]).parent.name for f in found["features"] if f["state"] == "wrong"} == {
        "alone",
        "labels",
    }


def test_an_edited_split_is_another_trial_and_its_old_one_says_so(here, capsys, minilm):
    Path("classes.csv").write_text(TABLE)
    assert run("data", "new", "waves", "classes.csv", "--split", "one=walk") == 0
    assert run("encode", "text", "--dataset", "waves", "--model", minilm) == 0
    Path("own.yaml").write_text(
        "study: own\ndefaults: {dataset: waves, split: one, method: devise, epochs: 1, train_per_class: 3,"
        " test_per_class: 2, warmup_epochs: 0}\ngrid: {lr: [0.1]}\ncheckpoint: {models: all}\n"
    )
    assert run("sweep", "own.yaml", "--executor", "inline") == 0
    described = Path("data/waves/dataset.yaml")
    head, _, tail = described.read_text().partition("splits:")
    described.write_text(f"{head}splits:{tail.replace('walk', 'jump')}")
    assert run("sweep", "own.yaml", "--executor", "inline") == 0
    store = Store.open(Settings.load().store, create=False)
    trials = store.trials({})
    assert len(trials) == 2
    assert len({v.data_digest for v in trials}) == 2
    np.save("q.npy", np.ones((1, 256), np.float32))
    codes = []
    for value in trials:
        capsys.readouterr()
        codes.append(run("predict", "q.npy", "walk", "--trial", value.key[:12], "--model", minilm))
    assert sorted(codes) == [0, 2]


def test_a_data_set_is_described_from_a_folder_or_a_table_of_recordings(here, capsys):
    for name in ("climb_a_ladder", "walk"):
        (here / "in" / name).mkdir(parents=True)
        (here / "in" / name / "take1.bvh").write_text("x")
    (here / "in/empty").mkdir()
    assert run("data", "new", "home", "in") == 0
    assert "class_names:\n- climb a ladder\n- walk\n" in (here / "data/home/dataset.yaml").read_text()
    (here / "clips.csv").write_text("\ufeffwave,wave hello\nkick,kick a ball\nwave2,wave hello\n")
    assert run("data", "new", "kicks", "clips.csv") == 0
    assert "class_names:\n- wave hello\n- kick a ball\n" in (here / "data/kicks/dataset.yaml").read_text()
    capsys.readouterr()
    for arguments, message in (
        (("home", "in"), "home: there is a data set of that name"),
        (("ntu60", "in"), "ntu60: there is a data set of that name"),
        (("a/b", "in"), "'a/b' is no name of a data set"),
        (("other", "nowhere"), "nowhere: no such file or folder"),
        (("other", "in", "--split", "one=fly"), "splits.one: 'fly' is no class of other"),
        (("other", "in", "--split", "one=0,1"), "2 unseen classes of other, which has 2"),
    ):
        assert run("data", "new", *arguments) == 2
        assert message in capsys.readouterr().err
    assert sorted(p.name for p in (here / "data").iterdir()) == ["home", "kicks"]
    (here / "ids.csv").write_text("wave,0\nkick,1\n")
    assert run("data", "new", "ids", "ids.csv") == 2
    assert "line 1: class 0 is an id and tells no name" in capsys.readouterr().err
