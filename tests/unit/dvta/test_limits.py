"""Limits are read from the environment; only regular files are opened, without waiting."""

import os
from pathlib import Path

import pytest

from dvta.errors import DataError
from dvta.limits import Limits, limits, open_regular


def test_a_variable_sets_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits() == Limits()
    monkeypatch.setenv("DVTA_MAX_FRAMES", "12")
    assert limits() == Limits(max_frames=12)
    assert limits().exceeded("max_frames", 12, "frames") is None
    problem = limits().exceeded("max_frames", 1300, "frames")
    assert problem == "1,300 frames; allowed: at most 12, or more with DVTA_MAX_FRAMES"


@pytest.mark.parametrize("value", ["0", "-1", "1e6", "many", "٣", "9" * 30])
def test_a_variable_of_no_number_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DVTA_MAX_JOINTS", value)
    with pytest.raises(DataError, match="DVTA_MAX_JOINTS: .* allowed: a positive whole number"):
        limits()


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"abc")
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"abc"
    # reading one would wait for ever
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(DataError, match="not a regular file"):
            open_regular(path)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        open_regular(tmp_path / "absent")
