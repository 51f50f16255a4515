"""Where the features that encoder trials write lie, and whether they are complete."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

import fsspec

from dvta.data_ref import DataRef
from dvta.errors import DataError

MEASURED = "made.json"  # written last: what the encoder's training measured, and under FILES:
FILES = "files"  # file name without ``.npy`` -> SHA-256 hex


def folder_of(runs: str, key: str) -> str:
    """Return where the features of an encoder trial lie, a path or an fsspec URL."""
    return f"{runs}/features/{key[:2]}/{key}"


def weights_of(runs: str, key: str) -> str:
    """Return where the weights of a trial lie, a path or an fsspec URL."""
    return f"{runs}/models/{key}.pt"


def is_complete(folder: str, weights: str, extra: frozenset[str] = frozenset()) -> bool:
    """Whether the features are complete: masked ones and the encoder's weights too, where ``extra`` names them."""
    fs, path = fsspec.core.url_to_fs(folder)
    files = [f"{path}/{MEASURED}", *([f"{path}/train_masked.npy"] if "masked" in extra else [])]
    if "weights" in extra:
        files.append(fsspec.core.url_to_fs(weights)[1])
    return all(fs.exists(file) for file in files)


def bind(ref: DataRef, folder: str) -> DataRef:
    """Return a reference to the features in an encoder trial's folder; they must be those it wrote.

    Raises:
        DataError: they are not there.
    """
    local = fetch(folder)
    note = json.loads((local / MEASURED).read_text(encoding="utf-8"))
    return dataclasses.replace(ref, folder=local, files=tuple(note.get(FILES, {}).items()))


def fetch(folder: str) -> Path:
    """Return a local folder with the features, copied once a process where they are remote.

    Raises:
        DataError: they are not there.
    """
    fs, path = fsspec.core.url_to_fs(folder)
    if not fs.exists(f"{path}/{MEASURED}"):
        raise DataError(f"{folder}: the encoder's features are not there; run the sweep again to make them")
    if "local" in fs.protocol or "file" in fs.protocol:
        return Path(path)
    target = Path(tempfile.mkdtemp(prefix="dvta-features-"))
    fs.get(f"{path}/", str(target), recursive=True)
    return target
