"""Text features that others have made, brought into the data root."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dvta import datasets
from dvta.arrays import read
from dvta.errors import DataError
from dvta.files import check_id
from dvta.importers.staging import Imported, staged_import

TEXT_FORMS = {
    "labels": ("*_labels.npy", "lb_*.npy"),
    "contexts": ("*_contexts.npy", "ad_*.npy"),
    "motions": ("*_motions.npy", "md_*.npy"),
    "verbs": ("*_verb.npy", "*_verbs.npy"),
    "nouns": ("*_noun.npy", "*_nouns.npy"),
}


def import_text(
    path: Path, root: Path, dataset: str, encoder: str, match: str = "", join: Sequence[str] = ()
) -> Imported:
    """Bring in text features, (C, Dt) each: labels, and contexts, motions, verbs and nouns where they are.

    Known are ``*_labels.npy``, ``*_contexts.npy``, ``*_motions.npy``, SynSE's ``*_verb.npy`` and
    ``*_noun.npy``, and MSF's and SA-DVAE's ``lb_C.npy``, ``ad_C.npy`` and ``md_C.npy``. NTU-60 is the
    first 60 classes of NTU-120 and is written with it.

    Args:
        encoder: the id of the features in specs. match: what a file's name must have in it (``bert``).
        join: parts that become, one after the other, the features of the labels, as MSF joins label,
            context and motion; nothing else is written then.

    Raises:
        DataError: there are no labels for the dataset, several files fit, or a shape or the id is wrong.
    """
    check_id("--encoder", encoder)
    written: dict[Path, np.ndarray] = {}
    for part, forms in TEXT_FORMS.items():
        fitting = sorted(f for form in forms for f in path.glob(form) if match in f.name)
        files = [f for f in fitting if dataset in f.name] or fitting
        if len(files) > 1 or (part == "labels" and not files):
            names = ", ".join(f.name for f in files) or "none"
            raise DataError(
                f"{path}: one file of {part} of {dataset} is expected ({' or '.join(forms)}), found {names}; "
                "choose with --match"
            )
        for file in files:
            array = read(file, "float", 2)
            for name in ("ntu120", "ntu60") if dataset == "ntu120" else (dataset,):
                count = len(datasets.get(name, root).class_names)
                if len(array) < count or (name == dataset and len(array) != count):
                    raise DataError(f"{file}: {len(array)} rows, expected {count} ({name})")
                written[Path(name) / "text" / f"{encoder}_{part}.npy"] = array[:count]
    written = _joined(written, join, path) if join else written
    done = Imported()
    with staged_import(root, done) as stage:
        for relative, array in written.items():
            (stage / relative).parent.mkdir(parents=True, exist_ok=True)
            np.save(stage / relative, array)
    return done


def _joined(written: dict[Path, np.ndarray], join: Sequence[str], path: Path) -> dict[Path, np.ndarray]:
    """Return the features of labels of each dataset: the joined features of several parts."""
    joined: dict[Path, np.ndarray] = {}
    for target in [t for t in written if t.stem.endswith("_labels")]:
        stem = target.stem.removesuffix("_labels")
        parts = {part: written.get(target.with_name(f"{stem}_{part}.npy")) for part in join}
        missing = [part for part, array in parts.items() if array is None]
        if missing:
            raise DataError(
                f"{path}: --join: there are no features of {', '.join(missing)}; known: {', '.join(TEXT_FORMS)}"
            )
        joined[target] = np.concatenate([array for array in parts.values() if array is not None], axis=1)
    return joined
