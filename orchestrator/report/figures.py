"""The paper's figures from stored trials: loss curves, per-class changes, representations, similarities."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dvta import datasets
from dvta.errors import did_you_mean
from orchestrator.errors import SettingsError
from orchestrator.report.table import group
from orchestrator.store import CellValue, Store

if TYPE_CHECKING:
    from orchestrator.execute.trained import TrainedTrial

FROM_STORE = (5, 6)
FROM_TRIAL = (4, 7)
ALL = tuple(sorted((*FROM_STORE, *FROM_TRIAL)))
CLASSES_SHOWN, BATCH = 6, 128


def loss_curves(store: Store, cells: list[CellValue], axes: Any) -> None:
    """Draw Fig. 5: the mean training loss of every activation, a column of Table 5."""
    column = cells[0].column if cells else ""
    for (row, where), values in group(cells).items():
        runs = [
            store.epochs(v.attempt_id) for v in values if v.attempt_id is not None and v.final is not None
        ]
        if where != column or not runs:
            continue
        length = min(map(len, runs))
        losses = np.array([[e.metrics["loss"] for e in run[:length]] for run in runs])
        axes.plot(np.arange(1, length + 1), losses.mean(0), label=row)
    if not axes.has_data():
        raise SettingsError(f"figure 5: Table 5 has no done trials in {column}")
    axes.set(xlabel="epoch", ylabel="training loss", title=f"Training loss, {column}")
    axes.legend(title="activation")


def class_changes(store: Store, cells: list[CellValue], axes: Any) -> None:
    """Draw Fig. 6: what SDE changes in the accuracy of every unseen class (Table 6, Sentence-BERT)."""
    column = "NTU-120 96/24"
    grouped = group(cells)
    before, after = (grouped.get((f"BERT {w} SDE", column), []) for w in ("w/o", "w/"))
    without, with_sde = (_class_accuracies(store, values) for values in (before, after))
    shared = sorted(without.keys() & with_sde.keys())
    if not shared:
        raise SettingsError(f"figure 6: Table 6 has no done trials of BERT with and without SDE in {column}")
    names = datasets.get("ntu120").class_names
    change = [100 * (with_sde[c] - without[c]) for c in shared]
    axes.barh([names[c] for c in shared], change)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set(xlabel="change of accuracy in percentage points", title=f"Adding SDE, {column}")


def representations(trained: TrainedTrial, axes: Any) -> None:
    """Draw Fig. 4: two principal components of unseen samples, before and after the visual projector."""
    import torch

    data, method = trained.features, trained.method
    chosen = data.unseen[:CLASSES_SHOWN]
    mask = torch.isin(data.z_label, torch.tensor(chosen))
    visual, label = data.ztest[mask], data.z_label[mask]
    method.eval()
    with torch.inference_mode():
        project: Callable[[torch.Tensor], torch.Tensor] = method.visual_projector  # type: ignore[assignment]
        after = project(torch.nn.functional.normalize(visual, dim=-1))
    for one, x, title in ((axes[0], visual, "features"), (axes[1], after, "after the visual projector")):
        centred = (x - x.mean(0)).double()
        directions = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
        points = (centred @ directions.T).numpy()
        for c in chosen:
            own = (label == c).numpy()
            one.scatter(*points[own].T, s=8, label=data.class_names[c])
        one.set(title=title, xticks=[], yticks=[])
    axes[1].legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))


def similarities(trained: TrainedTrial, axes: Any) -> None:
    """Draw Fig. 7: the similarity matrices of DA, AA and both for a batch, beside the truth."""
    import torch

    data = trained.features
    visual, label = data.ztest[:BATCH], data.z_label[:BATCH]
    order = label.argsort()
    trained.method.eval()
    with torch.inference_mode():
        matrices = trained.method.similarity_matrices(visual[order], label[order], data.class_text)  # type: ignore[operator]
    titles = {"da": "DA", "aa": "AA", "combined": "DA and AA", "truth": "ground truth"}
    for one, (name, title) in zip(axes, titles.items(), strict=True):
        if name in matrices:
            one.imshow(matrices[name].numpy(), cmap="viridis")
        one.set(title=title, xticks=[], yticks=[])


def draw(
    number: int,
    style: str,
    *,
    store: Store,
    cells: Callable[[str], tuple[str, list[CellValue]]],
    trained: Callable[[], TrainedTrial],
) -> bytes:
    """Return a figure of the paper as a file of a style, such as ``png``, ``svg`` or ``pdf``.

    Args:
        cells: the study's name and values of a table. trained: the trained trial to look into.

    Raises:
        SettingsError: there is no such figure, nothing to draw in it, or the trial's method has no
            such parts.
    """
    if number not in ALL:
        raise SettingsError(
            f"figure {number}: unknown{did_you_mean(number, ALL)}; allowed: {', '.join(map(str, ALL))}"
        )
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    if number in FROM_STORE:
        study, values = cells("table5" if number == 5 else "table6")
        figure, axes = pyplot.subplots(figsize=(7, 5))
        (loss_curves if number == 5 else class_changes)(store, values, axes)
        simulated, of = any(v.source == "simulated" for v in values), f"study {study}"
    else:
        trial = trained()
        if trial.trial.method != "dvta" or trial.trial.options.get("visual_projector") is None:
            raise SettingsError(f"figure {number}: looks into a dvta trial, not {trial.trial.method}")
        figure, axes = pyplot.subplots(1, 2 if number == 4 else 4, figsize=(11, 4))
        (representations if number == 4 else similarities)(trial, axes)
        simulated, of = trial.trial.source == "simulated", f"trial {trial.trial.key[:10]}"
    figure.suptitle(f"{'SIMULATED data, ' if simulated else ''}{of}", fontsize="small", color="gray")
    figure.tight_layout()
    file = io.BytesIO()
    figure.savefig(file, format=style, dpi=150)
    pyplot.close(figure)
    return file.getvalue()


def _class_accuracies(store: Store, values: list[CellValue]) -> dict[int, float]:
    """Return class id -> mean accuracy over the done trials."""
    found: dict[int, list[float]] = {}
    for value in values:
        if value.attempt_id is None or value.final is None:
            continue
        for c, (right, total) in store.per_class(value.attempt_id, "final").items():
            if total:
                found.setdefault(c, []).append(right / total)
    return {c: float(np.mean(x)) for c, x in found.items()}
