"""Text and tables as spreadsheets write them: byte order marks, semicolons, older encodings, any case."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from dvta.errors import DataError
from dvta.limits import limits, open_regular


def read_text(path: Path) -> str:
    """Return a text file's content; UTF-8 (with or without a mark), UTF-16 with its mark, else Windows-1252.

    Raises:
        DataError: it is missing, no regular file, too large, or no text.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if wrong := limits().exceeded("max_text_bytes", size, "bytes of text"):
            raise DataError(f"{path}: {wrong}")
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


def read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read a table with a header line, separated by commas, semicolons or tabs.

    Returns:
        The column names in lower case, and for every row its line and its stripped values by column.

    Raises:
        DataError: the file cannot be read, has no header, a column twice, or a row of another length.
    """
    text = read_text(path)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        lines = [(reader.line_num, [v.strip() for v in row]) for row in reader]
    except csv.Error as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    lines = [(number, row) for number, row in lines if any(row)]
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
