"""Class ids and names that could be taken for others are refused."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from dvta.datasets import own
from dvta.datasets.describe import describe
from dvta.errors import DataError, OptionError
from dvta.importers.arrays import import_arrays
from dvta.importers.features import Choice
from dvta.labels import read_labels
from orchestrator.cli.common import pairs
from orchestrator.errors import SettingsError


def test_one_hot_labels_have_a_column_for_every_class(tmp_path: Path) -> None:
    path = tmp_path / "y.npy"
    np.save(path, np.eye(4))
    with pytest.raises(DataError, match="one-hot of 4 classes for a data set of 3"):
        read_labels(path, ("walk", "run", "jump"))
    assert read_labels(path).tolist() == [0, 1, 2, 3]


def test_names_and_labels_of_a_pickle_are_as_many(tmp_path: Path) -> None:
    path = tmp_path / "y.pkl"
    path.write_bytes(pickle.dumps((["a", "b", "c"], [0, 1])))
    with pytest.raises(DataError, match="3 names for 2 labels"):
        read_labels(path)


@pytest.mark.parametrize("name", ["1", "10", "1.0", "\u0661"])
def test_a_class_is_not_called_by_a_number(tmp_path: Path, name) -> None:
    with pytest.raises(DataError, match=rf"class_names\[1\]: '{re.escape(name)}' is a number, which tables"):
        own.write(tmp_path, "mine", {"class_names": ["walk", name]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["walk_fast", "Walk  Fast", "walk-fast"])
def test_names_that_differ_in_how_their_words_are_parted_are_one_class(tmp_path: Path, name) -> None:
    with pytest.raises(DataError, match="stands there twice, as class 0 too"):
        own.write(tmp_path, "mine", {"class_names": ["walk fast", name]})
    known = ("wave", "walk fast")
    np.save(tmp_path / "y.npy", np.array([name, "wave"]))
    assert read_labels(tmp_path / "y.npy", known).tolist() == [1, 0]
    own.write(tmp_path, "mine", {"class_names": list(known), "splits": {"1": [name]}})
    assert own.find(tmp_path, "mine").splits == {"1": (1,)}


def test_a_table_without_a_heading_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text("wave,A person greets.\nkick,A person kicks.\n")
    with pytest.raises(DataError, match=r"line 1: no heading, so these are recordings .*class,context above"):
        describe(path)
    path.write_text("a.bvh,wave\nb.bvh,wave\nc.bvh,kick\n")
    assert describe(path) == {"class_names": ["wave", "kick"]}
    path.write_text("Datei,Klasse\na.bvh,wave\nb.bvh,kick\n")
    assert describe(path) == {"class_names": ["wave", "kick"]}


def test_a_splits_classes_are_not_given_anew(tmp_path: Path) -> None:
    own.write(tmp_path, "mine", {"class_names": ["wave", "kick", "bow"], "splits": {"1": ["bow"]}})
    known = own.find(tmp_path, "mine")
    assert known.split("1", ["bow"]).unseen == known.split("1").unseen == (2,)
    with pytest.raises(
        DataError, match="split '1': mine has a split of that name, with the unseen classes bow"
    ):
        known.split("1", ["kick"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": Path("y.txt")}, "--labels: has no effect"),
        ({"protocol": "xsub"}, "--protocol: has no effect"),
        ({"fps": 60.0}, "--fps: has no effect"),
    ],
)
def test_options_that_change_nothing_are_refused(tmp_path: Path, options, message) -> None:
    own.write(tmp_path, "mine", {"class_names": ["wave", "kick", "bow"], "splits": {"1": ["bow"]}})
    np.savez(tmp_path / "a.npz", x=np.eye(6, dtype=np.float32), y=np.repeat([0, 1, 2], 2))
    choice = Choice(dataset="mine", split="1", visual="v")
    with pytest.raises(OptionError, match=message):
        import_arrays(tmp_path / "a.npz", tmp_path, choice, **options)
    assert not (tmp_path / "mine/features").exists()
    np.savez(tmp_path / "a.npz", x=np.eye(6), y=np.repeat([0, 1, 2], 2), clip=np.full(6, np.nan))
    with pytest.raises(DataError, match="clip: row 0 is no name of a recording"):
        import_arrays(tmp_path / "a.npz", tmp_path, choice)


def test_an_option_of_one_name_has_one_value() -> None:
    assert pairs("--set", ["lr=1", "tau=2", "lr=1"]) == {"lr": "1", "tau": "2"}
    with pytest.raises(SettingsError, match="lr: both '1' and '2'; allowed: one value"):
        pairs("--set", ["lr=1", "lr=2"])
