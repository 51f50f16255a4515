import pytest

from dvta.errors import UnknownNameError
from dvta.methods import METHODS
from orchestrator.errors import SpecError
from orchestrator.settings import Settings
from orchestrator.spec.load import load_spec
from orchestrator.spec.yaml import flag_value
from orchestrator.study.study import read_study


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
    assert "grid.gamma[1] (line 7): 'big' is not allowed here: a number" in message
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: s\nprofile: fast\n", "profile (line 2): 'fast' is unknown"),
        ("study: s\ntables: [77]\n", "table 77 is unknown"),
        ("study: s\ndefaults: {loss: klt}\n", "did you mean 'kld'"),
        (
            "study: s\ndefaults: {aa_activation: leaky}\n",
            "one of leaky_sigmoid, sigmoid, none (did you mean 'leaky_sigmoid'?)",
        ),
        ("study: s\ndefaults: {sde: 1}\n", "1 is not allowed here: true or false"),
        ("study: s\ndefaults: {warmup_epochs: 200}\n", "warmup_epochs: 200 is impossible"),
        ('study: s\ngrid:\n  "dataset, split": [[ntu60]]\n', "a list of 2 values"),
        ("- 1\n", "a spec is a mapping"),
        ("study: [\n", "not YAML"),
        ("seeds: 3\n", "field required"),
        ("study: !env X\n", "study (line 1): YAML reads 'X' as !env, which is not allowed"),
        ("study: s\ndescription: 2024-13-45\n", "YAML reads '2024-13-45' as !!timestamp"),
        (
            "study: s\ngrid:\n  [dataset, split]: [[ntu60, 55/5]]\n",
            "line 3: a key must be a text; names that vary",
        ),
        ("study: s\nprofile: [quick]\n", "profile (line 2): ['quick'] is not allowed here"),
        ("study: s\ntables: [[1, 2]]\n", "tables[0] (line 2): [1, 2] is not allowed here"),
        (
            "study: s\noverrides: [{when: {profile: [a]}, set: {}}]\n",
            "overrides[0].when.profile (line 2): ['a']",
        ),
        (
            "study: s\noverrides: [{wen: {}, set: {}}]\n",
            "unknown key (did you mean 'when'?); allowed: when, set",
        ),
        ("study: s\nmethods: ['os.path:join']\n", "method 'os.path:join' is no dvta.methods.base.Method"),
        (
            "study: s\ntext: clip\n",
            "text (line 2): unknown key; text as an axis stands under defaults or grid",
        ),
        ("study: s\nforced: {lr: 1}\n", "forced (line 2): unknown key"),
        ("study: s\nseeds: 0\n", "seeds (line 2): [] is not allowed here: list should have at least 1 item"),
        ("study: s\ngrid: {gamma: []}\n", "grid.gamma (line 2): is empty"),
    ],
)
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


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("grid: {gamma: [0.1]}\n", ["1 mistake", "grid gamma=0.1: no dataset; name one under"]),
        (
            "defaults: {dataset: ntu60, split: 55/5}\ngrid: {tau: [-1.0, 0.1], epochs: [0, 1]}\n",
            [
                "2 mistakes",
                "grid.tau (line 3): tau: -1.0 is impossible",
                "grid.epochs (line 3): epochs: 0 is",
            ],
        ),
        (
            "tables: [1]\nwhere: {method: [dvtaa]}\n",
            ["'dvtaa' is in no cell of the tables (did you mean 'dvta'?)"],
        ),
        (
            "tables: [1]\nwhere: {dataset: [pku]}\n",
            ["where.dataset: 'pku' is in no cell", "allowed: ntu60, ntu120"],
        ),
        ("description: nothing\n", ["nothing to run: it names no table and no grid"]),
        (
            "defaults: {dataset: ntu60, split: 55/5, text: sbrt}\ngrid: {gamma: [0.1]}\n",
            ["nothing to run", "sbrt_labels.npy: no such file (did you mean 'sbert'?)"],
        ),
        (
            "defaults: {dataset: ntu60, split: 55/5, visual: st_gnc}\ngrid: {gamma: [0.1]}\n",
            ["nothing to run", "st_gnc/55-5: no such features (did you mean 'st_gcn'?)"],
        ),
    ],
)
def test_a_study_that_cannot_run_is_refused_as_a_whole(tmp_path, monkeypatch, text, messages):
    monkeypatch.chdir(tmp_path)
    for variable in ("DVTA_DATA", "DVTA_RUNS", "DVTA_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
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
