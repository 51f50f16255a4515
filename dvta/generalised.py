"""Candidates of all classes without a gate: calibrated stacking, and the whole seen-unseen curve.

A method scores all classes, and a factor is taken off the scores of the seen ones. As it grows from
minus to plus infinity, samples go over from seen to unseen classes one by one (Chao et al., 2016).
"""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Curve:
    """Accuracies (K + 1,) on seen and on unseen classes, as fractions, where the factor passes ``factors`` (K,).

    ``seen[k]`` and ``unseen[k]`` hold for every factor above ``factors[k - 1]`` and up to ``factors[k]``.
    """

    factors: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, label: np.ndarray, ids: np.ndarray, unseen_ids: np.ndarray) -> Curve:
        """Measure labelled samples of both kinds of classes.

        Args:
            scores: (N, C) of the classes ``ids`` (C,), seen and unseen.
            label: (N,) global ids. unseen_ids: which of the classes are unseen.
        """
        scores = np.asarray(scores, dtype=np.float64)
        of_unseen = np.isin(ids, unseen_ids)
        best = [np.where(side, scores, -np.inf).argmax(1) for side in (~of_unseen, of_unseen)]
        rows = np.arange(len(scores))
        lead = scores[rows, best[0]] - scores[rows, best[1]]  # from here on the sample goes to the unseen
        right_seen, right_unseen = (ids[b] == label for b in best)
        factors, place = np.unique(lead, return_inverse=True)
        is_unseen = np.isin(label, unseen_ids)
        lost = np.bincount(place[~is_unseen], right_seen[~is_unseen], len(factors))
        won = np.bincount(place[is_unseen], right_unseen[is_unseen], len(factors))
        seen = (lost.sum() - np.concatenate(([0.0], lost.cumsum()))) / max((~is_unseen).sum(), 1)
        unseen = np.concatenate(([0.0], won.cumsum())) / max(is_unseen.sum(), 1)
        return cls(factors, seen, unseen)

    def at(self, factor: float) -> tuple[float, float]:
        """Return the accuracies on seen and unseen classes at a factor."""
        k = int(np.searchsorted(self.factors, factor, side="left"))
        return float(self.seen[k]), float(self.unseen[k])

    def best_factor(self) -> float:
        """Return the factor of the largest harmonic mean, in the middle of where it holds."""
        total = self.seen + self.unseen
        harmonic = np.divide(2 * self.seen * self.unseen, total, out=np.zeros_like(total), where=total > 0)
        k = int(harmonic.argmax())
        # beyond both ends nothing changes any more
        bounds = np.concatenate((self.factors[:1], self.factors, self.factors[-1:] + 2.0))
        return float((bounds[k] + bounds[k + 1]) / 2)

    def largest_harmonic(self) -> float:
        """Return the largest harmonic mean of the curve: chosen on these samples, so an upper bound."""
        return max(harmonic_mean(float(s), float(u)) for s, u in zip(self.seen, self.unseen, strict=True))

    def area(self) -> float:
        """Return AUSUC, the area under accuracy on seen over accuracy on unseen classes."""
        return float(np.trapezoid(self.seen, self.unseen))


def harmonic_mean(seen: float, unseen: float) -> float:
    """Return ``2 S U / (S + U)``, 0 where both are."""
    total = seen + unseen
    return 2 * seen * unseen / total if total else 0.0
