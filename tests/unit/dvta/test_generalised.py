"""Calibrated stacking and AUSUC, against curves that are counted factor by factor."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvta.generalised import Curve, harmonic_mean

IDS, UNSEEN = np.array([0, 1, 2, 3, 4]), np.array([1, 3])


def counted(scores, label, factor):
    """Return the accuracies at a factor, sample by sample."""
    right = {True: [], False: []}
    for row, truth in zip(scores, label, strict=True):
        taken = [s - factor if c not in UNSEEN else s for c, s in zip(IDS, row, strict=True)]
        seen = max(s for c, s in zip(IDS, taken, strict=True) if c not in UNSEEN)
        unseen = max(s for c, s in zip(IDS, taken, strict=True) if c in UNSEEN)
        kind = [c not in UNSEEN for c in IDS] if seen >= unseen else [c in UNSEEN for c in IDS]
        among = [(s, -i) for i, (s, k) in enumerate(zip(row, kind, strict=True)) if k]
        right[truth in UNSEEN].append(IDS[-max(among)[1]] == truth)
    return tuple(float(np.mean(right[kind])) for kind in (False, True))


# quarters are exact: ties are ties by either way
problems = st.lists(
    st.tuples(st.lists(st.integers(-8, 8), min_size=5, max_size=5), st.integers(0, 4)),
    min_size=1,
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(problems)
def test_the_curve_is_the_counted_one_at_every_factor(problem):
    # at least one sample of each kind
    problem = [*problem, ([0, 1, 2, 3, 4], 0), ([1, 0, 0, 1, 2], 3)]
    scores = np.array([row for row, _ in problem]) / 4
    label = np.array([truth for _, truth in problem])
    curve = Curve.of(scores, label, IDS, UNSEEN)
    between = (curve.factors[1:] + curve.factors[:-1]) / 2
    grid = [curve.factors[0] - 1, *curve.factors, *between, curve.factors[-1] + 1]
    points = [counted(scores, label, factor) for factor in sorted(grid)]
    np.testing.assert_allclose([curve.at(f) for f in sorted(grid)], points, atol=1e-12)
    area = sum((u1 - u0) * (s0 + s1) / 2 for (s0, u0), (s1, u1) in itertools.pairwise(points))
    assert curve.area() == pytest.approx(area)
    best = max(harmonic_mean(*point) for point in points)
    assert harmonic_mean(*curve.at(curve.best_factor())) == pytest.approx(best)


def test_the_ends_of_the_curve_are_the_two_closed_worlds():
    scores = np.array([[3.0, 0, 0, 0, 0], [0, 2, 0, 0, 1], [0, 0, 1, 5, 0]])
    curve = Curve.of(scores, np.array([0, 1, 3]), IDS, UNSEEN)
    assert (curve.seen[0], curve.unseen[0]) == (1.0, 0.0)
    assert (curve.seen[-1], curve.unseen[-1]) == (0.0, 1.0)
    # everybody right at once somewhere: the whole square
    assert curve.area() == 1.0
    assert curve.at(curve.best_factor()) == (1.0, 1.0)


def test_a_harmonic_mean_of_nothing_is_nothing():
    assert harmonic_mean(0.0, 0.0) == 0.0
    assert harmonic_mean(0.6, 0.3) == pytest.approx(0.4)
