"""Answers while a motion happens, and for a folder of recordings, by the command."""

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from orchestrator.cli import follow as following
from orchestrator.cli.follow import follow
from tests.commands import run
from tests.conftest import forget_settings
from tests.people import write_person
from tests.processes import hear_signals

SPEC = """
study: graph
source: real
defaults:
  dataset: cmu
  split: split_1
  text: sbert
  visual: {encoder: st_gcn, train: {epochs: 1, batch_size: 64}}
  epochs: 2
grid: {method: [dvta]}
seeds: 1
checkpoint: {models: all}
"""
SUMMARY = re.compile(r"(\d+) windows? of (\d+) frames, all answered")


@pytest.fixture(scope="module")
def trained(sweep_skeletons):
    """Train a small encoder and alignment once; return the folder."""
    return sweep_skeletons(SPEC)


@pytest.fixture
def here(trained, monkeypatch):
    forget_settings(monkeypatch)
    monkeypatch.chdir(trained)
    return trained


TRIAL = ("--trial", "dvta[dataset=cmu]")


def answers(out):
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def words(trained):
    """Return three class names: known without a text model."""
    from dvta import datasets

    return datasets.get("cmu", trained / "data").class_names[:3]


def test_a_stream_is_answered_as_the_file_is(here, words, capsys):
    path = write_person(here / "a.bvh", "mixamo", frames=300)
    assert run("predict", str(path), *words, *TRIAL, "--json") == 0
    whole = json.loads(capsys.readouterr().out)
    assert run("predict", "--watch", str(path), *words, *TRIAL, "--every", "0.5s", "--json") == 0
    out, err = capsys.readouterr()
    windows = answers(out)
    assert len(windows) == whole["samples"] == 7
    assert [w["to"] - w["from"] for w in windows] == [120] * 7
    for entry in whole["ranking"]:
        scores = [r["score"] for w in windows for r in w["ranking"] if r["phrase"] == entry["phrase"]]
        assert np.mean(scores) == pytest.approx(entry["score"], abs=1e-4)
    assert SUMMARY.search(err).groups() == ("7", "300")
    assert "7 of them were there before" in err
    assert "unit cm found from the body" in err


def test_a_file_that_grows_has_the_answers_of_the_whole(here, words, capsys, monkeypatch):
    path = write_person(here / "b.bvh", "mixamo", frames=240)
    content = path.read_bytes()
    assert run("predict", "--watch", str(path), *words, *TRIAL, "--json") == 0
    expected = answers(capsys.readouterr().out)
    growing = here / "growing.bvh"
    growing.write_bytes(content[:50])

    def grow():
        with growing.open("ab", buffering=0) as file:
            for start in range(50, len(content), 3000):
                file.write(content[start : start + 3000])
                time.sleep(0.002)

    writer = threading.Thread(target=grow)

    def begun(*arguments):
        source = follow(*arguments)
        yield next(source)
        writer.start()
        yield from source

    monkeypatch.setattr("orchestrator.cli.watch.follow", begun)
    # the header says how many frames follow: nothing is waited for after them
    assert run("predict", "--watch", str(growing), *words, *TRIAL, "--json") == 0
    writer.join()
    out, err = capsys.readouterr()
    found = answers(out)
    assert [(w["from"], w["to"], w["answer"]) for w in found] == [
        (w["from"], w["to"], w["answer"]) for w in expected
    ]
    assert len(found) == 9
    for a, b in zip(found, expected, strict=True):
        assert [r["score"] for r in a["ranking"]] == pytest.approx(
            [r["score"] for r in b["ranking"]], abs=1e-4
        )
    assert re.search(r"latency: median [\d.]+ ms, 99th percentile [\d.]+ ms.* late", err)


def test_ctrl_c_ends_it_with_what_was_answered_and_counted(here, words):
    """A real SIGINT, sent when the first answer is read, ends a file that goes on growing."""
    path = write_person(here / "c.bvh", "mixamo", frames=240)
    content = path.read_bytes()
    # the header promises more frames than ever come
    path.write_bytes(content[: int(0.8 * len(content))])
    command = [sys.executable, "-c", "from orchestrator.cli import app; app()", "predict", "--watch"]
    watching = subprocess.Popen(
        [*command, str(path), *words, *TRIAL, "--json", "--idle", "600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_signals,
    )
    first = watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    out, err = watching.stdout.read(), watching.stderr.read()
    assert watching.wait(60) == 0
    assert "Traceback" not in err
    assert "interrupted" in err
    found = answers(first + out)
    windows, frames = SUMMARY.search(err).groups()
    # a window is counted before its line is written: the signal may come between
    assert len(found) >= 1
    assert int(windows) - len(found) in (0, 1)
    assert 0 < int(frames) < 240


def joints(frames, seed=0):
    rng = np.random.default_rng(seed)
    pose = rng.normal(size=(25, 3)) * 0.3
    return "".join(
        json.dumps((pose + 0.1 * rng.normal(size=(25, 3))).round(4).tolist()) + "\n" for _ in range(frames)
    )


def test_standard_input_and_a_socket_are_watched_to_their_end(here, words, capsys):
    content = joints(100).encode()
    code = "from orchestrator.cli.main import app; app()"
    command = [sys.executable, "-c", code, "predict", "--watch", "-", *words, *TRIAL, "--json"]
    done = subprocess.run(command, input=content, capture_output=True)
    assert done.returncode == 0, done.stderr
    piped = answers(done.stdout.decode())
    assert [w["to"] for w in piped] == [60, 68, 76, 84, 92, 100]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = threading.Event()

    def send():
        assert told.wait(120)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(content)

    sender = threading.Thread(target=send)
    sender.start()
    real = following.socket.create_server

    def listening(*args, **kwargs):
        server = real(*args, **kwargs)
        told.set()
        return server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following.socket, "create_server", listening)
        assert run("predict", "--watch", f"tcp://127.0.0.1:{port}", *words, *TRIAL, "--json") == 0
    sender.join()
    out, err = capsys.readouterr()
    assert f"listening on tcp://127.0.0.1:{port}" in err
    assert [w["answer"] for w in answers(out)] == [w["answer"] for w in piped]


def test_phrases_change_while_it_runs(here, words, capsys, monkeypatch):
    import orchestrator.cli.watch as watching

    asked = here / "phrases.txt"
    asked.write_text(f"# first\n{words[0]}\n{words[1]}\n")
    content = joints(90).encode().splitlines(keepends=True)
    (here / "c.jsonl").write_text("{}")

    def pieces(source, idle, say):
        for index, line in enumerate(content):
            if index == 70:
                asked.write_text("\n")
            if index == 75:
                asked.write_text(f"{words[2]}\n{words[1]}\n{words[0]}\n")
            yield following.Chunk(line, time.perf_counter())

    monkeypatch.setattr(watching, "follow", pieces)
    assert run("predict", "--watch", "c.jsonl", "--phrases", str(asked), *TRIAL, "--json") == 0
    out, err = capsys.readouterr()
    assert [len(w["ranking"]) for w in answers(out)] == [2, 2, 3, 3]
    assert "phrases.txt: holds no phrase; the phrases stay as they were" in err
    assert f"phrases: {words[2]}, {words[1]}, {words[0]}" in err


def test_a_share_below_the_bound_is_none_of_these(here, words, capsys):
    path = write_person(here / "d.bvh", "mixamo", frames=150)
    assert run("predict", str(path), *words, *TRIAL, "--reject", "1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answer"] == "none of these"
    assert found["temperature"] > 0
    # the shares are those of the temperature
    scores = np.array([r["score"] for r in found["ranking"]]) / found["temperature"]
    shares = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    assert [r["probability"] for r in found["ranking"]] == pytest.approx(shares.tolist(), abs=1e-6)
    assert run("predict", "--watch", str(path), *words, *TRIAL, "--reject", "1") == 0
    assert "none of these  (" in capsys.readouterr().out
    assert run("predict", str(path), *words, *TRIAL, "--reject", "0") == 0
    assert f"answer: {found['ranking'][0]['phrase']} (shares calibrated" in capsys.readouterr().out


def test_what_breaks_off_is_named_after_the_answers(here, words, capsys):
    (here / "broken.jsonl").write_text(joints(80) + "[[1, 2]]\n")
    assert run("predict", "--watch", "broken.jsonl", *words, *TRIAL, "--idle", "0.1", "--json") == 2
    _, err = capsys.readouterr()
    assert "error: broken.jsonl, line 81: 1 joints" in err
    assert "all answered" in err
    good = joints(80).encode()
    (here / "cut.jsonl").write_bytes(good)
    source = follow(str(here / "cut.jsonl"), 60, print)
    first = next(source)
    assert first.before
    os.truncate(here / "cut.jsonl", 10)  # in one step: write_bytes is seen empty in between
    with pytest.raises(Exception, match=r"cut\.jsonl: was cut to 10 bytes"):
        list(source)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--watch", "absent.bvh"), "absent.bvh: no such file; allowed with --watch"),
        (("--watch", "tcp://0.0.0.0:80"), "only this machine is listened to"),
        (("--watch", "tcp://127.0.0.1:x"), "allowed: tcp://127.0.0.1:PORT"),
        (("spec.yaml", "--every", "5"), "--every 5: is for --watch"),
        (("--watch", "spec.yaml", "--window", "0"), "--window: '0' is impossible"),
        (("--watch", "spec.yaml", "--phrases", "spec.yaml"), "not both"),
        (("spec.yaml", "--csv", "--json"), "--csv and --json"),
    ],
)
def test_what_cannot_be_watched_is_refused(here, words, arguments, message, capsys):
    assert run("predict", *arguments, words[0], *TRIAL) == 2
    assert message in capsys.readouterr().err


def test_a_folder_is_answered_as_its_files_are_and_what_is_refused_is_named(here, words, capsys, monkeypatch):
    folder = here / "takes"
    for seed in range(4):
        write_person(folder / f"deep/take{seed}.bvh", "mixamo", frames=100 + 40 * seed, seed=seed)
    (folder / "broken.bvh").write_text("HIERARCHY\nROOT a\n")
    np.save(
        folder / "features.npy", np.abs(np.random.default_rng(0).normal(size=(3, 256))).astype(np.float32)
    )
    (folder / "readme.md").write_text("no recording")
    (here / "three.txt").write_text("\n".join(words) + "\n")
    monkeypatch.setattr("orchestrator.cli.batch.WINDOWS", 9)
    asked = ("predict", str(folder), "--phrases", "three.txt", *TRIAL)
    assert run(*asked, "--csv") == 1
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["file"] for row in rows] == [*(f"deep/take{i}.bvh" for i in range(4)), "features.npy"]
    assert "refused: " in err
    assert "broken.bvh, line 3" in err
    assert "5 recordings answered, 1 refused" in err
    assert "4 recordings: unit cm found from the body\n" in err
    for row in rows:
        assert run("predict", str(folder / row["file"]), *words, *TRIAL, "--json") == 0
        alone = json.loads(capsys.readouterr().out)
        assert int(row["samples"]) == alone["samples"]
        assert row["answer"] == alone["ranking"][0]["phrase"]
        for entry in alone["ranking"]:
            assert float(row[entry["phrase"]]) == pytest.approx(entry["probability"], abs=1e-5)
    (folder / "broken.bvh").unlink()
    assert run(*asked, "--json") == 0
    lines = answers(capsys.readouterr().out)
    assert [line["answer"] for line in lines] == [row["answer"] for row in rows]
    (here / "empty").mkdir(exist_ok=True)
    assert run("predict", "empty", words[0], *TRIAL) == 2
    assert "no recording in it" in capsys.readouterr().err
