"""The data behind the figures, and the marks that all of them carry."""

from __future__ import annotations

import types

import numpy as np
import pytest
import torch

from dvta.methods import build
from orchestrator.errors import SettingsError
from orchestrator.report.figures import (
    FIGURES,
    Request,
    classes,
    confusion,
    curves,
    draw,
    ranks,
    response,
    series,
    similarity,
    skeletons,
    style,
)
from orchestrator.report.figures import representations as points
from orchestrator.settings import Settings
from tests.cell_values import value
from tests.factories import make_features
from tests.study_store import make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A study of four rows, two splits and three seeds, one trial failed."""
    return make_store(tmp_path_factory.mktemp("store"), failed=True)


@pytest.fixture(scope="module")
def trained():
    """A method and features, as the figures look into them."""
    features = make_features(unseen=5, per_class=40)
    torch.manual_seed(0)
    method = build("dvta", visual_dim=features.visual_dim, text_dim=features.text_dim)
    return types.SimpleNamespace(features=features, method=method)


def request(store, name: str, **options) -> Request:
    settings = Settings(data="d", runs="r", store="sqlite://", mlflow="sqlite://")
    return Request(name=name, store=store, settings=settings, **options)


def rows(store, **where):
    study_id, _ = store.find_study()
    return series.by_rows(series.kept(store.cells(study_id), where), None)


def test_a_band_is_mean_and_deviation_over_seeds_at_shared_epochs():
    found = series.band(
        [(0, {1.0: 1.0, 2.0: 3.0}), (0, {1.0: 3.0, 2.0: 3.0}), (1, {1.0: 4.0, 2.0: 5.0, 3.0: 9.0})]
    )
    assert (found.x, found.n) == ((1.0, 2.0), 2)
    assert found.mean == pytest.approx((3.0, 4.0))  # the two trials of seed 0 count once
    assert found.high[0] - found.mean[0] == pytest.approx(np.std([2, 4], ddof=1))
    alone = series.band([(0, {1.0: 5.0})])
    assert (alone.low, alone.mean, alone.high, alone.n) == ((5.0,), (5.0,), (5.0,), 1)


def test_rows_are_told_apart_by_a_name_or_by_the_table(store):
    assert list(rows(store, split="split_1")) == [f"gamma=0.0{i}" for i in (1, 2, 3, 4)]
    assert len(rows(store)) == 8  # with the column, where there are several
    study_id, _ = store.find_study()
    by_split = series.by_rows(store.cells(study_id), "split")
    assert {name: len(vs) for name, vs in by_split.items()} == {"split_1": 12, "split_2": 11}
    with pytest.raises(
        SettingsError, match="--rows gama: no trial has it; did you mean 'gamma'|did you mean"
    ):
        series.by_rows(store.cells(study_id), "gama")
    with pytest.raises(SettingsError, match="--where colour"):
        series.kept(store.cells(study_id), {"colour": "red"})


def test_curves_are_read_from_the_store(store):
    found = curves.bands(store, rows(store, split="split_1"), "accuracy")
    assert len(found) == 4
    first = found["gamma=0.01"]
    assert (first.x[0], first.x[-1], first.n) == (1.0, 12.0, 3)
    assert first.mean[-1] == pytest.approx(50.0)
    with pytest.raises(SettingsError, match="--metric speed: no done trial has it"):
        curves.bands(store, rows(store), "speed")


def test_classes_are_sorted_by_their_mean_and_changes_by_gain(store):
    names = [f"class {c}" for c in range(5)]
    found = classes.of_rows(store, rows(store, split="split_1"), "final", names)
    means = [np.mean(list(each.values())) for each in found.values()]
    assert len(means) == 5
    assert means == sorted(means, reverse=True)
    assert found["class 4"]["gamma=0.02"] == pytest.approx(50)
    parts = rows(store, split="split_1")
    change = classes.changes(store, parts["gamma=0.01"], parts["gamma=0.03"], "final", names)
    assert list(change.values()) == pytest.approx([20.0] * 5)


def test_a_response_has_a_line_for_all_else_that_varies(store):
    study_id, _ = store.find_study()
    values = store.cells(study_id)
    assert response.numeric_names(values) == ["gamma"]
    found = response.responses(values, "gamma", "final")
    assert list(found) == ["split split_1", "split split_2"]
    assert found["split split_1"].x == (0.01, 0.02, 0.03, 0.04)
    assert found["split split_1"].mean == pytest.approx((51, 54, 57, 60))
    assert found["split split_1"].high[0] - found["split split_1"].mean[0] == pytest.approx(1.0)
    with pytest.raises(SettingsError, match="--rows sde: no number that varies"):
        response.responses(values, "sde", "final")


def test_a_line_is_not_named_by_what_follows_from_its_method():
    values = [
        value("r", "c", 0, 0.5, method=method, lr=lr, margin=margin)
        for method, margin in (("devise", 0.1), ("smie", None))
        for lr in (1e-4, 1e-3)
    ]
    assert list(response.responses(values, "lr", "final")) == ["method devise", "method smie"]


def test_ranks_need_ten_class_splits():
    def measured(units: int) -> series.Rows:
        return {
            m: [
                value(m, "c", s, 0.5 + 0.1 * i + 0.001 * u, split=f"s{u}")
                for u in range(units)
                for s in range(2)
            ]
            for i, m in enumerate(("a", "b", "c"))
        }

    found = ranks.scores(measured(12), "final")
    assert [len(x) for x in found.values()] == [12, 12, 12]
    assert found["b"][3] == pytest.approx(60.3)
    assert "12 class splits, critical difference 0.96" in ranks.draw(found).axes[0].get_title()
    with pytest.raises(
        SettingsError, match="9 class splits have all 3 rows; a rank diagram needs 10 or more"
    ):
        ranks.scores(measured(9), "final")
    two = {m: v for m, v in measured(12).items() if m != "a"}
    with pytest.raises(SettingsError, match="2 rows"):
        ranks.scores(two, "final")


def test_rows_of_a_rank_diagram_have_labels_of_their_own():
    assert ranks.labels(["dvta", "my.methods.Ridge", "gamma=0.5"]) == ["dvta", "Ridge", "gamma=0.5"]
    alike = ["my.methods.Ridge", "your.methods.Ridge", "x" * 40 + "a", "x" * 40 + "b"]
    assert ranks.labels(alike) == alike


def test_a_batch_is_drawn_evenly_from_all_unseen_classes(trained):
    labels = np.repeat([3, 1, 7], [100, 20, 4])
    batch = similarity.even_batch(labels, 60)
    assert np.unique(labels[batch], return_counts=True)[1].tolist() == [20, 20, 4]
    found = similarity.similarities(trained)
    assert found.names == tuple(f"class {c}" for c in range(5))  # all of them, not the first two
    assert found.bounds == (0, 25, 50, 75, 100, 125)
    assert set(found.matrices) == {"da", "aa", "combined", "truth"}
    for matrix in found.matrices.values():
        assert matrix.shape == (125, 125)
        assert matrix.sum(1) == pytest.approx(np.ones(125), abs=1e-4)


def test_all_panels_of_figure_7_share_one_scale_with_a_bar(trained):
    figure = similarity.draw(similarity.similarities(trained))
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 4
    scales = {image.get_clim() for axes in panels for image in axes.images}
    assert list(scales) == [(0.0, pytest.approx(0.04))]
    assert [t.get_text() for t in panels[0].get_xticklabels()] == [f"class {c}" for c in range(5)]
    assert figure.axes[-1].get_ylabel() == "share of the row"
    style.pyplot().close(figure)


def test_the_confusion_of_a_trial_has_its_best_class_first(trained):
    matrix, names = confusion.shares(trained)
    assert matrix.sum(1) == pytest.approx(np.full(5, 100.0))
    assert sorted(names) == [f"class {c}" for c in range(5)]
    assert np.all(np.diff(matrix.diagonal()) <= 0)


def test_components_are_those_of_the_greatest_variance():
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([10.0, 5.0, 0.1, 0.1])
    found, share = points.components(x)
    assert found.var(0) == pytest.approx(np.sort(x.numpy().var(0))[::-1][:2], rel=0.05)
    assert share > 0.99


def test_representations_show_six_classes_at_most_with_even_shares(trained):
    found = points.points(trained)
    assert list(found.spaces) == ["features", "after the visual projector"]
    assert {found.names.count(n) for n in set(found.names)} == {40}
    assert all(x.shape == (200, 2) for x in found.spaces.values())


def test_the_true_class_is_among_the_scores_that_are_shown():
    names = [f"c{i}" for i in range(9)]
    shown = skeletons._shown(np.linspace(0.2, 0.0, 9), names, "c8")
    assert list(shown) == ["c0", "c1", "c2", "c3", "c8"]
    with pytest.raises(SettingsError, match="simulated features come from no recording"):
        skeletons.strips(types.SimpleNamespace(features=make_features()))


def test_figures_need_data_and_say_what_is_allowed(store):
    for name in ("confusion", "similarity", "representations", "skeletons", "4", "7", "8"):
        with pytest.raises(SettingsError, match="give it with --trial"):
            draw(request(store, name))
    with pytest.raises(SettingsError, match=r"figure curve: unknown \(did you mean 'curves'\?\)"):
        draw(request(store, "curve"))
    with pytest.raises(SettingsError, match="needs trials of one data set and split"):
        draw(request(store, "classes"))
    with pytest.raises(SettingsError, match="--where dataset"):
        draw(request(store, "classes", rows="gamma"))
    assert len(FIGURES) == 9


@pytest.mark.parametrize("source", ["real", "simulated"])
def test_a_figure_of_simulated_data_never_looks_like_a_real_one(tmp_path, source):
    store = make_store(tmp_path, rows=2, columns=1, seeds=2, epochs=3, source=source)
    for name in ("curves", "classes", "response"):
        drawn = draw(request(store, name))
        texts = [t.get_text() for t in drawn.figure.texts]
        assert drawn.simulated == (source == "simulated")
        assert not texts
        svg = drawn.write("svg").decode()
        assert ("SIMULATED" in svg) == (source == "simulated")
        assert drawn.of in svg


def test_series_are_told_apart_without_colour_and_the_same_figure_is_the_same_file(store):
    looks = [look for look, _ in zip(style.looks(), range(49), strict=False)]
    assert len({(look["color"], str(look["linestyle"])) for look in looks}) == 49
    assert len({str(look["linestyle"]) for look in looks[:7]}) == 7
    first, second = (draw(request(store, "response")).write("svg") for _ in range(2))
    assert first == second


def test_epochs_are_whole_numbers_on_the_axis(store):
    figure = curves.draw(curves.bands(store, rows(store, split="split_1"), "loss"), "loss")
    axes = figure.axes[0]
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    assert figure.get_figwidth() == style.COLUMN
    style.pyplot().close(figure)
