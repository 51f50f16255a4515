import pytest

from dvta.errors import UnknownNameError
from dvta.methods import METHODS
from orchestrator.errors import SpecError
from orchestrator.settings import Settings
from orchestrator.spec.load import load_spec
from orchestrator.spec.model import Axis, Checkpoint, Resources, Search, Spec, When
from orchestrator.spec.yaml import flag_value
from orchestrator.study.study import read_study
from tests.conftest import ROOT, forget_settings
from tests.refused_specs import CANNOT_RUN, SINGLE


def spec(tmp_path, text, **kwargs):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    return load_spec(path, **kwargs)


def mistakes(tmp_path, text):
    with pytest.raises(SpecError) as caught:
        spec(tmp_path, text)
    return str(caught.value)


def test_all_mistakes_come_in_one_message_with_place_and_suggestion(tmp_path):
    message = mistakes(
        tmp_path,
        "study: s\nsedes: 3\ndefaults:\n  dataset: ntu60\n  split: 55/6\ngrid:\n  gamma: [0.01, big]\n",
    )
    assert "3 mistakes" in message
    assert "sedes (line 2): unknown key (did you mean 'seeds'?); allowed: study" in message
    assert "grid.gamma[1] (line 7): 'big' is not allowed here: a finite number" in message
    assert (
        "defaults.split (line 5): ntu60 has no split '55/6' (did you mean '55/5'?); allowed: 55/5" in message
    )


def test_yaml_reads_an_exponent_without_a_dot_as_text_and_we_do_not(tmp_path):
    assert spec(tmp_path, "study: s\ndefaults: {lr: 1e-5}\n").defaults == {"lr": 1e-5}


def test_yaml_reads_no_as_false_and_we_say_so(tmp_path):
    assert "quote it" in mistakes(tmp_path, "study: s\ndefaults: {dataset: no}\n")


def test_yaml_reads_colons_to_base_60_and_we_say_so(tmp_path):
    message = mistakes(tmp_path, "study: s\ndefaults: {epochs: 1:30}\n")
    assert "reads 1:30 as a number to base 60; quote it" in message


def test_a_slash_is_safe_and_a_key_given_twice_is_not(tmp_path):
    assert spec(tmp_path, "study: s\ndefaults: {dataset: ntu60, split: 55/5}\n").defaults["split"] == "55/5"
    assert "stands here twice" in mistakes(tmp_path, "study: s\nseeds: 2\nseeds: 3\n")


@pytest.mark.parametrize(("text", "message"), SINGLE)
def test_single_mistakes(tmp_path, text, message):
    assert message in mistakes(tmp_path, text)


def test_later_wins(tmp_path):
    text = (
        "study: s\ndefaults: {lr: 0.1, epochs: 1, dataset: ntu60}\nprofile: p\nprofiles: {p: {lr: 0.2, seeds: 2}}\n"
        "overrides: [{when: {dataset: ntu60}, set: {lr: 0.3}}]\n"
    )
    found = spec(tmp_path, text)
    assert found.seeds == [0, 1]
    assert found.cell_config({})["lr"] == 0.3
    assert found.cell_config({"lr": 0.4})["lr"] == 0.4
    assert found.cell_config({"dataset": "pku"})["lr"] == 0.2
    assert spec(tmp_path, text, overrides={"lr": "0.5"}).cell_config({"lr": 0.4})["lr"] == 0.5
    # what is forced is what rules see
    assert spec(tmp_path, text, overrides={"dataset": "pku"}).cell_config({})["lr"] == 0.2


def test_a_profile_and_set_may_give_keys_of_the_whole_file(tmp_path):
    text = "study: s\nprecision: fp32\nseeds: 3\nprofiles:\n  p: {precision: auto}\n  q: {precision: bf17, seeds: [x]}\n"
    assert (found := spec(tmp_path, text)).precision == "fp32"
    assert len(found.seeds) == 3
    assert (found := spec(tmp_path, text, profile="p")).precision == "auto"
    assert found.cell_config({}).get("precision") is None
    assert (
        spec(tmp_path, text, profile="q", overrides={"precision": "bf16", "seeds": "2"}).precision == "bf16"
    )
    with pytest.raises(SpecError) as caught:
        spec(tmp_path, text, profile="q")
    assert "profiles.q.precision (line 6): 'bf17' is not allowed here" in str(caught.value)
    assert "profiles.q.seeds[0] (line 6)" in str(caught.value)
    with pytest.raises(SpecError, match="--set.precision: 'half' is not allowed here"):
        spec(tmp_path, text, overrides={"precision": "half"})


def test_a_spec_may_extend_one_file_and_not_itself(tmp_path):
    (tmp_path / "base.yaml").write_text("study: base\nseeds: 5\ndefaults: {lr: 0.1, epochs: 2}\n")
    found = spec(tmp_path, "extends: base.yaml\nstudy: s\ndefaults: {lr: 0.2}\n")
    assert (found.study, len(found.seeds), found.defaults) == ("s", 5, {"lr": 0.2, "epochs": 2})
    assert "extends itself" in mistakes(tmp_path, "study: s\nextends: spec.yaml\n")


def test_a_mistake_of_the_parent_is_placed_in_the_parent(tmp_path):
    (tmp_path / "base.yaml").write_text("study: base\n\n\ndefaults: {los: kld}\n")
    message = mistakes(tmp_path, "extends: base.yaml\nstudy: s\nsedes: 2\n")
    assert f"defaults.los ({tmp_path / 'base.yaml'}, line 4): unknown name 'los'" in message
    assert "sedes (line 3): unknown key" in message


def test_flags_are_yaml_with_exponents_and_empty_texts():
    assert flag_value("lr", "1e-5") == 1e-5
    assert flag_value("steps", "") == ""
    assert flag_value("splits", "[55/5, 48/12]") == ["55/5", "48/12"]
    with pytest.raises(SpecError, match=r"--set gamma=\[: not YAML"):
        flag_value("--set gamma", "[")


@pytest.mark.parametrize(("text", "messages"), CANNOT_RUN)
def test_a_study_that_cannot_run_is_refused_as_a_whole(tmp_path, monkeypatch, text, messages):
    monkeypatch.chdir(tmp_path)
    forget_settings(monkeypatch)
    (tmp_path / "spec.yaml").write_text("study: s\n" + text)
    with pytest.raises(SpecError) as caught:
        read_study(tmp_path / "spec.yaml", Settings.load())
    for message in [str(tmp_path / "spec.yaml"), *messages]:
        assert message in str(caught.value)


def test_a_module_that_cannot_be_imported_is_a_mistake_of_its_author(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_syntax.py").write_text("class M(:\n")
    (tmp_path / "broken_import.py").write_text("1 / 0\n")
    for module, error in (("broken_syntax", "SyntaxError"), ("broken_import", "ZeroDivisionError")):
        with pytest.raises(UnknownNameError, match=f"method '{module}.M' cannot be imported: {error}"):
            METHODS.get(f"{module}.M")


def test_the_reference_names_every_key_of_a_spec():
    reference = (ROOT / "docs/spec.md").read_text(encoding="utf-8")
    names = {
        name for model in (Spec, Search, Axis, Resources, Checkpoint, When) for name in model.model_fields
    } - {"forced", "text"}  # set by the program
    assert len(names) == 48
    assert not {name for name in names if f"`{name}`" not in reference and f"{name}:" not in reference
                and f" {name}" not in reference}  # fmt: skip
