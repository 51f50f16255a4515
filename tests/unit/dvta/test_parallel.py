"""One end-to-end run on two processes: the same loss and gradients as on one, and what happens when one dies."""

from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import tempfile

import numpy as np
import pytest
import torch
from torch import nn

from dvta.encoders.base import SkeletonEncoder
from dvta.end_to_end import EndToEndFit, WorkerLostError, initial_encoder
from dvta.end_to_end_config import EndToEndConfig
from dvta.errors import OptionError
from dvta.methods import build
from dvta.parallel import Part, opened, shareable
from dvta.training import load_state
from dvta.training_config import TrainingConfig
from tests.factories import make_joint_data, make_skeletons

CONFIG = TrainingConfig(epochs=2, batch_size=15, lr=1e-3)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_skeletons(folder, per_class=2)
    return folder


class Plain(SkeletonEncoder):
    """An encoder without batch normalisation, which alone tells parts from the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 256)

    def feature_map(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, T, 25, 256)."""
        return torch.tanh(self.layer(x.mean(-1).permute(0, 2, 3, 1)))


def start(data, encoder, workers, config=CONFIG, joint=None, state=None, method="dvta"):
    torch.manual_seed(0)
    model = build(method, visual_dim=256, text_dim=data.features.text_dim)
    joint = joint or EndToEndConfig(encoder_lr=1e-2)
    return EndToEndFit(model, encoder, data, config, joint, seed=0, state=state, workers=workers)


def plain() -> Plain:
    torch.manual_seed(1)
    return Plain()


def test_two_processes_have_the_loss_and_the_weights_of_one(root):
    data = make_joint_data(root)
    # 58 samples in batches of 15: three of 8 and 7, one of 7 and 6
    alone, shared = start(data, plain(), 1), start(data, plain(), 2)
    for one, other in zip(alone, shared, strict=True):
        assert other.metrics["loss"] == pytest.approx(one.metrics["loss"], rel=1e-4)
    torch.testing.assert_close(shared.encoder.layer.weight, alone.encoder.layer.weight, atol=2e-4, rtol=1e-3)
    for name, value in alone.method.state_dict().items():
        torch.testing.assert_close(shared.method.state_dict()[name], value, atol=2e-4, rtol=1e-3)


def test_two_processes_go_on_bit_for_bit_and_leave_nothing_behind(root, tmp_path):
    data = make_joint_data(root)
    joint = EndToEndConfig(shear=0.2, mirror=0.5)
    config = dataclasses.replace(CONFIG, epochs=3)
    whole = start(data, initial_encoder("st_gcn", {}, 0), 2, config, joint)
    epochs = [e.metrics for e in whole]
    whole._others.close()
    first = start(data, initial_encoder("st_gcn", {}, 0), 2, config, joint)
    head = [next(first).metrics]
    first.save(tmp_path / "state.pt")
    processes = first._others._processes
    first._others.close()
    assert all(p.poll() is not None for p in processes)
    second = start(
        data, initial_encoder("st_gcn", {}, 0), 2, config, joint, state=load_state(tmp_path / "state.pt")
    )
    assert head + [e.metrics for e in second] == epochs
    second._others.close()
    assert whole.outcome().final.accuracy == second.outcome().final.accuracy


def test_a_process_that_dies_is_named(root):
    run = start(make_joint_data(root), plain(), 2)
    next(run)
    (process,) = run._others._processes
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(WorkerLostError, match="of the 2 processes that train this trial, number 1 died"):
        next(run)
    run._others.close()


def test_what_cannot_start_leaves_nothing_behind(root, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = make_joint_data(root)
    skeletons = data.skeletons
    train = dataclasses.replace(skeletons.train, positions=np.array(skeletons.train.positions))
    loose = dataclasses.replace(data, skeletons=dataclasses.replace(skeletons, train=train))
    torch.manual_seed(0)
    model = build("devise", visual_dim=256, text_dim=data.features.text_dim)
    alone = (model, plain(), loose, CONFIG, EndToEndConfig())
    many = torch.cuda.device_count() + 2
    with pytest.raises(OptionError, match=f"workers: {many} need a GPU each"):
        EndToEndFit(*alone, device="cuda", workers=many)
    assert list(tmp_path.iterdir()) == []
    model.hook = lambda: None  # nothing pickles it
    with pytest.raises((pickle.PicklingError, AttributeError)):
        EndToEndFit(*alone, workers=2)
    assert list(tmp_path.iterdir()) == []


def test_parts_make_the_batch_and_small_ones_are_not_parted():
    batch = torch.arange(11)
    parts = [Part(rank, 3).of(batch) for rank in range(3)]
    assert torch.equal(torch.cat(parts), batch)
    assert [len(p) for p in parts] == [4, 4, 3]
    assert all(torch.equal(Part(rank, 3).of(batch[:5]), batch[:5]) for rank in range(3))


def test_positions_in_memory_are_shared_through_a_file(root, tmp_path):
    train = make_joint_data(root).skeletons.train
    assert shareable(train, tmp_path).path == train.path
    loose = dataclasses.replace(train, positions=np.array(train.positions))
    again = opened(shareable(loose, tmp_path))
    assert again.path.parent == tmp_path
    assert np.array_equal(again.batch(np.arange(5)), train.batch(np.arange(5)))
