"""A folder with small skeletons."""

from __future__ import annotations

import pytest

from tests.sweeps import stand_in


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Stand in a folder with small skeletons of CMU, and return it."""
    stand_in(tmp_path, monkeypatch)
    return tmp_path
