import pytest

from orchestrator.errors import SpecError
from orchestrator.spec_load import load_spec


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
    assert "defaults (line 3): ntu60 has no split '55/6' (did you mean '55/5'?); allowed: 55/5" in message


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
    assert found.settle({})["lr"] == 0.3
    assert found.settle({"lr": 0.4})["lr"] == 0.4
    assert found.settle({"dataset": "pku"})["lr"] == 0.2
    assert spec(tmp_path, text, overrides={"lr": "0.5"}).settle({"lr": 0.4})["lr"] == 0.5
    # what is forced is what rules see
    assert spec(tmp_path, text, overrides={"dataset": "pku"}).settle({})["lr"] == 0.2


def test_a_spec_may_extend_one_file_and_not_itself(tmp_path):
    (tmp_path / "base.yaml").write_text("study: base\nseeds: 5\ndefaults: {lr: 0.1, epochs: 2}\n")
    found = spec(tmp_path, "extends: base.yaml\nstudy: s\ndefaults: {lr: 0.2}\n")
    assert (found.study, len(found.seeds), found.defaults) == ("s", 5, {"lr": 0.2, "epochs": 2})
    assert "extends itself" in mistakes(tmp_path, "study: s\nextends: spec.yaml\n")
