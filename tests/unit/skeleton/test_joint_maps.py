"""Joint maps, units and frame rates: the same person under any maker's names, in any unit, is the same person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dvta.errors import DataError, OptionError
from dvta.skeleton import SkeletonError
from dvta.skeleton.graph import NTU_JOINTS
from dvta.skeleton.joints import SHIPPED, choose, read_map, shipped, strip_prefixes
from dvta.skeleton.motion import Reading, hierarchy, read_clip, resampled
from dvta.skeleton.read import read_any
from dvta.skeleton.units import UNITS, body_length, factor, metres
from tests.people import MAKERS, write_person

BODY = 1.70  # metres from head to ankles of the person written


def test_every_shipped_map_is_whole() -> None:
    assert len(SHIPPED) == 11
    for name in SHIPPED:
        assert set(shipped(name).sources) <= set(NTU_JOINTS)
    assert sorted(MAKERS) == sorted(set(SHIPPED) - {"cmu_cgspeed", "cmu_acclaim"})


@pytest.mark.parametrize("maker", MAKERS)
def test_the_maker_is_found_and_its_joints_lie_where_the_body_has_them(maker: str, tmp_path: Path) -> None:
    path = write_person(tmp_path / "a.bvh", maker, prefix="mixamorig:" if maker == "mixamo" else "")
    clip = read_clip(path)
    assert clip.said[0] == f"joint map {maker}"
    reference = read_clip(write_person(tmp_path / "b.bvh", "mixamo")).joints
    at = {name: clip.joints[:, i] for i, name in enumerate(NTU_JOINTS)}
    assert body_length(clip.joints) == pytest.approx(BODY, abs=0.01)
    for name, (a, b), wanted in (
        ("forearm", ("left_elbow", "left_wrist"), 0.25),
        ("thigh", ("right_hip", "right_knee"), 0.42),
        ("arm", ("right_shoulder", "right_elbow"), 0.28),
        ("shoulders", ("left_shoulder", "right_shoulder"), 0.36),
        ("head", ("neck", "head"), 0.23),
    ):
        found = np.linalg.norm(at[a] - at[b], axis=-1)
        assert np.median(found) == pytest.approx(wanted, abs=0.005), name
    same = [i for i, joint in enumerate(NTU_JOINTS) if joint not in ("spine_mid", "left_foot", "right_foot")]
    np.testing.assert_allclose(clip.joints[:, same], reference[:, same], atol=1e-4)


def test_missing_hand_tips_are_filled_and_said(tmp_path: Path) -> None:
    clip = read_clip(write_person(tmp_path / "a.bvh", "lafan1", tips=False))
    at = {name: clip.joints[:, i] for i, name in enumerate(NTU_JOINTS)}
    for joint in ("left_hand", "left_hand_tip", "left_thumb"):
        np.testing.assert_array_equal(at[joint], at["left_wrist"])
    assert "no left_hand in the skeleton, filled from left_wrist" in clip.said
    assert "no right_hand_tip or right_thumb in the skeleton, filled from right_hand" in clip.said
    with_tips = read_clip(write_person(tmp_path / "b.bvh", "lafan1"))
    assert not [line for line in with_tips.said if "hand_tip" in line]


@pytest.mark.parametrize(
    "prefix", ["mixamorig:", "mixamorig1:", "mixamorig", "Character1_", "a|b:", "f_avg_", "Model "]
)
def test_prefixes_are_stripped(prefix: str, tmp_path: Path) -> None:
    bare = read_clip(write_person(tmp_path / "a.bvh", "smpl"))
    found = read_clip(write_person(tmp_path / "b.bvh", "smpl", prefix=prefix))
    assert found.said == bare.said
    np.testing.assert_array_equal(found.joints, bare.joints)


def test_names_without_a_shared_prefix_stay() -> None:
    names = ["Pelvis", "L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Foot", "R_Foot", "R_Foot_end"]
    assert strip_prefixes(names) == names
    left = ["Reference", *(f"x_{n}" for n in names)]
    assert strip_prefixes(left) == ["Reference", *names]


@settings(max_examples=25, deadline=None)
@given(unit=st.sampled_from(sorted(UNITS)), fps=st.sampled_from([30, 60, 120, 240]))
def test_the_same_motion_in_any_unit_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, unit: str, fps: int
) -> None:
    folder = tmp_path_factory.mktemp("person")
    known = read_any(write_person(folder / "a.bvh", "mixamo", fps=fps))
    path = write_person(folder / "b.bvh", "mixamo", fps=fps, unit=UNITS[unit])
    said: list[str] = []
    np.testing.assert_allclose(read_any(path, say=said.append), known, atol=2e-5)
    assert f"unit {unit} found from the body: 1.70 m from head to ankles" in said[0]
    np.testing.assert_allclose(read_any(path, how=Reading(unit=unit)), known, atol=2e-5)
    odd = write_person(folder / "c.bvh", "mixamo", fps=fps, unit=0.31)
    np.testing.assert_allclose(read_any(odd, how=Reading(unit="0.31")), known, atol=2e-5)


def test_a_body_that_is_no_human_is_refused_with_the_factor(tmp_path: Path) -> None:
    path = write_person(tmp_path / "a.bvh", "mixamo", unit=0.31)
    with pytest.raises(
        SkeletonError, match=r"a\.bvh: the body is 5\.484 units long .* --unit 0\.31 would"
    ) as caught:
        read_clip(path)
    wanted = str(caught.value).split("--unit ")[1].split()[0]
    assert body_length(read_clip(path, Reading(unit=wanted)).joints) == pytest.approx(1.7, abs=0.01)
    with pytest.raises(SkeletonError, match=r"170 m in the unit m from head to ankles; allowed: 0\.5 to 3 m"):
        read_clip(write_person(tmp_path / "b.bvh", "mixamo"), Reading(unit="m"))
    assert metres(np.zeros((2, 25, 3)) + np.arange(25)[:, None], None, 1e-2)[1].startswith(
        "unit 0.01 m as the file"
    )


def test_values_a_person_gives_are_checked() -> None:
    assert factor("cm") == 0.01
    assert factor("0.5") == 0.5
    for wrong in ("feet", "-1", "0", "nan", "1_0", "inf"):
        with pytest.raises(OptionError, match="allowed: m, cm, mm, inch, cmu, or the metres"):
            Reading(unit=wrong)
    with pytest.raises(OptionError, match=r"fps: 0\.0 is impossible"):
        Reading(fps=0.0)
    with pytest.raises(OptionError, match="did you mean 'drop'"):
        Reading(first_frame="dropp")
    with pytest.raises(OptionError, match="did you mean 'mixamo'"):
        choose(["a"], "x.bvh", "mixam")


def test_the_first_frame(tmp_path: Path) -> None:
    path = write_person(tmp_path / "a.bvh", "mixamo", frames=30)
    lines = path.read_text().splitlines()
    rest = lines.index("MOTION") + 3
    lines[rest] = " ".join(["0"] * len(lines[rest].split()))
    path.write_text("\n".join(lines))
    found = {how: read_clip(path, Reading(first_frame=how)) for how in ("keep", "drop", "auto")}
    assert [len(found[how].joints) for how in ("keep", "drop", "auto")] == [30, 29, 29]
    assert "first frame left out: an added T-pose" in found["auto"].said
    plain = write_person(tmp_path / "b.bvh", "mixamo", frames=30)
    assert len(read_clip(plain).joints) == 30


def test_own_maps(tmp_path: Path) -> None:
    path = write_person(tmp_path / "a.bvh", "xsens")
    joints = {
        joint: list(shipped("xsens").sources[joint][0]) for joint in NTU_JOINTS if joint != "left_thumb"
    }
    single: dict[str, object] = {joint: names[0] for joint, names in joints.items()}
    single |= {
        "left_shoulder": "LeftShoulder",
        "right_shoulder": "RightShoulder",
        "neck": {"Neck": 3, "Head": 1},
    }
    table = tmp_path / "own.yaml"
    table.write_text(
        yaml.safe_dump({"joints": {k: v for k, v in single.items() if "hand" not in k and "thumb" not in k}})
    )
    found = read_clip(path, Reading(joints=str(table)))
    assert found.said[0] == "joint map own"
    base = read_clip(path).joints
    neck, shoulder = NTU_JOINTS.index("neck"), NTU_JOINTS.index("spine_shoulder")
    np.testing.assert_allclose(
        found.joints[:, neck] - base[:, shoulder], (base[:, neck] - base[:, shoulder]) / 2, atol=1e-9
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("joints: 3", "expected `joints:`"),
        ("joints: {head: a}\nunit: cm", "'unit' is unknown; allowed: joints, first_frame, prefix"),
        ("joints: {heed: a}", "'heed' is no NTU joint .did you mean 'head'"),
        ("joints: {head: a}", "joints: spine_base, spine_mid, neck, left_shoulder"),
        ("joints: {head: [", "no readable YAML"),
        ("\njoints: {head: &a [*a]}", "line 2: [*]a: anchors and aliases are not read"),
        ("joints:\n  head: a\n  neck: b\n  head: c", "line 4: the key 'head' stands here twice"),
        ("joints: !!bool foo", "line 1: 'foo' is no !!bool"),
        ("joints: !!int ''", "line 1: '' is no !!int"),
        ("joints: !!timestamp x", "line 1: 'x' is no !!timestamp"),
        (f"joints: {{head: {{a: 0x{'f' * 9000}}}}}", "line 1: a number of 9,002 digits; allowed: at most 64"),
        (f"# {'a' * 40_000}", "40,002 bytes; allowed: at most 32,768"),
        ("[[[[[[[[[[" * 400, "nested too deeply; allowed: 20 levels"),
    ],
)
def test_wrong_maps_name_file_and_key(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(content)
    with pytest.raises(DataError, match=words) as caught:
        read_map(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("value", [0, [], {}, {"a": -1}, {"a": "b"}, {"a": float("nan")}, [["a"]], None, ""])
def test_a_source_is_a_name_or_weights(value: object, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    content = dict.fromkeys(NTU_JOINTS, "a")
    path.write_text(yaml.safe_dump({"joints": {**content, "head": value}}))
    if value == []:
        read_map(path)  # no alternative: the hierarchy decides
        return
    with pytest.raises(DataError, match=r"joints\.head: .*allowed: a joint's name"):
        read_map(path)


def test_the_hierarchy_is_shown_beside_the_map(tmp_path: Path) -> None:
    found = hierarchy(write_person(tmp_path / "a.bvh", "bandai"))
    assert found.fitted is not None
    assert found.fitted.map.name == "bandai"
    assert found.names[:3] == ["Hips", "Spine", "Chest"]
    assert list(found.depths[:3]) == [0, 1, 2]
    with pytest.raises(SkeletonError, match="allowed: .bvh, .asf, .amc"):
        hierarchy(tmp_path / "a.skeleton")


def test_frames_between_are_interpolated() -> None:
    line = np.arange(11.0)[:, None, None]
    assert resampled(line, 1 / 120)[:, 0, 0].tolist() == [0, 2, 4, 6, 8, 10]
    np.testing.assert_allclose(resampled(line, 1 / 50)[:, 0, 0], np.arange(13) * 50 / 60, atol=1e-9)
