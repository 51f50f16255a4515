"""Text and tables as spreadsheets write them: byte order marks, semicolons, older encodings, any case."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable
from pathlib import Path

from dvta.errors import DataError
from dvta.limits import limits, open_regular

MAX_TABLE_BYTES = 1 << 26
#: what people call the first and the second column of a table of recordings
CLIP_COLUMNS = ("clip", "recording", "file", "file name", "filename")
CLASS_COLUMNS = ("class", "class id", "classid", "class name", "label", "id", "action")


def read_text(path: Path | str, most: int | None = None) -> str:
    """Return a text file's content; UTF-8 (with or without a mark), UTF-16 with its mark, else Windows-1252.

    Args:
        path: the file. most: bytes that it may have, where that is less than texts may have.

    Raises:
        DataError: it is missing, no regular file, too large, or no text.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if wrong := limits().exceeded("max_text_bytes", size, "bytes of text"):
            raise DataError(f"{path}: {wrong}")
        if most is not None and size > most:
            raise DataError(f"{path}: {size:,} bytes; allowed: at most {most:,}")
        content = file.read(size)
    utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "cp1252", "latin-1"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise DataError(f"{path}: cannot be read: it is no text")


def read_rows(path: Path | str) -> list[tuple[int, list[str]]]:
    """Read the rows of a table that hold something, separated by commas, semicolons or tabs.

    Returns:
        For every row its line and its stripped cells.

    Raises:
        DataError: the file cannot be read, or is no table.
    """
    text = read_text(path, MAX_TABLE_BYTES)
    first = next((line for line in text.splitlines() if line.strip()), "")
    try:
        # without translation a line that ends in a carriage return alone is one too
        lines = io.StringIO(text, newline="")
        reader = csv.reader(lines, delimiter=_delimiter(first), skipinitialspace=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return [(number, cells) for number, cells in rows if any(cells)]


def _delimiter(line: str) -> str:
    bare = re.sub(r'"[^"]*"', "", line)
    other = max(";\t", key=bare.count)
    # names have commas in them, and few semicolons or tabs
    return other if bare.count(other) >= max(1, bare.count(",")) else ","


def read_clips(
    path: Path | str, is_class: Callable[[str], bool] = lambda name: False
) -> list[tuple[int, str, str]]:
    """Read a table of recordings and their classes, with or without a header line.

    Args:
        path: the table. is_class: whether a text is known to be a class; then the first line is no header.

    Returns:
        For every recording its line, its name and its class.

    Raises:
        DataError: the file cannot be read, holds no recording, or a row has other than two cells.
    """
    rows = []
    for number, cells in read_rows(path):
        while not cells[-1]:
            cells.pop()
        if len(cells) != 2 or not cells[0]:
            raise DataError(f"{path}, line {number}: expected clip,class; found {', '.join(cells)[:60]!r}")
        rows.append((number, cells[0], cells[1]))
    if rows and not is_class(rows[0][2]):
        _, clip, label = rows[0]
        named = plain(clip) in CLIP_COLUMNS or plain(label) in CLASS_COLUMNS
        heading = not like_recording(clip)
        if named or (heading and any(is_class(name) or re.search(r"[./\\]", c) for _, c, name in rows[1:2])):
            del rows[0]
    if not rows:
        raise DataError(f"{path}: holds no recording")
    return rows


def like_recording(name: str) -> bool:
    """Return whether a name has a number, an ending or a folder, as those of recordings have and headings have not."""
    return re.search(r"[\d./\\]", name) is not None


def plain(name: str) -> str:
    """Return a name without its case and with single blanks for what parts its words."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read a table with a header line, separated by commas, semicolons or tabs.

    Returns:
        The column names in lower case, and for every row its line and its stripped values by column.

    Raises:
        DataError: the file cannot be read, has no header, a column twice, or a row of another length.
    """
    lines = read_rows(path)
    if not lines:
        raise DataError(f"{path}: has no header line")
    columns = [name.lower() for name in lines[0][1]]
    while columns and not columns[-1]:
        columns.pop()
    for column in columns:
        if columns.count(column) > 1:
            raise DataError(f"{path}: has the column {column!r} twice")
    rows = []
    for number, row in lines[1:]:
        if any(row[len(columns) :]) or len(row) < len(columns):
            raise DataError(f"{path}, line {number}: {len(row)} values for {len(columns)} columns")
        rows.append((number, dict(zip(columns, row, strict=False))))
    return columns, rows
