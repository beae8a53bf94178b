"""Real purchase logs, read as activity events.

A log is read whole, checked, and kept in a compact form; ``Log.days()`` then gives the events of one day
after the other, in the wire form of the contract (``event_id``, ``type``, ``member_id``, ``occurred_at``,
``data``). Every id is made from what the log says, or from the row's number where it says nothing, so that
reading a log twice gives the very same events. How each format is mapped, and why, stands in
docs/replay.md.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

from local.logs import cdnow, plain, uci
from local.logs.files import Lines, opened
from local.logs.model import Log, LogError

__all__ = ["FORMATS", "Log", "LogError", "open_log"]

# Each format: whether a file's first line is one of its, and how the file is read. A new one is added here.
FORMATS: tuple[tuple[Callable[[str], bool], Callable[[Lines], Log]], ...] = (
    (cdnow.starts_full, cdnow.read_full),
    (cdnow.starts_sample, cdnow.read_sample),
    (uci.starts, uci.read),
    (plain.starts, plain.read),
)


def open_log(path: str | Path | None = None, full: bool = False) -> Log:
    """The log at ``path``, recognised by its first line; without a path CDNOW's sample, or with ``full``
    all of it.

    Raises LogError where there is no such file, its format is unknown, or a row of it can't be read.
    """
    if path is None:
        return _read(_cdnow_file("CDNOW_master.txt" if full else "CDNOW_sample.txt"))
    if full:
        raise LogError("FULL takes all of CDNOW: it can't be given together with a log of your own")
    return _read(Path(path))


def _read(path: Path) -> Log:
    with opened(path) as stream:
        first = stream.readline()
        read = next((read for starts, read in FORMATS if starts(first)), None)
        if read is None:
            raise LogError(
                f"{path.name}, line 1: no known format starts with {first.strip()[:60]!r}. Known are CDNOW, "
                f"UCI Online Retail, and a CSV with the columns {', '.join(plain.COLUMNS)} (docs/replay.md)"
            )
        log = read(Lines(path.name, first, stream))
    if not log.activities:
        raise LogError(f"{path.name}: no row of it became an event ({log.rows} rows read)")
    return log


def _cdnow_file(name: str) -> Path:
    try:
        files = importlib.metadata.files("lifetimes") or []
    except importlib.metadata.PackageNotFoundError:
        raise LogError("CDNOW's log comes with the package lifetimes==0.11.3, which isn't installed here") from None
    for file in files:
        if file.name == name:
            return Path(str(file.locate()))
    raise LogError(f"the installed package lifetimes has no file {name}")
