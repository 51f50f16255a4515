"""Tables 1 to 9, read from the paper's printed numbers: each number becomes exactly one cell."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

from dvta.errors import did_you_mean
from orchestrator.errors import SpecError
from orchestrator.tables.leaderboard import TITLE, leaderboard, note
from orchestrator.trial import END_TO_END, PRE_EXTRACTED

METHODS = {
    "DeViSE": "devise", "RelationNet": "relationnet", "ReViSE": "revise", "JPoSE": "jpose",
    "CADA-VAE": "cada_vae", "SynSE": "synse", "SMIE": "smie", "PURLS": "purls", "DVTA": "dvta",
}  # fmt: skip
DATASETS = {"ntu60": "NTU-60", "ntu120": "NTU-120", "pku": "PKU-MMD"}
ENCODERS = {
    "st-gcn": "st_gcn",
    "shift-gcn": "shift_gcn",
    "ctr-gcn": "ctr_gcn",
    "sentence-bert": "sbert",
    "clip": "clip",
}
SMIE_SPLITS = {
    "ntu60": ["smie_1", "smie_2", "smie_3"],
    "ntu120": ["smie_4", "smie_5", "smie_6"],
    "pku": ["smie_7", "smie_8", "smie_9"],
}
GENERALISED = {"seen": "gzsl_seen", "unseen": "gzsl_unseen", "harmonic mean": "gzsl_harmonic"}
METHOD_TABLES = ("table1", "table2", "table9", "gzsl", "leaderboard")
ALL_CLASSES = ("gzsl", "leaderboard")  # ours, of generalised trials
EXTRA = (*ALL_CLASSES, "end_to_end")  # ours
TABLES = tuple(f"table{n}" for n in range(1, 10))

# where the paper prints a number differently from what it must mean, or contradicts itself
PRINTED = {("table3", "(1) none", "NTU-120 average"): "5288"}
NOTES = {
    ("table5", "0.01", "NTU-60 55/5"): "Tables 1 and 6 and the text print 78.14 for this configuration",
    ("table3", "(4) SDE + AA", "NTU-120 average"): "the mean of the printed splits is 59.54",
}
# the paper's names its own GPU, which ours were not measured on
TITLES = {"table9": "Computational efficiency of the alignment model (pre-extracted features)"}
TABLE_NOTES = {
    "table5": "The paper's numbers are those of DVTA without SDE, though its text says the complete model; "
    "so are the trials here.",
    "table9": "Cost of the alignment model alone on random input of the paper's widths: visual 256, text 768 "
    "(PURLS 512), 12 candidate classes. One multiply-accumulate (MAC) is two FLOPs. The paper mixes conventions: "
    "its FLOPs of SMIE are twice the MACs of a pair, those of DVTA once, so they stand in the MACs column; its "
    "FPS are of an RTX 4090 at a batch size it does not state; its NTU-60 accuracy is that of the 48/12 split.",
    "table1": "On NTU-120 96/24 the paper prints PURLS (52.01) above DVTA (51.81).",
}

END_TO_END_NOTE = (
    "Not a table of the paper, which names pre-extracted features as its limitation. Both rows of a method train an "
    "encoder of the same kind on the same skeletons of seen classes: one before the alignment, by classification, one "
    "with it."
)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        configs: the flat configurations of its trials; an average over splits names several.
        paper: the paper's value, None where it prints none; ``printed`` where it stands there
            differently.
        note: where the paper disagrees with itself.
        quantity: what is shown, ``accuracy`` or the name of another result; ``scale`` turns the
            stored value into the shown one.
        comparable: whether measured minus paper means anything.
    """

    row: str
    column: str
    configs: tuple[dict[str, Any], ...]
    paper: float | None
    printed: str | None = None
    note: str | None = None
    quantity: str = "accuracy"
    scale: float = 100.0
    comparable: bool = True


@dataclasses.dataclass(frozen=True)
class Layout:
    """A table of the paper."""

    name: str
    title: str
    note: str | None
    _cells: tuple[Cell, ...]
    _by_place: dict[tuple[str, str], Cell] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_place", {(c.row, c.column): c for c in self._cells})

    def cells(self) -> tuple[Cell, ...]:
        """Return every cell, row by row."""
        return self._cells

    def cell(self, row: str, column: str) -> Cell | None:
        """Return the cell of a place; in a row the paper does not have, one without its number."""
        found = self._by_place.get((row, column))
        if found is None:
            like = next((c for c in self._cells if c.column == column), None)
            found = like and dataclasses.replace(like, row=row, paper=None, printed=None, note=None)
        return found

    def rows_of(self, methods: Sequence[str]) -> tuple[Cell, ...]:
        """Return the cells of methods that the paper does not have; none where rows are no methods.

        A row is called by the last part of its method's name; by the whole name where that part is
        taken by the paper or by another of ``methods``.
        """
        if self.name not in METHOD_TABLES:
            return ()
        like = [c for c in self._cells if c.row == "DVTA"]
        return tuple(
            dataclasses.replace(
                c,
                row=label,
                configs=tuple(
                    {k: v for k, v in config.items() if k != "sde"} | {"method": method}
                    for config in c.configs
                ),
                paper=None,
                printed=None,
                note=None,
            )
            for method, label in self._labels(methods).items()
            for c in like
        )

    def _labels(self, methods: Sequence[str]) -> dict[str, str]:
        """Return method -> row, different from every other's and from the paper's."""
        rows = {c.row for c in self._cells}
        short = {m: m.rpartition(":")[2].rpartition(".")[2] for m in methods}
        times = collections.Counter(short.values())
        labels = {m: s if times[s] == 1 and s not in rows else m for m, s in short.items()}
        # a registered name may be one of the paper's
        return {m: f"{label} (own)" if label in rows else label for m, label in labels.items()}


@functools.lru_cache
def layout(number: int | str) -> Layout:
    """Return a table by number or name.

    Raises:
        SpecError: there is no such table.
    """
    name = f"table{number}" if str(number).isdigit() else str(number)
    if name == "gzsl":
        title = "Generalised zero-shot accuracy through SynSE's gate, SynSE setting"
        return Layout(name, title, "Candidates are all classes; not a table of the paper.", _generalised())
    if name == "end_to_end":
        title = "Encoder and alignment trained together, against an alignment on features made beforehand"
        return Layout(name, title, END_TO_END_NOTE, _end_to_end())
    if name == "leaderboard":
        return Layout(name, TITLE, note(), leaderboard(layout(1).cells()))
    if name not in TABLES:
        known = (*TABLES, *EXTRA)
        raise SpecError(
            f"table {number!r} is unknown{did_you_mean(name, known)}; allowed: 1 to 9, {', '.join(EXTRA)}"
        )
    printed = _paper()[name]
    if name == "table9":
        cells = _table9(printed["rows"])
    else:
        cells = tuple(_cell(name, *_ROWS[name](row), row["value"]) for row in printed["rows"])
    return Layout(name, TITLES.get(name, printed["title"]), TABLE_NOTES.get(name), cells)


@functools.lru_cache
def _paper() -> dict[str, Any]:
    text = files(__package__).joinpath("paper.json").read_text(encoding="utf-8")
    tables: dict[str, Any] = json.loads(text)["tables"]
    return tables


def _cell(table: str, row: str, column: str, configs: list[dict[str, Any]], value: float) -> Cell:
    where = (table, row, column)
    return Cell(row, column, tuple(configs), value, PRINTED.get(where), NOTES.get(where))


Translated = tuple[str, str, list[dict[str, Any]]]


def _place(row: dict[str, Any], visual: str, **config: Any) -> list[dict[str, Any]]:
    """Return one configuration a split: the row's own, or those it averages over."""
    dataset = row["dataset"]
    one = row.get("split_id", row.get("split", "average"))
    splits = SMIE_SPLITS[dataset] if one == "average" or "averaged_over" in row else [one]
    base = {"method": "dvta", "dataset": dataset, "visual": visual, "text": "sbert", **config}
    return [{**base, "split": split} for split in splits]


def _table1(row: dict[str, Any]) -> Translated:
    method = METHODS[row["method"]]
    sde = {"sde": row["variant"] == "full"} if method == "dvta" else {}
    label = "DVTA w/o SDE" if row["variant"] == "w/o SDE" else row["method"]
    return label, _column(row), _place(row, "shift_gcn", **{"method": method}, **sde)


def _table2(row: dict[str, Any]) -> Translated:
    method = METHODS[row["method"]]
    # SMIE's own track has its temporal constraint
    own = {"dvta": {"sde": True}, "smie": {"temporal": True}}.get(method, {})
    return row["method"], DATASETS[row["dataset"]], _place(row, "st_gcn", **{"method": method}, **own)


def _table3(row: dict[str, Any]) -> Translated:
    parts = [name for name in ("sde", "da", "aa") if row[name]]
    label = f"({row['row']}) {' + '.join(p.upper() for p in parts) or 'none'}"
    split = row["split_id"]
    short = "average" if split == "average" else f"split {SMIE_SPLITS[row['dataset']].index(split) + 1}"
    deep = {"visual_projector": "deep", "text_projector": "linear"}
    shallow = {"visual_projector": "linear", "text_projector": "identity"}
    config = {"sde": row["sde"], "aa": row["aa"], **(deep if row["da"] else shallow)}
    return label, f"{DATASETS[row['dataset']]} {short}", _place(row, "st_gcn", **config)


def _table4(row: dict[str, Any]) -> Translated:
    parts = [name for name in ("semantic", "visual") if row[f"{name}_projector"]]
    config = {
        "sde": True,
        "aa": False,
        "visual_projector": "deep" if row["visual_projector"] else "linear",
        "text_projector": "linear" if row["semantic_projector"] else "identity",
    }
    return (
        f"({row['row']}) {' + '.join(parts) or 'none'}",
        DATASETS[row["dataset"]],
        _place(row, "st_gcn", **config),
    )


def _table5(row: dict[str, Any]) -> Translated:
    activation = row["activation"]
    leaky = activation == "leaky_sigmoid"
    label = f"{row['gamma']:g}" if leaky else activation.capitalize()
    gamma = {"gamma": row["gamma"]} if leaky else {}
    config = {"sde": False, "aa_activation": activation, **gamma}
    return label, _column(row), _place(row, "shift_gcn", **config)


def _table6(row: dict[str, Any]) -> Translated:
    label = f"{'CLIP' if row['text_encoder'] == 'clip' else 'BERT'} {'w/' if row['sde'] else 'w/o'} SDE"
    config = {"text": ENCODERS[row["text_encoder"]], "sde": row["sde"]}
    return label, _column(row), _place(row, "shift_gcn", **config)


def _table7(row: dict[str, Any]) -> Translated:
    visual = {"st-gcn": "ST-GCN", "shift-gcn": "Shift-GCN", "ctr-gcn": "CTR-GCN"}[row["visual_encoder"]]
    label = f"{visual} {'CLIP' if row['text_encoder'] == 'clip' else 'BERT'}"
    place = _place(row, ENCODERS[row["visual_encoder"]], text=ENCODERS[row["text_encoder"]], sde=True)
    return label, _column(row), place


def _table8(row: dict[str, Any]) -> Translated:
    label = {"infonce": "InfoNCE", "softmax_ce": "SoftmaxCE", "kld": "KLD"}[row["loss"]]
    config = {"sde": True, "loss": row["loss"], "tau": float(row["tau"])}
    return label, f"τ = {row['tau']:g}", _place({**row, "split_id": "average"}, "st_gcn", **config)


COSTS = (  # column, result, scale, the paper's name of it
    ("Params (M)", "parameters", 1e-6, "params_million"),
    ("MACs/pair (M)", "macs_per_pair", 1e-6, None),
    ("FLOPs/pair (M)", "macs_per_pair", 2e-6, "flops_million"),
    ("MACs/sample (M)", "macs_per_sample", 1e-6, None),
    ("samples/s, batch 1", "fps_1", 1.0, "fps"),
    ("samples/s, batch 1024", "fps_1024", 1.0, None),
)


def _table9(rows: list[dict[str, Any]]) -> tuple[Cell, ...]:
    """Return the cost of every method, beside the paper's where it has one, and its accuracy."""
    paper = {(r["method"], r["quantity"]): r["value"] for r in rows}
    cells = []
    for label, method in METHODS.items():
        place = {
            "method": method,
            "dataset": "ntu60",
            "split": "48/12",
            "visual": "shift_gcn",
            "text": "sbert",
        }
        for column, quantity, scale, printed in COSTS:
            if method == "dvta" and printed == "flops_million":
                printed = None
            elif method == "dvta" and quantity == "macs_per_pair":
                printed = "flops_million"
            config = {**place, "kind": "profile"}
            value = paper.get((label, printed))
            comparable = printed != "fps"
            cells.append(
                Cell(label, column, (config,), value, quantity=quantity, scale=scale, comparable=comparable)
            )
        sde = {"sde": True} if method == "dvta" else {}
        value = paper.get((label, "ntu60_accuracy_percent"))
        cells.append(Cell(label, "NTU-60 48/12", ({**place, **sde},), value))
    return tuple(cells)


def _generalised() -> tuple[Cell, ...]:
    """Return seen, unseen and harmonic mean of every method on the splits of Table 1."""
    return tuple(
        dataclasses.replace(
            cell,
            column=f"{cell.column} {what}",
            configs=tuple({**c, "evaluate_on": "gzsl"} for c in cell.configs),
            paper=None,
            note=None,
            quantity=quantity,
        )
        for cell in layout(1).cells()
        for what, quantity in GENERALISED.items()
    )


def _end_to_end() -> tuple[Cell, ...]:
    """Return every method of the paper by both ways of training, on the splits of Table 1 and those of CMU."""
    places = {c.column: (c.configs[0]["dataset"], c.configs[0]["split"]) for c in layout(1).cells()}
    places |= {f"CMU {split}": ("cmu", split) for split in ("split_1", "split_2", "hard")}
    ways = {"features made beforehand": PRE_EXTRACTED, "end to end": END_TO_END}
    return tuple(
        Cell(
            f"{label}, {way}",
            column,
            ({"method": method, "dataset": dataset, "split": split, "train": train},),
            None,
        )
        for label, method in METHODS.items()
        for way, train in ways.items()
        for column, (dataset, split) in places.items()
    )


def _column(row: dict[str, Any]) -> str:
    return f"{DATASETS[row['dataset']]} {row['split']}"


_ROWS: dict[str, Callable[[dict[str, Any]], Translated]] = {
    "table1": _table1, "table2": _table2, "table3": _table3, "table4": _table4,
    "table5": _table5, "table6": _table6, "table7": _table7, "table8": _table8,
}  # fmt: skip
