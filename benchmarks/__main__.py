"""Runs the benchmarks: `python -m benchmarks [--only PART,PART] [--store | --markdown]`, see docs/benchmarks.md.

Prints one table, writes build/bench, and ends with 1 where a figure that holds on any machine is worse than the stored
one by more than 15 %, where a stored one is missing, or where a part failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.compared import Row, Verdict, compare, limits, markdown, shown, store, stored
from benchmarks.page import write_page
from benchmarks.parts import MISSING, OUT, PARTS, Measured

_COLOURS = {
    Verdict.REGRESSION: "bold red",
    Verdict.GONE: "bold red",
    Verdict.BEYOND: "yellow",
    Verdict.NEW: "cyan",
    Verdict.WITHIN: "green",
    Verdict.STRETCH: "green",
    Verdict.PLAIN: "",
}
_LINE_WIDTH = 140
_SAID_LINES = 15


class Failed(Exception):
    """A part did not come to its end; the text says how."""


def run(part: str, progress: Progress, task: TaskID) -> Measured:
    """Runs ``part`` in a process of its own. Raises ``Failed``."""
    OUT.mkdir(parents=True, exist_ok=True)
    log, weight = OUT / f"{part}.log", PARTS[part].seconds
    begun = progress.tasks[0].completed
    progress.update(task, description=PARTS[part].title)
    lacking = ""
    with log.open("w", encoding="utf-8") as errors:
        command = [sys.executable, "-m", "benchmarks.parts", part]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8") as child:
            try:
                for line in child.stdout or ():
                    said = json.loads(line)
                    lacking = said.get("missing", lacking)
                    if "done" in said:
                        _show(progress, task, begun + weight * min(1.0, said["done"] / said["of"]), part, said["what"])
            except BaseException:
                child.terminate()
                raise
    progress.update(task, completed=begun + weight)
    if child.returncode == MISSING:
        raise Failed(lacking)
    if child.returncode:
        last = "\n".join(log.read_text("utf-8").splitlines()[-_SAID_LINES:])
        raise Failed(f"it ended with {child.returncode}, see {log}:\n{last}")
    return Measured.read(part)


def _show(progress: Progress, task: TaskID, completed: float, part: str, what: str) -> None:
    before = progress.tasks[0].completed
    progress.update(task, completed=completed, description=f"{PARTS[part].title}: {what}" if what else None)
    of = progress.tasks[0].total or 1
    # where nothing can be drawn anew, a line for each twentieth of the way
    if not progress.console.is_terminal and int(20 * before / of) != int(20 * completed / of):
        progress.console.print(f"{completed / of:4.0%} {PARTS[part].title}: {what}", highlight=False)


def table_of(rows: Sequence[Row]) -> Table:
    """All figures, by part."""
    table = Table(title="make bench", title_justify="left", header_style="bold", expand=False)
    table.add_column("what")
    for name in ("measured", "budget (stretch)", "stored"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for part in dict.fromkeys(row.part for row in rows):
        table.add_section()
        table.add_row(PARTS[part].title, style="bold")
        for row in rows:
            if row.part == part:
                figure, old = row.figure, row.stored
                mine = "" if row.verdict is Verdict.GONE else shown(figure.value, figure.unit)
                said = ": ".join(filter(None, (row.verdict.value, figure.why)))
                kept = shown(old.value, "") if old else ""
                table.add_row(f"  {figure.name}", mine, limits(figure), kept, said, style=_COLOURS[row.verdict])
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="PART,PART", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--store", action="store_true", help="keep the figures in the repository: the new yardstick")
    parser.add_argument(
        "--markdown", action="store_true", help="measure nothing, print what is stored as the docs have it"
    )
    asked = parser.parse_args(arguments)
    if asked.markdown:
        print(markdown(stored()), end="")
        return 0
    parts = [part for part in asked.only.split(",") if part]
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    console = Console(width=None if sys.stdout.isatty() else _LINE_WIDTH)
    columns = (BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeElapsedColumn(), TimeRemainingColumn())
    measured: list[Measured] = []
    failed: dict[str, str] = {}
    with Progress(*columns, TextColumn("{task.description}"), console=console, transient=True) as progress:
        task = progress.add_task("", total=sum(PARTS[part].seconds for part in parts))
        for part in parts:
            try:
                measured.append(run(part, progress, task))
            except Failed as failure:
                failed[part] = str(failure)
    figures = {each.part: each.figures for each in measured}
    if asked.store:
        store(figures)
    rows = compare(figures, stored())
    console.print(table_of(rows))
    for part, why in failed.items():
        console.print(f"{PARTS[part].title}: not measured. {why}", style="bold red", highlight=False, markup=False)
    page = write_page(OUT, rows, {each.part: each.details for each in measured}, failed)
    console.print(f"Figures and charts: {_from_here(page)}, and the JSON files beside it.", highlight=False)
    return 1 if failed or any(row.verdict.fails for row in rows) else 0


def _from_here(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


if __name__ == "__main__":
    sys.exit(main())
