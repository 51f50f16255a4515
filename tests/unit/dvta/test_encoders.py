"""Encoders: published sizes, shifts worked out another way, training that continues, honest PCA."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvta.encoders import ENCODERS, kinematic
from dvta.encoders.ctr_gcn import CTRGCN, GraphConvolution
from dvta.encoders.extract import feature_arrays, least_motion, masks, segments
from dvta.encoders.shift_gcn import ShiftGCN, TemporalShift, shift_indices
from dvta.encoders.st_gcn import STGCN
from dvta.encoders.training import EncoderFit
from dvta.errors import OptionError
from dvta.profiling import parameters
from dvta.training_config import EncoderConfig
from tests.factories import make_skeletons

BLOCKS = {
    STGCN: [2576, 3200, 3200, 3200, 11616, 12544, 12544, 45760, 49664, 658176],
    ShiftGCN: [8587, 13632, 13632, 13632, 51008, 43648, 43648, 183936, 152832, 152832],
    CTRGCN: [12052, 26308, 26308, 26308, 78084, 97844, 97844, 301748, 382228, 382228],
}


def test_published_sizes():
    sizes = {STGCN: 821_380, ShiftGCN: 677_687, CTRGCN: 1_431_252}
    for cls, count in sizes.items():
        encoder = cls()
        assert parameters(encoder) == count
        blocks = encoder.blocks if cls is STGCN else encoder.units
        assert [parameters(b) for b in blocks] == BLOCKS[cls]
    classical = STGCN("classical")
    assert parameters(classical) == 3_083_412
    assert [parameters(b) for b in classical.blocks] == [
        37952, 49664, 49664, 49664, 181632, 197632, 197632, 723712, 788480, 788480,
    ]  # fmt: skip
    assert ENCODERS.names() == ["ctr_gcn", "shift_gcn", "st_gcn", "st_gcn_classical"]


@pytest.mark.parametrize("cls", [STGCN, ShiftGCN, CTRGCN])
@pytest.mark.parametrize(("frames", "persons"), [(50, 1), (64, 2)])
def test_features_and_gradients(cls, frames, persons):
    torch.manual_seed(0)
    encoder = cls()
    x = torch.randn(2, 3, frames, 25, persons)
    maps = encoder.feature_map(x)
    assert maps.shape == (2, math.ceil(frames / 4), 25, 256)
    features = encoder(x)
    assert features.shape == (2, 256)
    features.square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        if "joint_offset" in name:
            assert not parameter.grad.any()
    moving = [n for n, p in encoder.named_parameters() if p.grad.any()]
    # with alpha at 0 CTR-GCN's refinement has no gradient yet, nor has anything behind a zero
    assert len(moving) > 0.5 * len(list(encoder.parameters()))


def test_ctr_gcn_is_the_published_form():
    torch.manual_seed(0)
    block = GraphConvolution(16, 32).double().eval()
    with torch.no_grad():
        block.alpha.fill_(0.7)
        block.norm.weight.fill_(1.0)
    x = torch.randn(2, 16, 9, 25, dtype=torch.float64)
    y = torch.zeros(2, 32, 9, 25, dtype=torch.float64)
    for k in range(3):
        relation, channel = slice(2 * k, 2 * k + 2), slice(32 * k, 32 * k + 32)

        def convolved(conv, part, x):
            return torch.einsum("oi,nitv->notv", conv.weight[part, :, 0, 0], x) + conv.bias[part, None, None]

        q, r = (convolved(conv, relation, x).mean(2) for conv in (block.query, block.other))
        difference = torch.tanh(q[:, :, :, None] - r[:, :, None, :])
        topology = block.alpha * convolved(block.expand, channel, difference) + block.adjacency[k]
        y = y + torch.einsum("ncuv,nctv->nctu", topology, convolved(block.value, channel, x))
    torch.testing.assert_close(block(x), torch.relu(block.norm(y) + block.residual(x)))


def test_weight_decay_is_in_the_published_groups():
    groups = ShiftGCN().parameter_groups(1e-4)
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [
        (len(list(ShiftGCN().parameters())) - 20, 1e-4), (10, pytest.approx(1e-3)), (10, 0.0)
    ]  # fmt: skip
    (group,) = CTRGCN().parameter_groups(4e-4)
    assert group["weight_decay"] == 4e-4
    assert len(group["params"]) == len(list(CTRGCN().parameters()))


def test_bf16_trains_close_to_fp32(tmp_path):
    data = make_skeletons(tmp_path, per_class=1)
    config = EncoderConfig(epochs=2, batch_size=16)
    losses = [
        [r.metrics["loss"] for r in EncoderFit("st_gcn", data, config, precision=precision)]
        for precision in ("fp32", "bf16")
    ]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_a_second_body_of_zeros_is_no_body():
    for cls in (ShiftGCN, CTRGCN):
        encoder = cls().eval()
        one = torch.randn(2, 3, 16, 25, 1)
        both = torch.cat((one, torch.zeros_like(one)), dim=4)
        torch.testing.assert_close(encoder(one), encoder(both))


def test_st_gcn_takes_persons_in_any_order():
    encoder = STGCN().eval()
    x = torch.randn(2, 3, 16, 25, 2)
    torch.testing.assert_close(encoder(x), encoder(x.flip(4)), atol=1e-5, rtol=1e-5)


@given(st.integers(1, 70))
@settings(max_examples=20, deadline=None)
def test_spatial_shifts_undo_each_other_and_move_channel_j_by_j_joints(channels):
    inward, outward = shift_indices(channels, 1), shift_indices(channels, -1)
    x = torch.arange(25 * channels)
    assert torch.equal(x[inward][outward], x)
    grid = x[inward].reshape(25, channels)
    for joint in (0, 7, 24):
        for channel in (0, channels // 2, channels - 1):
            assert grid[joint, channel] == ((joint + channel) % 25) * channels + channel


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [12, 13])
def test_temporal_shift_is_linear_interpolation_with_zeros_outside(stride, frames):
    torch.manual_seed(0)
    shift = TemporalShift(6, stride, "true")
    with torch.no_grad():
        shift.offset.copy_(torch.tensor([-2.3, -1.0, 0.0, 0.4, 1.7, 30.0]))
    x = torch.randn(2, 6, frames, 25, dtype=torch.float64)
    got = shift.double()(x)
    assert got.shape[2] == math.ceil(frames / stride)
    for c, offset in enumerate(shift.offset.tolist()):
        for t in range(got.shape[2]):
            position = t * stride + offset + (0.5 if stride == 2 else 0.0)
            low = math.floor(position)
            expected = torch.zeros(2, 25, dtype=torch.float64)
            for frame, weight in ((low, 1 - (position - low)), (low + 1, position - low)):
                if 0 <= frame < frames:
                    expected += weight * x[:, c, frame]
            torch.testing.assert_close(got[:, c, t], expected)


def test_the_published_gradient_of_a_shift_is_a_step():
    for rule in ("sign", "true"):
        torch.manual_seed(0)
        shift = TemporalShift(4, 1, rule)
        x = torch.randn(2, 4, 9, 25)
        x[:, 3] = 0.0
        shift(x).square().sum().backward()
        grad = shift.offset.grad
        if rule == "sign":
            assert grad[:3].abs().tolist() == pytest.approx([0.01] * 3)
            assert grad[3].item() == pytest.approx(1e-4)
        else:
            assert (grad[:3].abs() > 0.01).all()
            assert grad[3] == 0


def test_encoder_settings():
    config = EncoderConfig(epochs=140, optimizer="sgd", lr=0.1, schedule="steps", steps="60,80,100")
    assert [config.rate(e) for e in (1, 60, 61, 81, 101)] == pytest.approx([0.1, 0.1, 0.01, 0.001, 0.0001])
    cosine = EncoderConfig(epochs=150)
    assert cosine.rate(1) == 5e-3
    assert cosine.rate(76) == pytest.approx(2.5e-3)
    warm = EncoderConfig(epochs=65, lr=0.1, schedule="steps", steps="35,55", warmup_epochs=5)
    assert [warm.rate(e) for e in (1, 3, 5, 6, 35, 36)] == pytest.approx([0.02, 0.06, 0.1, 0.1, 0.1, 0.01])
    for wrong, message in (
        ({"optimizer": "adm"}, "did you mean 'adam'"),
        ({"steps": "ten"}, "epochs such as 60,80,100"),
        ({"lr": 0.0}, "above 0"),
        ({"epochs": 0}, "1 or more"),
        ({"epochs": 12.5}, "epochs: 12.5 is impossible; allowed: a whole number"),
        ({"batch_size": True}, "a whole number"),
        ({"steps": 60}, "steps: 60 is impossible; allowed: a text"),
    ):
        with pytest.raises(OptionError, match=message):
            EncoderConfig(**wrong)


def test_training_learns_seen_classes_and_continues_bit_for_bit(tmp_path):
    data = make_skeletons(tmp_path)
    config = EncoderConfig(epochs=3, batch_size=16, lr=5e-3)
    whole = EncoderFit("st_gcn", data, config)
    losses = [next(whole).metrics["loss"]]
    state = copy.deepcopy(whole.state())
    losses += [r.metrics["loss"] for r in whole]
    assert losses[-1] < losses[0]
    again = EncoderFit("st_gcn", data, config, state=state)
    assert [r.metrics["loss"] for r in again] == losses[1:]
    assert again.best == whole.best
    for a, b in zip(whole.encoder.state_dict().values(), again.encoder.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    arrays = feature_arrays(data, whole.encoder, needs=frozenset({"unpooled", "masked"}))
    assert arrays["train_unpooled"].shape == (len(data.train), 3, 25, 256)
    assert arrays["train_masked"].shape == (len(data.train), 8, 256)
    assert set(arrays["z_label"].tolist()) == set(data.unseen)
    assert (arrays["train"] >= 0).all()


def test_a_last_batch_of_one_sample_is_trained_on(tmp_path):
    data = make_skeletons(tmp_path, per_class=1)
    for size in (1, len(data.train) - 1):
        assert next(EncoderFit("st_gcn", data, EncoderConfig(epochs=1, batch_size=size))).metrics["loss"] > 0


def test_without_test_samples_of_seen_classes_the_last_epoch_counts(tmp_path):
    data = make_skeletons(tmp_path, per_class=1)
    none = dataclasses.replace(data, gtest=data.ztest)
    run = EncoderFit("st_gcn", none, EncoderConfig(epochs=2, batch_size=16))
    assert [sorted(r.metrics) for r in run] == [["loss", "lr"]] * 2
    assert run.best == (None, 2)
    assert run.encoder is not None


def test_held_out_classes_reach_no_weight(tmp_path):
    data = make_skeletons(tmp_path)
    config = EncoderConfig(epochs=1, batch_size=16)
    held = data.seen[:3]
    poisoned = dataclasses.replace(data.train, positions=data.train.positions.copy())
    rows = data.train.rows[np.isin(data.train.labels, held)]
    poisoned.positions[rows] = 1e3
    runs = [
        EncoderFit("st_gcn", d, config, held_out=held)
        for d in (data, dataclasses.replace(data, train=poisoned))
    ]
    a, b = (next(run).metrics["loss"] for run in runs)
    assert a == b
    assert next(EncoderFit("st_gcn", data, config)).metrics["loss"] != a


def test_segments_average_equal_parts_of_time():
    maps = torch.arange(12.0).reshape(1, 12, 1, 1).expand(1, 12, 25, 2)
    assert segments(maps)[0, :, 0, 0].tolist() == [1.5, 5.5, 9.5]
    assert segments(torch.ones(2, 13, 25, 4)).shape == (2, 3, 25, 4)


def test_masks_keep_the_calmest_frames_in_order():
    x = np.zeros((1, 3, 50, 25, 1))
    x[:, :, 20:35] = np.cumsum(np.ones((1, 3, 15, 25, 1)), axis=2)
    kept = least_motion(x)
    assert kept.shape == (1, 35)
    assert (np.diff(kept[0]) > 0).all()
    assert np.isin(kept[0], np.arange(21, 34)).sum() <= 1
    chosen = masks(35, count=4)
    assert chosen.shape == (4, 20)
    assert (np.diff(chosen, axis=1) > 0).all()
    assert np.array_equal(chosen, masks(35, count=4))


def test_kinematic_features_are_fitted_on_seen_training_samples_alone(tmp_path):
    data = make_skeletons(tmp_path)
    first = kinematic.feature_arrays(data)
    assert first["train"].shape == (len(data.train), 256)
    assert all((first[k] >= 0).all() for k in ("train", "ztest", "gtest"))
    positions = data.ztest.positions.copy()
    positions[data.ztest.rows] *= 5
    other = kinematic.feature_arrays(
        dataclasses.replace(data, ztest=dataclasses.replace(data.ztest, positions=positions))
    )
    assert np.array_equal(first["train"], other["train"])
    assert not np.array_equal(first["ztest"], other["ztest"])


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_statistics_of_the_shortest_windows_are_numbers(frames):
    skeletons = np.random.default_rng(0).normal(size=(4, 3, frames, 25, 1))
    found = kinematic.statistics(skeletons)
    assert np.isfinite(found).all()
    assert found.shape == kinematic.statistics(np.repeat(skeletons, 5, 2)).shape
    velocity, acceleration = found[:, 225:300], found[:, 300:375]
    assert (velocity.any(), acceleration.any()) == (frames > 1, frames > 2)


def test_an_absent_second_person_does_not_change_the_statistics():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(2, 3, 10, 25, 1))
    both = np.concatenate([one, np.zeros_like(one)], axis=4)
    assert kinematic.statistics(one) == pytest.approx(kinematic.statistics(both))
