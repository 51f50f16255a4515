"""What every import does at its end: all files appear, or none, and what they replace is said."""

from __future__ import annotations

import dataclasses
import filecmp
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvta.feature_files import ALL_FILES
from dvta.files import staged_files, staged_folder


@dataclasses.dataclass
class Imported:
    """What an import wrote: a collection of files or folders, with notes.

    Attributes:
        files: the files or folders written.
        notes: what a person has to know: labels that were turned, files that were replaced or left out.
    """

    files: list[Path] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def say(self, note: str) -> None:
        """Add a note, once."""
        if note not in self.notes:
            self.notes.append(note)

    @contextmanager
    def folder(self, target: Path) -> Iterator[Path]:
        """Give an empty folder that takes the place of ``target`` at the end; notes what it replaces."""
        if target.exists() and any(target.iterdir()):
            self.say(f"replaced {target}")
        with staged_folder(target) as stage:
            yield stage
        self.files.append(target)


@contextmanager
def staged_import(root: Path, done: Imported) -> Iterator[Path]:
    """Give an empty folder whose files are moved below ``root`` at the end; notes what they replace.

    Feature arrays of one folder belong together: those that a new import of the folder does not bring
    are removed.
    """
    with staged_files(root) as (stage, written):
        yield stage
        for source in sorted(p for p in stage.rglob("*") if p.is_file()):
            target = root / source.relative_to(stage)
            if target.is_file() and not filecmp.cmp(source, target, shallow=False):
                done.say(f"replaced {target}, which had other content")
        for folder in sorted({p.parent for p in stage.rglob("train.npy")}):
            for old in sorted((root / folder.relative_to(stage)).glob("*.npy")):
                if old.stem in ALL_FILES and not (folder / old.name).exists():
                    old.unlink()
                    done.say(f"removed {old}, which belonged to the features that are replaced")
    done.files += written
