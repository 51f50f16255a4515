"""Make the shipped text features: ``python -m dvta.datasets.make_text MODEL_FOLDER``.

Encodes labels, contexts, verbs and nouns of every shipped dataset with Sentence-BERT
all-MiniLM-L6-v2 and writes one ``.npz`` a dataset, with a ``.json`` beside it that names the
model and the hash of the sentences.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from dvta import datasets


def main(model: str) -> None:
    """Encode every shipped dataset with the model at a path or of a name."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model, device="cpu")
    for name in ("ntu120", "pku", "cmu"):
        dataset = datasets.get(name)
        sentences = {
            "labels": dataset.class_names,
            "contexts": dataset.contexts,
            "verbs": dataset.verbs,
            "nouns": dataset.nouns,
        }
        arrays = {k: encoder.encode(list(v)).astype(np.float32) for k, v in sentences.items()}
        target = Path(__file__).parent / f"{name}_{datasets.PACKAGED_TEXT}.npz"
        np.savez(target, **arrays)  # type: ignore[arg-type]
        digest = hashlib.sha256(json.dumps(sentences).encode()).hexdigest()
        about = {"model": datasets.PACKAGED_TEXT, "dim": 384, "sentences_sha256": digest}
        target.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
