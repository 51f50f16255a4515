"""Mangled and constructed inputs of every import: a typed error or arrays that fit, in little memory, at once."""

import json
import os
import subprocess
import sys

import pytest

from dvta.errors import DataError
from dvta.importers.features import import_features
from dvta.labels import read_labels
from dvta.texts import read_table

#: run in a process of its own, since its address space is limited
DRIVER = """
import io, json, os, pathlib, pickle, random, resource, sys, time, zipfile
import numpy as np
from dvta import datasets
from dvta.errors import DataError
from dvta.importers.arrays import import_arrays
from dvta.importers.cmu import import_cmu_skeletons
from dvta.importers.ctr_gcn import import_ctr_gcn
from dvta.importers.features import Choice, import_features
from dvta.importers.texts import import_text
from dvta.encoders.text import read_sentences
from dvta.datasets import own
from dvta.datasets.describe import describe
from dvta.labels import read_labels
from dvta.skeleton.read import read_any

root = pathlib.Path(sys.argv[1])
rounds = int(sys.argv[2])
used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20), used + (400 << 20)))
rng = random.Random(7)
work = root / "in"
work.mkdir(parents=True)
(root / "data/waves").mkdir(parents=True)
(root / "data/waves/dataset.yaml").write_text(json.dumps({"class_names": ["a", "b", "c"], "splits": {"one": [1]}}))
Y = np.repeat(np.arange(3), 4)
(root / "y.txt").write_text("\\n".join(map(str, Y)))
X = np.ones((12, 4), np.float32)
SKELETONS = np.random.default_rng(0).normal(size=(12, 8, 25, 3)).astype(np.float32)


def npz(**arrays):
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def npy(array, **how):
    out = io.BytesIO()
    np.save(out, array, **how)
    return out.getvalue()


CHOICE = Choice(dataset="waves", split="one", visual="v")
one = [{"frame_dir": f"s{i}", "label": i % 3, "keypoint": np.ones((1, 4, 17, 2), np.float32)} for i in range(3)]
KINDS = {
    "features": ("f.npz", npz(x=X, y=Y, clip=Y.astype(str)), lambda p: import_arrays(p, root / "data", CHOICE)),
    "skeletons": ("s.npz", npz(x=SKELETONS, y=Y), lambda p: import_arrays(p, root / "data", CHOICE)),
    "alone": ("x.npy", npy(X), lambda p: import_arrays(p, root / "data", CHOICE, labels=root / "y.txt")),
    "pyskl": ("a.pkl", pickle.dumps({"annotations": one}, 2), lambda p: import_arrays(p, root / "data", CHOICE)),
    "bodies": (
        "b.npy", npy({"skel_body0": SKELETONS[0]}, allow_pickle=True), lambda p: read_any(p, "windows"),
    ),
    "cmu": (
        "skeletons.npz", npz(x=SKELETONS, y=Y, clip=Y.astype(str), start=Y),
        lambda p: import_cmu_skeletons(p, root / "data"),
    ),
    "ctr_gcn": (
        "NTU60_CS.npz",
        npz(**{f"{a}_{b}": np.ones((2, 5, 150), np.float32) if a == "x" else np.eye(60)[:2] for a in "xy" for b in ("train", "test")}),
        lambda p: import_ctr_gcn(p, root / "data"),
    ),
    "flora": (
        "ntu60_seen55_unseen5.npz",
        npz(**{f"{a}_{b}": np.ones((2, 3)) if b == "data" else np.ones(2, int) for a in ("train", "zsl", "gzsl") for b in ("data", "label")}),
        lambda p: import_features("flora", p, root / "data", Choice(visual="v")),
    ),
    "label_pickle": ("l.pkl", pickle.dumps((["a", "b"], [1, 2]), 4), read_labels),
    "sentences": (
        "t.csv", "\\n".join(["class,context", *(f"{n},x" for n in datasets.get("cmu").class_names)]).encode(),
        lambda p: read_sentences(p, datasets.get("cmu")),
    ),
    "classes": ("c.csv", b"class,context\\na,b\\nc,d\\n", describe),
    "description": (
        "dataset.yaml", b"class_names: [a, b, c]\\nsplits: {one: [a]}\\ncontexts: [x, y, z]\\n",
        lambda p: own._read(p, p.stat().st_size, time.monotonic_ns()),
    ),
}


def mangle(content):
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        what = rng.randrange(6)
        if what == 0:
            del data[at : at + rng.randint(1, 40)]
        elif what == 1:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 12)))
        elif what == 2 and at < len(data):
            data[at] = rng.randrange(256)
        elif what == 3:
            data = data[:at]
        elif what == 4:
            data[at:at] = b"9" * rng.randint(1, 20)
        else:
            data[at : at + 8] = (2 ** rng.randint(20, 63)).to_bytes(8, "little")
        data = data or bytearray(b"x")
    return bytes(data)


found = {}
for kind, (name, content, read) in KINDS.items():
    refused, slowest = 0, 0.0
    for round in range(rounds):
        path = work / name
        path.write_bytes(content if round == 0 else mangle(content))
        began = time.process_time()
        try:
            read(path)
        except DataError as error:
            assert round or kind == "flora", error
            assert str(work) in str(error) or "--" in str(error), str(error)
            assert len(str(error)) < 3000, str(error)
            refused += 1
        except Exception:
            print(kind, round, path.read_bytes()[:300], file=sys.stderr)
            raise
        slowest = max(slowest, time.process_time() - began)
    found[kind] = refused, slowest
print(json.dumps(found))
"""
KINDS = (
    "features", "skeletons", "alone", "pyskl", "bodies", "cmu", "ctr_gcn", "flora", "label_pickle", "sentences",
    "classes", "description",
)  # fmt: skip


def test_mangled_inputs_are_refused_in_little_memory(tmp_path):
    command = [sys.executable, "-c", DRIVER, str(tmp_path), "120"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert set(found) == set(KINDS)
    for kind, (refused, slowest) in found.items():
        assert refused > 20, kind
        assert slowest < 2, kind


@pytest.mark.parametrize("kind", ["fifo", "zero", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, kind):
    for name in ("a.npy", "a.pkl", "a.csv", "train.npy"):
        path = tmp_path / "shift_5_r" / name
        path.parent.mkdir(exist_ok=True)
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "zero":
            path.symlink_to("/dev/zero")
        else:
            path.mkdir()
    for name in ("a.npy", "a.pkl", "a.csv"):
        with pytest.raises(DataError, match="not a regular file"):
            read_labels(tmp_path / "shift_5_r" / name)
    with pytest.raises(DataError, match="not a regular file"):
        read_table(tmp_path / "shift_5_r/a.csv")
    with pytest.raises(DataError, match="missing"):
        import_features("synse", tmp_path, tmp_path / "data")
