"""Which trials are made one piece of work, and in what order."""

import dataclasses

import pytest

from orchestrator.execute.grouping import LARGEST, Grouping, count_stacked, group_key
from orchestrator.execute.sources import PlannedTrials
from orchestrator.records import Wait
from orchestrator.trial import Trial

TRAINING = {"epochs": 2, "batch_size": 32, "lr": 0.001, "schedule": "cosine", "warmup_epochs": 0,
            "weight_decay": 0.0, "eval_batch_size": 64}  # fmt: skip


def make(seed=0, method="devise", options=None, **training):
    options = {"margin": 0.1} if options is None and method == "devise" else options or {}
    return Trial(
        method, 1, "ntu60", "55/5", "v", "t", seed, "real", "d", options, {**TRAINING, **training}
    )  # fmt: skip


def pieces(trials, stack, workers=1, device="cpu"):
    grouping = Grouping(PlannedTrials(trials), stack)
    found = []
    while isinstance(piece := grouping.next(workers, device), tuple):
        found.append([t.seed for t in piece])
    assert piece is None
    return found


def test_trials_that_differ_only_in_values_have_one_key():
    key = group_key(make())
    assert key is not None
    assert group_key(make(1)) == group_key(make(lr=0.1)) == group_key(make(options={"margin": 0.5})) == key
    assert group_key(make(weight_decay=0.1)) == key


@pytest.mark.parametrize(
    "change",
    [{"dataset": "pku"}, {"split": "48/12"}, {"visual": "w"}, {"text": "u"}, {"source": "simulated"},
     {"data_digest": "e"}, {"evaluate_on": "validation"}, {"depends_on": "k"}, {"revision": 2},
     {"stand_in": {"visual_dim": 8}}, {"training": {**TRAINING, "epochs": 3}},
     {"training": {**TRAINING, "batch_size": 8}}, {"method": "smie", "options": {}}],
)  # fmt: skip
def test_trials_that_differ_in_more_have_two(change):
    other = group_key(dataclasses.replace(make(), **change))
    assert other is not None
    assert other != group_key(make())


def test_some_trials_always_train_by_themselves():
    assert group_key(dataclasses.replace(make(), kind="encoder")) is None
    assert group_key(dataclasses.replace(make(), kind="profile")) is None
    assert group_key(make(train="visual")) is None
    assert group_key(make(method="dvta")) is None
    assert group_key(make(method="nobody.Knows")) is None
    assert group_key(make(options={"nonsense": 1})) is None


def test_a_number_stacks_up_to_so_many_and_off_none():
    trials = [make(s) for s in range(5)]
    assert pieces(trials, 4) == pieces(trials, 4, workers=3, device="cuda") == [[0, 1, 2, 3], [4]]
    assert pieces(trials, 1) == pieces(trials, "off") == [[s] for s in range(5)]


def test_auto_stacks_where_it_was_measured_to_pay_and_shares_with_the_other_workers():
    trials = [make(s) for s in range(8)]
    assert pieces(trials, "auto") == [list(range(8))]
    assert pieces(trials, "auto", workers=2) == [[0, 1, 2, 3], [4, 5], [6], [7]]
    assert pieces(trials, "auto", device="cuda") == [[s] for s in range(8)]
    assert pieces([make(s, "smie") for s in range(3)], "auto") == [[0], [1], [2]]
    assert [len(p) for p in pieces([make(s) for s in range(50)], "auto")] == [LARGEST, LARGEST, 10]


def test_what_lies_between_keeps_its_order():
    mixed = [make(0), make(1, "dvta"), make(2, "smie"), make(3), make(4, "dvta"), make(5, "smie"), make(6)]
    assert pieces(mixed, 2) == [[0, 3], [1], [2, 5], [4], [6]]


class Slowly:
    """A source that has one trial at a time."""

    def __init__(self, *trials):
        self.trials = list(trials)

    def next(self):
        return self.trials.pop(0) if self.trials else Wait()

    def ready(self):
        return None


def test_nothing_is_waited_for():
    grouping = Grouping(Slowly(make(0), make(1)), 4)
    assert [len(grouping.next(1, "cpu")) for _ in range(2)] == [1, 1]
    assert isinstance(grouping.next(1, "cpu"), Wait)


def test_a_plan_counts_what_one_worker_would_stack():
    trials = [*(make(s) for s in range(5)), *(make(s, "smie") for s in range(3)), make(9, "dvta")]
    assert count_stacked(trials, 4, "cpu") == 4 + 3
    assert count_stacked(trials, "auto", "cpu") == 5
    assert count_stacked(trials, "auto", "cuda") == count_stacked(trials, "off", "cpu") == 0
