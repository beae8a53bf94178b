"""The report of a replay: one HTML file that needs nothing else, with charts as inline SVG."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from local.report.page import render

if TYPE_CHECKING:
    from local.report.outcome import Outcome

__all__ = ["render", "write_report"]


def write_report(outcome: Outcome, path: Path) -> None:
    """Writes the page to ``path``, whole or not at all; the folder is made if need be. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(render(outcome))
        Path(name).chmod(0o644)  # a temporary file is private; a report is for whoever may read its folder
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
