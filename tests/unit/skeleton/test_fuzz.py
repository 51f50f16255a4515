"""Cut off and mangled files of every format: a typed error naming the file, or a valid result."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvta.errors import DataError
from dvta.importers.ctr_gcn import CtrGcnArchive
from dvta.skeleton import SkeletonError
from dvta.skeleton.acclaim import read_amc, read_asf
from dvta.skeleton.arrays import open_positions, read_labels
from dvta.skeleton.bvh import read_bvh
from dvta.skeleton.ntu import read_ntu
from dvta.skeleton.pku import read_labels as read_pku_labels
from dvta.skeleton.pku import read_lists, read_pku
from tests.skeleton_files import walking, write_bvh, write_ntu, write_pku, write_split_list

_ASF = """:version 1.10
:units
  mass 1.0
  length 0.45
:root
   order TX TY TZ RX RY RZ
:bonedata
  begin
     name lowerback
     direction 0 1 0
     length 2
     axis 0 0 20 XYZ
     dof rx ry rz
     limits (-20.0 45.0)
            (-30.0 30.0)
  end
  begin
     name head
     direction 1 0 0
     length 1
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root lowerback
    lowerback head
  end
"""
_AMC = ":FULLY-SPECIFIED\n1\nroot 0 1 2 3 4 5\nlowerback 1 2 3\n2\nroot 0 1 2 3 4 6\nlowerback 1 2 4\n"

_TEXT: dict[str, Callable[[Path], object]] = {
    "ntu": read_ntu,
    "pku": read_pku,
    "pku_labels": read_pku_labels,
    "pku_lists": read_lists,
    "bvh": read_bvh,
    "asf": read_asf,
    "amc": lambda path: read_amc(path, _skeleton()),
}
_BINARY: dict[str, Callable[[Path], object]] = {
    "positions": lambda path: np.asarray(open_positions(path)).sum(),
    "labels": lambda path: read_labels(path, 3),
    "label_pickle": lambda path: read_labels(path, 3),
    "ctr_gcn": lambda path: [len(list(CtrGcnArchive(path).rows(part))) for part in ("train", "test")],
}


@functools.cache
def _skeleton() -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.asf"
        path.write_text(_ASF)
        return read_asf(path)


@functools.cache
def _content(kind: str) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        positions = np.zeros((3, 2, 25, 3), np.float32)
        positions[:, 0] = walking(3)
        if kind == "ntu":
            path = write_ntu(folder / "a.skeleton", [[walking(1)[0]], [], [walking(1)[0], walking(1, 1)[0]]])
        elif kind in ("pku", "pku_labels"):
            path = write_pku(folder, "0002-L", positions, [(1, 1, 2), (51, 2, 3)])
            path = path if kind == "pku" else folder / "Train_Label_PKU_final/0002-L.txt"
        elif kind == "pku_lists":
            path = write_split_list(folder / "cross-subject.txt", ["0002-L", "0002-M"], ["0291-R"])
        elif kind == "bvh":
            path = write_bvh(folder / "a.bvh", np.arange(27.0).reshape(3, 9))
        elif kind in ("asf", "amc"):
            path = folder / "a"
            path.write_text(_ASF if kind == "asf" else _AMC)
        elif kind == "positions":
            path = folder / "a.npy"
            np.save(path, np.zeros((2, 3, 4, 25, 1), np.float32))
        elif kind == "labels":
            path = folder / "a.npy"
            np.save(path, np.array([3, 1, 2]))
        elif kind == "label_pickle":
            path = folder / "a.pkl"
            path.write_bytes(pickle.dumps((["a", "b", "c"], [3, 1, 2])))
        else:
            path = folder / "a.npz"
            y = np.eye(4)[[1, 2]]
            x = np.ones((2, 3, 150), np.float32)
            np.savez_compressed(path, x_train=x, y_train=y, x_test=x, y_test=y)
        return path.read_bytes()


def _survives(kind: str, content: bytes, read: Callable[[Path], object], *, text: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / {"label_pickle": "a.pkl", "ctr_gcn": "a.npz"}.get(kind, "a.npy")
        path.write_bytes(content)
        began = time.process_time()
        caught: DataError | None = None
        try:
            read(path)
        except DataError as error:
            caught = error
        assert time.process_time() - began < 5
        if caught is None:
            return
        assert str(path) in str(caught)
        if text:
            assert isinstance(caught, SkeletonError)
            assert caught.line is not None
            assert caught.line >= 1
            assert "\n" not in str(caught)


_mangling = st.tuples(st.floats(0, 1), st.integers(0, 6), st.binary(max_size=12))


def _mangle(content: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for where, cut, put in changes:
        start = int(where * len(content))
        content = content[:start] + put + content[start + cut :]
    return content


@pytest.mark.parametrize("kind", [*_TEXT, *_BINARY])
def test_the_unharmed_file_reads(kind: str, tmp_path: Path) -> None:
    path = tmp_path / {"label_pickle": "a.pkl"}.get(kind, "a.npy")
    path.write_bytes(_content(kind))
    assert {**_TEXT, **_BINARY}[kind](path) is not None


@pytest.mark.parametrize("kind", [*_TEXT, *_BINARY])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.floats(0, 1, exclude_max=True))
def test_cut_off_files(kind: str, length: float) -> None:
    content = _content(kind)
    read = {**_TEXT, **_BINARY}[kind]
    _survives(kind, content[: int(length * len(content))], read, text=kind in _TEXT)


@pytest.mark.parametrize("kind", [*_TEXT, *_BINARY])
@settings(max_examples=60, deadline=None)
@given(changes=st.lists(_mangling, min_size=1, max_size=4))
def test_mangled_files(kind: str, changes: list[tuple[float, int, bytes]]) -> None:
    _survives(kind, _mangle(_content(kind), changes), {**_TEXT, **_BINARY}[kind], text=kind in _TEXT)


@pytest.mark.parametrize("kind", [*_TEXT])
@settings(max_examples=40, deadline=None)
@given(
    line=st.floats(0, 1, exclude_max=True),
    word=st.floats(0, 1, exclude_max=True),
    put=st.sampled_from(["9" * 25, "-1", "1e400", "nan", "", "{", "}", "1_0", "٣", "0x10", "1\n1", "1 2"]),
)
def test_wrong_words(kind: str, line: float, word: float, put: str) -> None:
    lines = _content(kind).decode().split("\n")
    row = int(line * len(lines))
    words = lines[row].split(" ")
    words[int(word * len(words))] = put
    lines[row] = " ".join(words)
    _survives(kind, "\n".join(lines).encode(), _TEXT[kind], text=True)


@pytest.mark.parametrize("kind", [*_TEXT, *_BINARY])
@settings(max_examples=25, deadline=None)
@given(content=st.binary(max_size=300))
def test_rubbish(kind: str, content: bytes) -> None:
    _survives(kind, content, {**_TEXT, **_BINARY}[kind], text=kind in _TEXT)


def test_a_pickle_of_a_few_bytes_takes_no_gigabytes(tmp_path: Path) -> None:
    # memo number 2**31: the C unpickler makes room for as many entries
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x04]r\xff\xff\xff\x7f.")
    code = (
        "import resource, sys; from pathlib import Path; from dvta.skeleton.arrays import read_labels\n"
        "try: read_labels(Path(sys.argv[1]), 3)\nexcept Exception as e: print(type(e).__name__)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    kind, kilobytes = done.stdout.split()
    assert kind == "SkeletonError"
    assert int(kilobytes) < 2_000_000


def test_an_endless_line_is_refused_quickly(tmp_path: Path) -> None:
    path = tmp_path / "a.skeleton"
    path.write_bytes(b"1" * (3 << 20))
    with pytest.raises(SkeletonError, match="line 1: a line of more than"):
        read_ntu(path)


def test_a_deeply_nested_hierarchy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    joint = "JOINT a\n{\nOFFSET 0 0 0\nCHANNELS 0\n"
    path.write_text("HIERARCHY\n" + joint.replace("JOINT", "ROOT") + joint * 5000)
    with pytest.raises(SkeletonError, match="line 802: 201 joints one below the other; allowed: at most 200"):
        read_bvh(path)
