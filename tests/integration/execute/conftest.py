"""A folder with small skeletons."""

from __future__ import annotations

import pytest

from tests.conftest import forget_settings
from tests.factories import make_skeletons


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Stand in a folder with small skeletons of CMU, and return it."""
    forget_settings(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    make_skeletons(tmp_path / "data", per_class=2)
    return tmp_path
