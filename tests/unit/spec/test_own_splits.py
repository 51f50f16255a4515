"""Splits of one's own: in a spec, drawn by the published rule, or in a dataset.yaml."""

import functools
import json
import re

import pytest

from dvta import datasets
from dvta.data_ref import locate
from dvta.datasets import own
from dvta.errors import DataError, UnknownNameError
from orchestrator.errors import SpecError
from orchestrator.settings import Settings
from orchestrator.spec.load import load_spec
from orchestrator.store import Store
from orchestrator.study.expand import expand
from orchestrator.study.resolve import Resolver
from orchestrator.study.study import read_study, save_study

DEFAULTS = "defaults: {dataset: ntu60, epochs: 1, train_per_class: 2, test_per_class: 2, split: mine}\n"
#: lists of lists of lists: a few hundred bytes that would be printed as a gigabyte
BOMB = (
    "citation:\n- &l0 ["
    + "a," * 10
    + "]\n"
    + "".join(f"- &l{i + 1} [{f'*l{i},' * 10}]\n" for i in range(8))
    + "class_names: [*l8, b]\n"
)


def trials(tmp_path, text):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    spec = load_spec(path)
    resolver = Resolver(functools.partial(locate, tmp_path), "simulated", splits=spec.splits)
    return [slot.trial for slot in expand(spec, resolver)], resolver


def test_a_split_of_the_spec_is_given_by_name_or_id(tmp_path):
    (first,), resolver = trials(
        tmp_path, f"study: s\nsplits: {{mine: [Drink Water, 9, writing]}}\n{DEFAULTS}grid: {{lr: [0.1]}}\n"
    )
    loaded = resolver.refs[first.data_digest].load()
    assert first.split == "mine"
    assert loaded.unseen == (0, 9, 11)
    assert set(loaded.z_label.tolist()) == {0, 9, 11}
    assert not {0, 9, 11} & set(loaded.train_label.tolist())
    validation = resolver.split_of(first).validation
    assert len(validation) == 3
    assert not {0, 9, 11} & set(validation)


def test_one_name_for_other_classes_is_another_trial_and_other_words_for_them_are_not(tmp_path):
    keys = []
    for classes in ("[drink water, 9, 11]", "[11, 0, 9]", "[0, 9, 12]"):
        (found,), _ = trials(
            tmp_path, f"study: s\nsplits: {{mine: {classes}}}\n{DEFAULTS}grid: {{lr: [0.1]}}\n"
        )
        keys.append(found.key)
    assert keys[0] == keys[1] != keys[2]


def test_keys_made_before_are_the_same(tmp_path):
    (found,), _ = trials(
        tmp_path,
        "study: s\ndefaults: {dataset: ntu60, split: 55/5, epochs: 1, train_per_class: 2, test_per_class: 2}\n"
        "grid: {lr: [0.1]}\n",
    )
    assert found.key == "ae3ed83180aa85a7ee9d344b74d3ed5b60aa271761a6ac82078e310f7a0546eb"


def test_random_splits_follow_the_published_rule(tmp_path):
    split = datasets.get("ntu60").split("random/5/3")
    assert split.unseen == (1, 10, 13, 30, 42)
    assert set(split.unseen) < set(datasets.get("ntu60").split("random/20/3").unseen)
    assert len(split.validation) == 5
    assert not set(split.validation) & set(split.unseen)
    assert split.stamp == f"unseen {list(split.unseen)}"
    assert datasets.get("ntu60").split("random/5/4").unseen != split.unseen
    (found,), resolver = trials(
        tmp_path, f"study: s\n{DEFAULTS.replace('mine', 'random/5/3')}grid: {{lr: [0.1]}}\n"
    )
    assert resolver.refs[found.data_digest].load().unseen == split.unseen


@pytest.mark.parametrize(
    "name", ["random/0/1", "random/60/1", "random/61/1", "random/05/3", "random/5/-1", "random/5"]
)
def test_impossible_random_splits_are_refused(name):
    with pytest.raises((UnknownNameError, DataError), match="allowed"):
        datasets.get("ntu60").split(name)


def test_mistakes_in_splits_are_all_named_at_once(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(
        "study: s\n"
        "splits:\n"
        "  mine: [drink wter]\n"
        "  twice: [0, drink water]\n"
        "  55/5: [1]\n"
        "  random/5/1: [1]\n"
        "  '..': [1]\n"
        "defaults: {dataset: ntu60}\n"
        "grid: {split: [mine, twice, 55/5, 48/13]}\n"
    )
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    message = str(caught.value)
    assert "6 mistakes" in message
    assert "splits.mine (line 3): 'drink wter' is no class of ntu60 (did you mean 'drink water'?)" in message
    assert "splits.twice (line 4): class 0 (drink water) stands there twice" in message
    assert "splits.55/5 (line 5): ntu60 has a split of that name" in message
    assert "splits.random/5/1 (line 6): 'random/5/1': random/U/k are drawn by a rule" in message
    assert "splits... (line 7): '..' is no name of a split" in message
    assert "grid.split[3] (line 9): ntu60 has no split '48/13' (did you mean '48/12'?)" in message


def test_the_store_keeps_every_definition_of_a_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings.load(data=str(tmp_path / "data"), store=f"sqlite:///{tmp_path}/dvta.db")
    store = Store.open(settings.store)
    path = tmp_path / "spec.yaml"
    for classes in ("[0, 9]", "[drink water, 12]", "[0, 9]"):
        path.write_text(f"study: s\nsplits: {{mine: {classes}}}\n{DEFAULTS}grid: {{lr: [0.1]}}\n")
        save_study(read_study(path, settings), store)
    assert store.own_splits("mine") == [(0, 9), ("drink water", 12)]
    assert store.own_splits("other") == []


def test_a_described_data_set_is_known_through_its_data_root(tmp_path):
    folder = tmp_path / "waves"
    folder.mkdir()
    description = {"class_names": ["wave", "walk", "run"], "splits": {"one": ["Walk"]}, "citation": "Me 2026"}
    (folder / "dataset.yaml").write_text(json.dumps(description))
    found = datasets.get("waves", tmp_path)
    assert (found.split("one").unseen, found.citation) == ((1,), "Me 2026")
    assert "waves" in datasets.names(tmp_path)
    with pytest.raises(UnknownNameError, match="unknown dataset 'waves'"):
        datasets.get("waves")
    (folder / "dataset.yaml").write_text(json.dumps({**description, "splits": {"one": [0]}}))
    assert datasets.get("waves", tmp_path).split("one").unseen == (0,)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("class_names: [a]", "at least two"),
        ("class_names: [a, A]", "class_names\\[1\\]: 'A' stands there twice, as class 0"),
        ("class_names: [a, no]", "class_names\\[1\\]: 'False' is no text \\(quote it\\)"),
        ("class_names: {a: b}", "a list is expected"),
        ("class_name: [a, b]", "unknown key 'class_name' \\(did you mean 'class_names'\\?\\)"),
        ("class_names: [a, b]\ncontexts: [x]", "contexts: 1 of them for 2 classes"),
        ("class_names: [a, b]\nsplits: {one: [c]}", "splits.one: 'c' is no class of own"),
        (
            "class_names: [a, b]\nsplits: {one: [a, b]}",
            "2 unseen classes of own, which has 2; allowed: 1 to 1",
        ),
        ("class_names: [a, b]\nsplits: {one: a}", "a list of classes is expected"),
        ("class_names: [a, b]\nsplits: {random/1/1: [a]}", "drawn by a rule"),
        ("class_names: [a, b]\nsplits: {../up: [a]}", "is no name of a split"),
        ("class_names: [a, b]\nsplits: {one: [a]}\nvalidation: {one: [a]}", "validation.one: allowed: seen"),
        ("[" * 3000, "nested too deeply; allowed: 20 levels"),
        ("class_names: [a, b", "no readable YAML"),
        ("class_names: [a, b]\n? [x]\n: y", "no readable YAML"),
        (
            "class_names: [a, b]\nwhere: x\nclass_names: [c, d]",
            "line 3: the key 'class_names' stands here twice",
        ),
        ("class_names: [a, b]\nsplits: {1: [a], '1': [b]}", "line 2: the key '1' stands here twice"),
        ("class_names: !!int ''", "line 1: '' is no !!int"),
        ("class_names: !!bool foo", "line 1: 'foo' is no !!bool"),
        ("class_names: [a, !!timestamp x]", "line 1: 'x' is no !!timestamp"),
        (f"class_names: [a, 0x{'f' * 9000}]", "line 1: a number of 9,002 digits; allowed: at most 64"),
        (BOMB, r"line 3: \*l0: anchors and aliases are not read; write it out"),
        ("- a", "a mapping is expected"),
    ],
)
def test_what_is_wrong_with_a_description_is_named_with_its_file(tmp_path, description, message):
    path = tmp_path / "own/dataset.yaml"
    path.parent.mkdir()
    path.write_text(description)
    with pytest.raises(DataError, match=message) as caught:
        datasets.get("own", tmp_path)
    assert re.match(rf"{re.escape(str(path))}(, line \d+)?: ", str(caught.value))


def test_a_described_data_set_is_written_as_it_is_read(tmp_path):
    classes = ["walk"]
    own.write(
        tmp_path, "waves", {"class_names": ["run", "jump", "walk"], "splits": {"1": classes, "2": classes}}
    )
    assert datasets.get("waves", tmp_path).splits == {"1": (2,), "2": (2,)}
