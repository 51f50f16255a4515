"""What a training session prints: kept of its own thread, bounded, on disk at once, and shown."""

import io
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import SettingsError
from orchestrator.execute.capture import LEFT_OUT, Log, capturing
from orchestrator.settings import Settings


def lines(path):
    """Return the lines of a log, the one that says who wrote it left out."""
    return [line for line in Path(path).read_text().splitlines() if not line.startswith("--- ")]


def test_prints_warnings_and_logs_of_this_thread_are_kept_and_pass_on(tmp_path, monkeypatch):
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log = Log(str(tmp_path / "a" / "1.log"), 4096)
    other = threading.Thread(target=lambda: print("of another thread"))
    with capturing(log):
        assert not log.begun
        print("printed")
        sys.stderr.write("written\n")
        logging.getLogger("dvta").warning("logged")
        other.start()
        other.join()
        kept = logging.StreamHandler(sys.stderr)
    assert (sys.stdout, sys.stderr) == (out, err)
    kept.stream.write("of a stream that was kept\n")
    print("after")
    log.close()
    written = lines(tmp_path / "a" / "1.log")
    assert written == ["printed", "written", "logged"]
    assert out.getvalue() == "printed\nof another thread\nafter\n"
    assert err.getvalue().startswith("written\nlogged\n")
    assert err.getvalue().endswith("of a stream that was kept\n")


def test_records_reach_the_log_past_handlers_with_streams_of_their_own(tmp_path, monkeypatch):
    own = io.StringIO()
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(own)])
    log = Log(str(tmp_path / "1.log"), 4096)
    with capturing(log):
        logging.getLogger("mine").error("told")
    log.close()
    assert lines(tmp_path / "1.log") == ["ERROR mine: told"]
    assert own.getvalue() == "told\n"


def test_an_attempt_that_prints_nothing_has_no_file_and_no_limit_keeps_none(tmp_path):
    for limit, text in ((4096, ""), (0, "text")):
        log = Log(str(tmp_path / "x" / "1.log"), limit)
        with capturing(log):
            print(text, end="")
        log.close()
        assert not log.begun
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_fails_nothing(tmp_path):
    (tmp_path / "file").touch()
    log = Log(str(tmp_path / "file" / "1.log"), 4096)
    with capturing(log):
        print("text")
        print("more")
    log.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=300), max_size=40), st.integers(1, 3))
def test_a_log_keeps_its_beginning_and_its_end_within_the_limit(tmp_path_factory, texts, sessions):
    path, limit = tmp_path_factory.mktemp("log") / "1.log", 1024
    whole = b""
    for _ in range(sessions):
        log = Log(str(path), limit)
        for text in texts:
            log.write(text)
            assert not path.exists() or path.stat().st_size <= limit
        log.close()
    if not path.exists():
        assert not any(texts)
        return
    content = path.read_bytes()
    whole = "".join(texts).encode()
    assert content.startswith(b"--- ")
    assert content.endswith(whole[-(limit // 4) :])
    assert (LEFT_OUT in content) or content.count(b"--- ") >= 1
    if LEFT_OUT not in content:
        assert content.count(whole) >= sessions


def test_a_killed_process_leaves_what_it_printed(tmp_path):
    code = (
        "import os, warnings; from orchestrator.execute.capture import Log, capturing\n"
        f"with capturing(Log({str(tmp_path / '1.log')!r}, 4096)):\n warnings.warn('warned'); print('last words'); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 9
    warned, *rest = lines(tmp_path / "1.log")
    assert warned.endswith("UserWarning: warned")
    assert rest[-1] == "last words"


def test_a_url_gets_the_log_when_it_is_closed_and_a_later_session_adds_to_it():
    url = f"memory://logs-{os.getpid()}/k/1.log"
    for text in ("first\n", "second\n"):
        log = Log(url, 4096)
        log.write(text)
        log.close()
        log.write("more\n")
        log.close()
    with fsspec.open(url, "rt") as file:
        kept = [line for line in file.read().splitlines() if not line.startswith("--- ")]
    assert kept == ["first", "more", "second", "more"]


def test_the_limit_is_a_setting(monkeypatch):
    monkeypatch.delenv("DVTA_LOG_KIB", raising=False)
    assert Settings.load().log_kib == 512
    monkeypatch.setenv("DVTA_LOG_KIB", "0")
    assert Settings.load().log_kib == 0
    for wrong in ("-1", "1.5", "many", "1048577", "9" * 30):
        monkeypatch.setenv("DVTA_LOG_KIB", wrong)
        with pytest.raises(SettingsError, match="allowed: a whole number from 0 to 1048576"):
            Settings.load()
