"""Class ids and names that could be taken for others are refused."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from dvta.datasets import own
from dvta.errors import DataError
from dvta.labels import read_labels


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
