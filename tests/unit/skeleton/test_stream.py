"""Recordings in pieces: the frames and windows of the whole, however the bytes are cut; what is malformed is named."""

import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvta.errors import DataError, OptionError
from dvta.live import Live, Span, prepared
from dvta.skeleton.json_frames import joints_of
from dvta.skeleton.motion import Reading, read_clip, resampled
from dvta.skeleton.ntu import read_ntu
from dvta.skeleton.preprocess import frames50
from dvta.skeleton.read import read_any
from dvta.skeleton.stream import Frame, Resampler, Stream
from tests.people import write_person
from tests.skeleton_files import walking, write_ntu

CUTS = st.lists(st.integers(1, 4000), min_size=1, max_size=12)


def pieces(content, cuts):
    """Cut bytes into pieces of the given lengths, over and over."""
    found, at, index = [], 0, 0
    while at < len(content):
        found.append(content[at : at + cuts[index % len(cuts)]])
        at += len(found[-1])
        index += 1
    return found


def frames_of(content, cuts, how=None):
    stream = Stream("motion", how)
    found = [frame for piece in pieces(content, cuts) for frame in stream.feed(piece)]
    return [*found, *stream.finish()], stream


def recorder(name="motion", recipe="windows", window="2s", every="0.5s", how=None):
    """Return a Live that scores a window by its own network input, and the inputs."""
    inputs = []

    def score(x):
        inputs.extend(x.numpy())
        return x.flatten(1)[:, :3]

    return Live(Stream(name, how), recipe, score, Span.parse(window, ""), Span.parse(every, "")), inputs


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CUTS)
def test_ntu_lines_are_the_frames_of_the_file(tmp_path, cuts):
    bodies = walking(12)
    path = write_ntu(
        tmp_path / "a.skeleton", [[b] * (1 + i % 3) if i % 4 else [] for i, b in enumerate(bodies)]
    )
    whole = read_ntu(path)
    found, stream = frames_of(path.read_bytes(), cuts)
    assert len(found) == len(whole.positions) == 12
    assert stream.format.complete
    for frame, expected, ids in zip(found, whole.positions, whole.body_ids, strict=True):
        np.testing.assert_array_equal(frame.joints, expected[: len(frame.joints)])
        np.testing.assert_array_equal(frame.ids, ids[: len(frame.ids)])


@pytest.mark.parametrize(("fps", "unit"), [(60, 0.01), (120, 0.0254), (48, 0.01), (25, 1.0), (144, 0.001)])
def test_bvh_frames_are_those_of_the_file_at_any_rate_and_unit(tmp_path, fps, unit):
    path = write_person(tmp_path / "a.bvh", "mixamo", fps=fps, unit=unit, frames=150, seed=3)
    expected = read_clip(path)
    for cuts in ([777], [13, 5000, 101], [10**7]):
        found, stream = frames_of(path.read_bytes(), cuts)
        assert len(found) == len(expected.joints)
        np.testing.assert_allclose(np.stack([f.joints[0] for f in found]), expected.joints, atol=1e-9)
    assert [line for line in stream.format.said if "unit" in line] == [
        u for u in expected.said if "unit" in u
    ]


def test_an_added_t_pose_is_left_out_of_a_stream_too(tmp_path):
    path = write_person(tmp_path / "a.bvh", "mixamo", frames=90)
    lines = path.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("Frame Time")) + 1
    lines[first] = " ".join(["0"] * len(lines[first].split()))
    path.write_text("\n".join(lines) + "\n")
    assert "first frame left out: an added T-pose" in read_clip(path).said
    found, stream = frames_of(path.read_bytes(), [500])
    assert len(found) == len(read_clip(path).joints) == 89
    assert "first frame left out: an added T-pose" in stream.format.said
    assert len(frames_of(path.read_bytes(), [500], Reading(first_frame="keep"))[0]) == 90


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 90), st.floats(10, 250), st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_resampling_in_pieces_is_resampling_at_once(count, fps, cuts):
    joints = np.random.default_rng(count).normal(size=(count, 25, 3))
    resampler, found, at, index = Resampler(1 / fps, 60.0), [], 0, 0
    while at < count:
        piece = joints[at : at + cuts[index % len(cuts)]]
        at, index = at + len(piece), index + 1
        found.append(resampler.feed(piece, end=False))
    found.append(resampler.feed(np.zeros((0, 25, 3)), end=True))
    np.testing.assert_array_equal(np.concatenate(found), resampled(joints, 1 / fps, 60.0))


@pytest.mark.parametrize("cuts", [[50], [1001, 7], [10**7]])
def test_windows_of_a_stream_are_those_of_the_file(tmp_path, cuts):
    path = write_person(tmp_path / "a.bvh", "mixamo", frames=400)
    live, inputs = recorder()
    windows = [w for piece in pieces(path.read_bytes(), cuts) for w in live.push(piece)] + live.finish()
    expected = read_any(path)
    assert [w.start for w in windows] == list(range(0, 281, 30))
    assert windows[-1].seconds == pytest.approx((windows[-1].start + 120) / 60)
    np.testing.assert_allclose(np.stack(inputs), expected, atol=1e-6)


@pytest.mark.parametrize("recipe", ["frames50", "frames300", "clean", "windows"])
def test_a_window_of_everything_is_the_recipe_of_the_file(tmp_path, recipe):
    bodies = walking(70)
    path = write_ntu(
        tmp_path / "a.skeleton", [[b, b + 1] if 5 < i < 40 else [b] for i, b in enumerate(bodies)]
    )
    if recipe == "windows":
        live, inputs = recorder(recipe=recipe, window="60")
        expected = read_any(path, recipe)[:1]  # 70 frames are short: windows of 85 %
        live._window = Span(int(0.85 * 70), False)
    else:
        live, inputs = recorder(recipe=recipe, window="70")
        expected = read_any(path, recipe)
    windows = [w for piece in pieces(path.read_bytes(), [999]) for w in live.push(piece)] + live.finish()
    assert len(windows) == 1
    np.testing.assert_allclose(np.stack(inputs), expected, atol=1e-6)


def test_a_short_recording_is_one_window_and_an_empty_room_is_nobody(tmp_path):
    path = write_ntu(tmp_path / "a.skeleton", [[b] for b in walking(20)])
    live, _ = recorder()
    assert live.push(path.read_bytes()) == []
    (window,) = live.finish()
    assert (window.start, window.stop) == (0, 20)
    path = write_ntu(tmp_path / "b.skeleton", [[]] * 40)
    live, inputs = recorder(recipe="frames50", window="20", every="10")
    windows = live.push(path.read_bytes()) + live.finish()
    assert [bool(w.scores.isnan().all()) for w in windows] == [True] * 3
    assert inputs == []


def landmarks(rng, named):
    places = rng.normal(size=(33, 3)).round(4).tolist()
    return [dict(zip("xyz", p, strict=True), visibility=0.9) for p in places] if named else places


def test_json_lines_of_every_form_are_the_same_joints():
    places = landmarks(np.random.default_rng(0), named=False)
    objects = landmarks(np.random.default_rng(0), named=True)
    forms = [
        places, [places], objects, [objects], {"joints": places}, {"landmarks": [objects]},
        {"poseWorldLandmarks": objects, "landmarks": None}, {"pose_world_landmarks": {"landmark": objects}},
    ]  # fmt: skip
    found = [joints_of(json.dumps(form).encode()) for form in forms]
    assert len(found) == 8
    for joints in found:
        np.testing.assert_array_equal(joints, np.array(places, np.float32)[None])
    for nobody in ("null", "[]", '{"landmarks": []}', "[[]]"):
        assert not joints_of(nobody.encode(), 33).any()
    assert joints_of(json.dumps([[1, 2]] * 17).encode()).shape == (1, 17, 3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "no readable JSON"), ('{"a": 1}', "has a; allowed"), ("5", "no list of joints"),
        ("[[1,2,3]]", "1 joints; allowed: 25, alike"), (json.dumps([[1, 2, "x"]] * 25), "joint 1 is"),
        (json.dumps([[1, 2, float("nan")]] * 25), "joint 1 is"), (json.dumps([[1, 2, 3, 4]] * 25), "joint 1 is"),
        (json.dumps([[10**400, 2, 3]] * 25), "joint 1 is"), (json.dumps([[1, 2, -2e6]] * 25), "joint 1 is"),
        ("[" * 100_000, "no readable JSON"), (json.dumps([[[1, 2, 3]] * 25, [[1, 2, 3]] * 17]), "alike for all"),
    ],
)  # fmt: skip
def test_malformed_json_is_named_with_its_line(line, message):
    stream = Stream("camera")
    good = json.dumps([[0.1, 0.2, 0.3]] * 25)
    with pytest.raises(DataError, match=f"camera, line 2: .*{message}"):
        stream.feed(f"{good}\n{line}\n".encode())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello\n", "begins with 'hello'; allowed: NTU"), (b"", "ends before the first line"),
        (b"3\n1\nx\n", "ends before|a body has 1 values"), (b"2\n99\n", "number of bodies"),
        (b"HIERARCHY\nROOT a\n{\n", "ends before"), (b"x" * (1 << 21), "a line of more than"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused(content, message):
    with pytest.raises(DataError, match=message):
        frames_of(content, [1 << 22])


@pytest.mark.parametrize("cuts", [[1], [2, 1000], [3], [4], [10**6]])
def test_a_byte_order_mark_is_passed_over_wherever_the_bytes_are_cut(cuts):
    content = b"\xef\xbb\xbf" + json.dumps([[0.1, 0.2, 0.3]] * 25).encode()
    assert len(frames_of(content + b"\n", cuts)[0]) == 1
    assert len(frames_of(content, cuts)[0]) == 1  # nothing ends the line


@pytest.mark.parametrize("cuts", [[1], [500], [10**6]])
def test_a_wrong_count_of_bodies_is_named_with_its_own_line(tmp_path, cuts):
    path = write_ntu(tmp_path / "a.skeleton", [[b] for b in walking(2)])
    lines = path.read_text().splitlines()
    lines[29] = "x"
    with pytest.raises(DataError, match="motion, line 30: the number of bodies should be a whole number"):
        frames_of("\n".join(lines).encode(), cuts)


def changed_motion(path, change):
    """Rewrite the frames of a BVH file, lists of words."""
    head, _, rows = path.read_text().partition("Frame Time:")
    time, *rows = rows.splitlines()
    rows = [" ".join(row) for row in change([row.split() for row in rows])]
    path.write_text(f"{head}Frame Time:{time}\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("frames", [1, 2])
def test_a_stream_with_too_little_motion_is_refused_like_its_file(tmp_path, frames):
    path = write_person(tmp_path / "a.bvh", "mixamo", frames=frames)
    message = f"{frames - 1} frames of motion are too few; allowed: 2 or more"
    with pytest.raises(DataError, match=message):
        read_clip(path, Reading(first_frame="drop"))
    with pytest.raises(DataError, match=message):
        frames_of(path.read_bytes(), [500], Reading(first_frame="drop"))


def test_scale_channels_of_a_stream_are_refused_like_those_of_its_file(tmp_path):
    path = write_person(tmp_path / "a.bvh", "mixamo", frames=40)
    text = path.read_text().replace("CHANNELS 6 ", "CHANNELS 7 Xscale ", 1)
    path.write_text(text)
    changed_motion(path, lambda rows: [["1.0", *row] for row in rows])
    assert len(frames_of(path.read_bytes(), [999])[0]) == len(read_clip(path).joints) == 40
    changed_motion(
        path, lambda rows: [["2.0" if i == 30 else row[0], *row[1:]] for i, row in enumerate(rows)]
    )
    line = len(path.read_text().splitlines()) - 9
    message = f"line {line}: scale channels that are not 1 are not supported"
    with pytest.raises(DataError, match=message):
        read_clip(path)
    with pytest.raises(DataError, match=message):
        frames_of(path.read_bytes(), [999])


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "2m", "", "s", "nan"])
def test_spans_are_frames_or_seconds(text):
    with pytest.raises(OptionError, match="--window"):
        Span.parse(text, "--window")
    assert Span.parse("48", "").frames(30.0, 2) == 48
    assert Span.parse("1.5s", "").frames(30.0, 2) == 45


@pytest.mark.parametrize("recipe", ["frames50", "clean"])
def test_windows_without_a_first_body_are_nobody_and_the_stream_goes_on(recipe):
    somebody = walking(20)
    frames = [[[[0.0] * 3] * 25, b.tolist()] if i < 10 else b.tolist() for i, b in enumerate(somebody)]
    live, inputs = recorder(recipe=recipe, window="10", every="10")
    windows = live.push("".join(f"{json.dumps(f)}\n" for f in frames).encode()) + live.finish()
    assert [bool(w.scores.isnan().all()) for w in windows] == [True, False]
    assert len(inputs) == 1


@pytest.mark.parametrize("recipe", ["frames50", "clean"])
def test_json_lines_around_their_own_root_show_a_person(recipe):
    body = walking(20)
    body -= body[:, :1]
    frames, _ = frames_of("\n".join(json.dumps(b.tolist()) for b in body).encode(), [1000])
    expected = frames50(body.astype(np.float32)[:, None], centred=True)
    np.testing.assert_array_equal(prepared(frames, recipe), expected)


def test_mediapipe_windows_are_taken_to_ntu_by_their_own_frames():
    rng = np.random.default_rng(1)
    lines = [json.dumps({"landmarks": landmarks(rng, named=True)}) for _ in range(20)]
    frames, _ = frames_of("\n".join(lines).encode(), [1000])
    assert prepared(frames, "frames50").shape == (3, 50, 25, 2)
    assert prepared(frames, "windows").shape == (3, 50, 25, 1)
    nobody = [Frame(np.zeros((1, 25, 3), np.float32)), *frames]
    assert np.isfinite(prepared(nobody, "frames50")).all()
    assert torch.from_numpy(prepared(frames, "windows")).isfinite().all()
