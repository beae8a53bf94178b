"""Opening a log, its lines with their numbers, and ids for what stands in it."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, TextIO, cast

from local.logs.model import LogError

if TYPE_CHECKING:
    from pathlib import Path

_PLAIN_CHARACTERS = re.compile(r"[A-Za-z0-9_-]", re.ASCII)


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The file as text, unpacked if it is gzipped. Raises LogError where it can't be read, then or while it
    is.
    """
    try:
        with path.open("rb") as raw:
            magic = raw.read(2)
            raw.seek(0)
            if magic == b"PK":
                raise LogError(f"{path.name}: a zip archive or an Excel file; save its sheet as CSV first")
            packed = gzip.GzipFile(fileobj=raw) if magic == b"\x1f\x8b" else raw
            # Old exports are in Latin-1, but nothing outside ASCII stands in what is read of them.
            yield io.TextIOWrapper(cast("IO[bytes]", packed), encoding="utf-8-sig", errors="replace", newline="")
    except FileNotFoundError:
        raise LogError(f"{path.name}: there is no such file") from None
    except (EOFError, zlib.error, OSError) as error:
        raise LogError(f"{path.name}: it can't be read ({error.__class__.__name__}: {error})") from None


class Lines:
    """A log's lines, or its CSV rows; ``number`` is where in the file the reader is."""

    def __init__(self, name: str, first: str, rest: Iterable[str]) -> None:
        self.name = name
        self.number = 0
        self._first = first
        self._rest = rest

    def text(self) -> Iterator[str]:
        """The lines but for empty ones, without the blanks around them."""
        for number, line in enumerate(self._all(), start=1):
            self.number = number
            if line.strip():
                yield line.strip()

    def rows(self) -> Iterator[list[str]]:
        """The CSV rows but for empty ones; ``number`` is that of a row's last line."""
        reader = csv.reader(self._all())
        try:
            for row in reader:
                self.number = reader.line_num
                if row:
                    yield row
        except csv.Error as error:
            raise self.error(str(error)) from None

    def error(self, message: str) -> LogError:
        """The error to raise for the line that was read last."""
        return LogError(f"{self.name}, line {self.number}: {message}")

    def _all(self) -> Iterator[str]:
        yield self._first
        yield from self._rest


def header(first: str) -> list[str]:
    """The names in a CSV's first line."""
    return next(csv.reader([first]), [])


def as_id(text: str) -> str:
    """An id (rules 1.3) for a code of a log's: one code always gives the same, and no two codes share one.

    Plain codes stay as they are. Any other character becomes ``.`` and its UTF-8 bytes in hex, with ``x:``
    before what would begin with a sign; what would be too long becomes ``sha256:`` and a digest. No plain
    code holds a dot or a colon, so nothing collides. At most 40 characters: there is room for a prefix and
    an ending.
    """
    escaped = "".join(
        one if _PLAIN_CHARACTERS.match(one) else "".join(f".{byte:02x}" for byte in one.encode()) for one in text
    )
    if not escaped or not escaped[0].isalnum():
        escaped = f"x:{escaped}"
    if len(escaped) > 40:
        escaped = f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    return escaped
