"""Bodies of depth cameras: the clean recipe finds the same person whatever else was tracked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dvta.errors import DataError
from dvta.skeleton.bodies import PROBLEMS, clean, problems
from dvta.skeleton.check import check_prepared
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.ntu import NtuRecording
from dvta.skeleton.prepare import prepare
from dvta.skeleton.splits import available, recipe_name
from tests.skeleton_files import walking, write_ntu

FRAMES = 40
PERSON, OTHER = walking(FRAMES, 1).astype(np.float32), walking(FRAMES, 2).astype(np.float32) * np.float32(0.5)
GHOST = np.broadcast_to(walking(1, 3)[0], (FRAMES, 25, 3)).astype(np.float32)


def recording(*slots: list[tuple[int, np.ndarray, slice]]) -> NtuRecording:
    """Return a recording whose slots hold (body id, positions, frames)."""
    positions, ids = (
        np.zeros((FRAMES, len(slots), 25, 3), np.float32),
        np.zeros((FRAMES, len(slots)), np.int64),
    )
    for slot, tracks in enumerate(slots):
        for body, values, frames in tracks:
            positions[frames, slot], ids[frames, slot] = values[frames], body
    return NtuRecording(positions, ids)


ALL = slice(None)
EMPTY, FIRST, GHOSTLY, CROWD = PROBLEMS


@pytest.mark.parametrize(
    ("case", "rows", "has"),
    [
        (recording([(7, PERSON, ALL)]), ALL, ()),
        (recording([(7, PERSON, slice(10, None))]), slice(10, None), (EMPTY,)),
        (recording([(7, PERSON, slice(0, 15)), (7, PERSON, slice(25, 40))]), np.r_[0:15, 25:40], (EMPTY,)),
        (recording([(7, PERSON, slice(0, 30))]), slice(0, 30), ()),
        (recording([(9, GHOST, ALL)], [(7, PERSON, ALL)]), ALL, (FIRST, GHOSTLY)),
        (
            recording([(7, PERSON, slice(0, 16)), (9, GHOST, slice(16, 40))], [(7, PERSON, slice(16, 40))]),
            ALL,
            (FIRST, GHOSTLY),
        ),
        (recording([(7, PERSON, ALL)], [(9, OTHER, slice(0, 8))]), ALL, (GHOSTLY,)),
    ],
)
def test_one_person_is_found(case: NtuRecording, rows: object, has: tuple[str, ...]) -> None:
    found = clean(case)
    np.testing.assert_array_equal(found[:, 0], PERSON[rows])  # type: ignore[index]
    assert not found[:, 1].any()
    assert problems(case) == has


def test_two_persons_stand_by_motion_whatever_their_order() -> None:
    expected = np.stack([PERSON, OTHER], 1)
    motion = [np.sqrt(body.astype(float).var(0).sum(-1)).mean() for body in (PERSON, OTHER)]
    assert motion[0] > motion[1] > 0.005
    one = recording([(7, PERSON, ALL)], [(9, OTHER, ALL)])
    two = recording([(9, OTHER, ALL)], [(7, PERSON, ALL)], [(3, GHOST, ALL)])
    np.testing.assert_array_equal(clean(one), expected)
    np.testing.assert_array_equal(clean(two), expected)
    assert problems(one) == ()
    assert problems(two) == (FIRST, GHOSTLY)
    third = walking(FRAMES, 4).astype(np.float32) * np.float32(0.4)
    assert CROWD in problems(recording([(7, PERSON, ALL)], [(9, OTHER, ALL)], [(3, third, ALL)]))


def test_alone_a_still_or_short_body_is_the_person() -> None:
    np.testing.assert_array_equal(clean(recording([(9, GHOST, ALL)]))[:, 0], GHOST)
    np.testing.assert_array_equal(clean(recording([(7, PERSON, slice(0, 3))]))[:, 0], PERSON[:3])
    with pytest.raises(DataError, match="no frame shows a person"):
        clean(recording([]))


def test_preparing_cleanly_stands_beside_the_published_recipe(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for performer in (1, 3):
        name = f"S001C001P{performer:03d}R001A001.skeleton"
        write_ntu(raw / name, [[GHOST[i], PERSON[i]] for i in range(FRAMES)])
        write_ntu(raw / name.replace("A001", "A002"), [[PERSON[i]] for i in range(FRAMES)])
    published = prepare("ntu", raw, tmp_path / "root", processes=1)
    cleaned = prepare("ntu", raw, tmp_path / "root", recipe="clean", processes=1)
    assert (published.folder.name, cleaned.folder.name) == ("xsub", "xsub_clean")
    assert available(tmp_path / "root", "ntu60") == ["xsub", "xsub_clean"]
    assert recipe_name("xsub_clean") == "clean"
    assert published.problems == cleaned.problems == {FIRST: 2, GHOSTLY: 2}
    mended = np.load(cleaned.folder / "train_position.npy")
    np.testing.assert_array_equal(mended[0], mended[1])
    as_published = np.load(published.folder / "train_position.npy")
    assert np.abs(as_published[0] - as_published[1]).max() > 0.1
    np.testing.assert_array_equal(as_published[1], mended[1])
    checked = check_prepared(published.folder)
    assert (checked.samples, checked.problems) == ({"train": 2, "val": 2}, {FIRST: 2, GHOSTLY: 2})
    (published.folder / "train_name.txt").write_text("one\n")
    with pytest.raises(SkeletonError, match="1 names for 2 samples"):
        check_prepared(published.folder)
