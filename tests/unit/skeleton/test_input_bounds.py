"""Input has bounds: constructed and mutated files of every reader, in a process with little memory and time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dvta.skeleton import SkeletonError
from dvta.skeleton.motion import read_clip
from dvta.skeleton.ntu import read_ntu
from dvta.skeleton.read import read_any
from tests.conftest import ROOT
from tests.people import write_person
from tests.skeleton_files import walking, write_ntu, write_pku, write_split_list

#: bytes of memory beyond what the interpreter and NumPy have taken
SPARE = 200 << 20
_MUTANTS = 60

# runs in a process of its own: reads each file, says its outcome and its seconds of computing
_READER = """
import resource, sys, time
from pathlib import Path
from dvta.errors import DvtaError
from dvta.skeleton.clips import read_clip_classes
from dvta.skeleton.joints import read_map
from dvta.skeleton.motion import hierarchy
from dvta.skeleton.ntu import missing_skeletons
from dvta.skeleton.pku import missing_samples, read_labels, read_lists
from dvta.skeleton.read import read_any

READERS = {
    "any": read_any, "labels": read_labels, "lists": read_lists, "missing": missing_skeletons,
    "samples": missing_samples, "table": read_clip_classes, "map": read_map, "hierarchy": hierarchy,
}
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + SPARE
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for line in sys.stdin:
    kind, path = line.rstrip("\\n").split("\\t")
    began = time.process_time()
    try:
        READERS[kind](Path(path))
        outcome = "read"
    except DvtaError as error:
        outcome = "refused" if str(Path(path).parent) in str(error) and "\\n" not in str(error) else f"unnamed: {error}"
    except BaseException as error:
        outcome = f"{type(error).__name__}: {error}"
    print(f"{time.process_time() - began:.3f}\\t{outcome}", flush=True)
"""


def outcomes(files: list[tuple[str, Path]]) -> list[tuple[float, str]]:
    """Return seconds of computing and outcome of reading each file in one process of little memory."""
    done = subprocess.run(
        [sys.executable, "-c", f"SPARE = {SPARE}\n{_READER}"],
        input="".join(f"{kind}\t{path}\n" for kind, path in files),
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line.split("\t", 1) for line in done.stdout.splitlines()]
    assert len(rows) == len(files)
    return [(float(seconds), outcome) for seconds, outcome in rows]


def _bvh(
    joints: int, channels: str, frames: int, row: str, frame_time: object = 0.008, stated: int | None = None
) -> str:
    each = f"OFFSET 0 1 0\nCHANNELS {channels}\n"
    head = f"HIERARCHY\nROOT Hips\n{{\n{each}" + "".join(
        f"JOINT j{i}\n{{\nOFFSET 0 1 0\nCHANNELS 0\n}}\n" for i in range(joints)
    )
    return f"{head}}}\nMOTION\nFrames: {stated or frames}\nFrame Time: {frame_time}\n" + f"{row}\n" * frames


def _bombs(folder: Path) -> list[tuple[str, Path]]:
    """Write files that ask for much more than they hold."""
    person = write_person(folder / "person.bvh", "mixamo", frames=3).read_text()
    start, motion = person.split("MOTION")
    row = motion.splitlines()[3]
    amc = ":FULLY-SPECIFIED\n" + "".join(f"{i}\nroot 0 0 0 0 0 0\n" for i in range(1, 30000))
    asf = ":bonedata\n" + "".join(
        f"begin\nname b{i}\ndirection 0 1 0\nlength 1\naxis 0 0 0 XYZ\nend\n" for i in range(3000)
    )
    texts = {
        "no_channels.bvh": _bvh(900, "0", 60000, ""),
        "one_channel.bvh": _bvh(900, "1 Xrotation", 60000, "1"),
        "slow.bvh": f"{start}MOTION\nFrames: 30000\nFrame Time: 9\n" + "\n" * 30000,
        "slow_whole.bvh": f"{start}MOTION\nFrames: 400\nFrame Time: 9\n" + f"{row}\n" * 400,
        "frames.bvh": f"{start}MOTION\nFrames: 99999\nFrame Time: 0.01\n" + f"{row}\n" * 9,
        "frames_huge.bvh": f"{start}MOTION\nFrames: 1{'0' * 300}\nFrame Time: 0.01\n",
        "time_tiny.bvh": f"{start}MOTION\nFrames: 3\nFrame Time: 1e-300\n" + f"{row}\n" * 3,
        "deep.bvh": "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n" + "JOINT a\n{\nOFFSET 0 0 0\n" * 50000,
        "wide.bvh": "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n" + "JOINT a\n{\nOFFSET 0 0 0\n}\n" * 50000,
        "braces.bvh": "HIERARCHY\n" + "{" * 900_000,
        "endless.bvh": "HIERARCHY ROOT" + " a" * 3_000_000,
        "far.bvh": f"{start}MOTION\nFrames: 2\nFrame Time: 0.01\n"
        + f"{' '.join(['1e300'] * len(row.split()))}\n" * 2,
        "walk.amc": amc,
        "walk.asf": asf,
        "S001C001P001R001A001.skeleton": "90000\n" + "0\n" * 90000,
        "S001C001P001R001A002.skeleton": "99999999\n" + "0\n" * 90000,
        "S001C001P001R001A003.skeleton": f"1\n{9**40}\n",
        "bytes.bvh": "\0" * 3_000_000,
    }
    found = []
    for name, text in texts.items():
        (folder / name).write_text(text)
        found.append(("hierarchy" if name.endswith(".asf") else "any", folder / name))
    for name, text in {
        "rows.csv": "a;1\n" * 200_000,
        "wide.csv": "a," * 2_000_000,
        "quote.csv": '"' + "a\n" * 900_000,
    }.items():
        (folder / name).write_text(text)
        found.append(("table", folder / name))
    (folder / "aliases.yaml").write_text("a: &a [x]\nb: &b [*a,*a]\njoints: {head: *b}\n")
    (folder / "nested.yaml").write_text("joints: " + "[" * 100_000)
    found += [("map", folder / "aliases.yaml"), ("map", folder / "nested.yaml")]
    for ending in (".bvh", ".amc", ".skeleton", ".txt", ".npy"):
        os.mkfifo(folder / f"pipe{ending}")
        (folder / f"zero{ending}").symlink_to("/dev/zero")
        (folder / f"folder{ending}").mkdir()
        found += [
            ("any", folder / f"{kind}{ending}") for kind in ("pipe", "zero", "folder") if ending != ".npy"
        ]
    found += [
        (kind, folder / "pipe.txt") for kind in ("labels", "lists", "missing", "samples", "table", "map")
    ]
    found += [(kind, Path("/dev/zero")) for kind in ("labels", "lists", "missing", "samples", "table", "map")]
    return found


def test_bombs_are_refused_at_once_in_little_memory(tmp_path: Path) -> None:
    files = _bombs(tmp_path)
    assert len(files) >= 45
    for (kind, path), (seconds, outcome) in zip(files, outcomes(files), strict=True):
        assert outcome == "refused", f"{kind} {path.name}: {outcome}"
        assert seconds < 1.5, f"{kind} {path.name}: {seconds} s"


def test_the_bombs_of_the_cases_are_refused(shared: Path) -> None:
    files = [("any", path) for path in sorted((shared / "cases/bombs").glob("*.bvh"))]
    assert len(files) == 2
    assert [outcome for _, outcome in outcomes(files)] == ["refused", "refused"]


def _seeds(folder: Path) -> list[tuple[str, Path]]:
    write_person(folder / "a.bvh", "mixamo", frames=6)
    body = np.zeros((4, 2, 25, 3), np.float32)
    body[:, 0] = walking(4)
    write_pku(folder, "0002-L", body, [(1, 1, 2), (51, 2, 4)])
    write_ntu(folder / "S001C001P001R001A001.skeleton", [[b] for b in walking(3)])
    write_split_list(folder / "cross-subject.txt", ["0002-L", "0002-M"], ["0291-R"])
    (folder / "classes.csv").write_text("clip,class\nwalk/a.bvh,0\nrun b,1\n")
    (folder / "map.yaml").write_text((ROOT / "dvta/skeleton/joint_maps/mixamo.yaml").read_text())
    (folder / "walk.asf").write_text(
        ":units\n length 0.45\n angle deg\n:root\n order TX TY TZ RX RY RZ\n axis XYZ\n position 0 0 0\n"
        " orientation 0 0 0\n:bonedata\n begin\n name a\n direction 0 1 0\n length 2\n axis 0 0 20 XYZ\n"
        " dof rx ry rz\n end\n:hierarchy\n begin\n root a\n end\n"
    )
    (folder / "walk.amc").write_text(":DEGREES\n1\nroot 0 1 2 3 4 5\na 1 2 3\n2\nroot 0 1 2 3 4 6\na 1 2 4\n")
    return [
        ("any", folder / "a.bvh"),
        ("any", folder / "PKU_Skeleton_Renew/0002-L.txt"),
        ("labels", folder / "Train_Label_PKU_final/0002-L.txt"),
        ("any", folder / "S001C001P001R001A001.skeleton"),
        ("lists", folder / "cross-subject.txt"),
        ("table", folder / "classes.csv"),
        ("map", folder / "map.yaml"),
        ("hierarchy", folder / "walk.asf"),
        ("any", folder / "walk.amc"),
    ]


def _mutant(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut, repeat or overwrite pieces, or put words that numbers should be."""
    words = [
        b"9" * 30,
        b"-1",
        b"1e400",
        b"nan",
        b"{",
        b"}",
        b"1_0",
        b"\xff",
        b"\0",
        b"\n",
        b"1e308",
        b"JOINT",
        b"0",
    ]
    for _ in range(rng.integers(1, 5)):
        a, b = sorted(rng.integers(0, len(content) + 1, 2).tolist())
        b = min(b, a + int(rng.integers(0, 40)))
        middle = [words[rng.integers(len(words))], b"", content[a:b] * 3, rng.bytes(int(rng.integers(0, 8)))]
        content = content[:a] + middle[rng.integers(4)] + content[b:]
    return content


def test_mutants_of_every_format_are_read_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = []
    for kind, path in _seeds(tmp_path / "seeds"):
        content = path.read_bytes()
        for number in range(_MUTANTS):
            mutant = tmp_path / f"{kind}{number}" / path.name
            mutant.parent.mkdir(exist_ok=True)
            mutant.write_bytes(_mutant(content, rng))
            if path.suffix == ".amc":
                (mutant.parent / "walk.asf").write_bytes(path.with_suffix(".asf").read_bytes())
            files.append((kind, mutant))
    found = outcomes(files)
    assert len(found) == 9 * _MUTANTS
    for (kind, path), (seconds, outcome) in zip(files, found, strict=True):
        assert outcome in ("read", "refused"), f"{kind} {path}: {outcome}"
        assert seconds < 1.5
    assert sum(outcome == "refused" for _, outcome in found) > len(found) / 3


def test_limits_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_person(tmp_path / "a.bvh", "mixamo", frames=120)
    assert len(read_clip(path).joints) == 120
    for variable, value, words in (
        ("DVTA_MAX_FRAMES", "100", "120 frames; allowed: at most 100, or more with DVTA_MAX_FRAMES"),
        ("DVTA_MAX_JOINTS", "20", "21 joints; allowed: at most 20"),
        ("DVTA_MAX_DEPTH", "5", "6 joints one below the other"),
        ("DVTA_MAX_TEXT_BYTES", "1000", "bytes of text; allowed: at most 1,000"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            with pytest.raises(SkeletonError, match=words):
                read_clip(path)
    ntu = write_ntu(tmp_path / "S001C001P001R001A001.skeleton", [[b] for b in walking(9)])
    monkeypatch.setenv("DVTA_MAX_FRAMES", "8")
    with pytest.raises(SkeletonError, match="9 frames; allowed: at most 8"):
        read_ntu(ntu)


def test_a_pipe_is_refused_before_anybody_writes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.bvh")
    # reading one would wait for ever
    with pytest.raises(SkeletonError, match=r"a\.bvh: not a regular file"):
        read_any(tmp_path / "a.bvh")
