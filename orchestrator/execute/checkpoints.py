"""An attempt's checkpoints: atomic writes, the newest readable one, two kept."""

from __future__ import annotations

import hashlib
import io
import logging
import re
import uuid
from collections.abc import Collection, Iterator
from typing import Any

import fsspec
import numpy as np
import torch

from dvta.errors import DataError

log = logging.getLogger(__name__)
_NAME = re.compile(r"epoch-(\d{6})\.pt$")


class Checkpoints:
    """The checkpoints under one folder, a local path or any URL fsspec knows.

    A checkpoint is complete or absent: it is written under another name and moved. The newest two
    are kept, so that a damaged last one costs the epochs since the one before and no more.
    """

    KEEP = 2

    def __init__(self, folder: str) -> None:
        self._fs, self._folder = fsspec.core.url_to_fs(folder)

    def save(self, epoch: int, state: dict[str, Any]) -> None:
        """Write ``state`` (tensors and plain values) as the checkpoint of ``epoch``."""
        write(f"{self._folder}/epoch-{epoch:06d}.pt", state, self._fs)
        for old in self._epochs()[self.KEEP :]:
            self._fs.rm(f"{self._folder}/epoch-{old:06d}.pt")

    def newest_first(self, names: Collection[str]) -> Iterator[dict[str, Any]]:
        """Yield the checkpoints that can be read and hold these names; say which cannot."""
        for epoch in self._epochs():
            path = f"{self._folder}/epoch-{epoch:06d}.pt"
            try:
                data = io.BytesIO(self._fs.cat_file(path))
                state = torch.load(data, weights_only=True, map_location="cpu")
                missing = sorted(set(names) - set(state)) if isinstance(state, dict) else names
                if missing:
                    raise DataError(f"no {', '.join(missing)} in it")
            except Exception as error:  # torch raises many types on a damaged file
                log.warning("checkpoint %s cannot be used (%s); the one before is", path, error)
            else:
                yield state

    def clear(self) -> None:
        """Remove all checkpoints: the attempt is done."""
        if self._fs.exists(self._folder):
            self._fs.rm(self._folder, recursive=True)

    def _epochs(self) -> list[int]:
        """Return the epochs that have a checkpoint, newest first."""
        self._fs.invalidate_cache(self._folder)
        if not self._fs.exists(self._folder):
            return []
        names = (_NAME.search(str(p)) for p in self._fs.ls(self._folder, detail=False))
        return sorted((int(m.group(1)) for m in names if m), reverse=True)


def write(path: str, state: Any, fs: fsspec.AbstractFileSystem | None = None) -> None:
    """Write tensors and plain values to ``path`` (a path or URL): the whole file or nothing."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue(), fs)


def write_array(path: str, array: np.ndarray) -> str:
    """Write a ``.npy`` file to a path or URL, the whole file or nothing; return its SHA-256 hex."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_bytes(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def write_bytes(path: str, content: bytes, fs: fsspec.AbstractFileSystem | None = None) -> None:
    """Write a file to a path or URL: the whole file or nothing."""
    if fs is None:
        fs, path = fsspec.core.url_to_fs(path)
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    # two workers may write the same file when one of them was thought dead
    partial = f"{path}.{uuid.uuid4().hex}.partial"
    try:
        fs.pipe_file(partial, content)
        fs.mv(partial, path)
    except OSError:
        if fs.exists(partial):
            fs.rm(partial)
        raise


def read_bytes(path: str) -> bytes | None:
    """Return the content of a file at a path or URL, None where there is none."""
    fs, inside = fsspec.core.url_to_fs(path)
    return bytes(fs.cat_file(inside)) if fs.exists(inside) else None
