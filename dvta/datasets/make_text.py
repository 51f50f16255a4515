"""Make the shipped text features: ``python -m dvta.datasets.make_text MODEL_FOLDER``.

Encodes labels, contexts, verbs and nouns of every shipped dataset with Sentence-BERT
all-MiniLM-L6-v2 and writes one ``.npz`` a dataset, with a ``.json`` beside it that names the
model and the hash of the sentences.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from dvta import datasets
from dvta.encoders.text import dataset_texts, load_encoder, sentences_digest


def main(model: str) -> None:
    """Encode every shipped dataset with the model at a path or of a name."""
    encode, _ = load_encoder("sbert", model)
    for name in ("ntu120", "pku", "cmu"):
        texts = dataset_texts(datasets.get(name))
        arrays = {}
        for part, lines in texts.items():
            flat = [line for row in lines for line in row] if part == "parts" else lines
            features = encode(flat)
            arrays[part] = (
                features.reshape(len(lines), -1, features.shape[-1]) if part == "parts" else features
            )
        # half precision keeps the package small; it is exact to 1e-3 of a cosine
        arrays["parts"] = arrays["parts"].astype(np.float16)
        target = Path(__file__).parent / f"{name}_{datasets.PACKAGED_TEXT}.npz"
        np.savez(target, **arrays)  # type: ignore[arg-type]
        about = {"model": datasets.PACKAGED_TEXT, "dim": 384, "sentences_sha256": sentences_digest(texts)}
        target.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
