"""Which test runs which line, and how long each test takes: the ground on which tests are chosen for a mutant."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage
import pytest

from tests.mutation.mutants import Mutant

FAILED_AT_MOST = 30


@dataclass(frozen=True)
class Covered:
    """What the tests cover. ``lines``: by path and line, the tests that ran it, as indexes into ``tests``."""

    tests: list[str]
    seconds: list[float]
    lines: dict[str, dict[int, list[int]]]

    def tests_of(self, mutant: Mutant) -> set[int]:
        """The tests that run the changed lines; where the line is none of its own, those that run the function."""
        lines = self.lines.get(mutant.path, {})
        for first, last in (mutant.lines, mutant.body):
            if found := {test for line in range(first, last + 1) for test in lines.get(line, ())}:
                return found
        return set()

    def breadth(self) -> list[int]:
        """How many lines each test runs."""
        found = [0] * len(self.tests)
        for lines in self.lines.values():
            for tests in lines.values():
                for test in tests:
                    found[test] += 1
        return found


def measure(paths: list[Path], selection: list[str], kept: Path) -> None:
    """Runs the selected tests once, in a process of its own, and keeps what they cover in the file ``kept``.

    Raises CalledProcessError where a test fails: then no mutant would say anything.
    """
    command = [sys.executable, "-m", "tests.mutation.coverage_of_tests", str(kept), *map(str, paths), "--", *selection]
    subprocess.run(command, check=True)


def load(kept: Path) -> Covered:
    """What ``measure`` has kept."""
    raw = json.loads(kept.read_text())
    lines = {path: {int(line): tests for line, tests in found.items()} for path, found in raw["lines"].items()}
    return Covered(raw["tests"], raw["seconds"], lines)


class _Watch:
    """Tells coverage which test runs."""

    def __init__(self, meter: coverage.Coverage) -> None:
        self.meter = meter
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self.meter.switch_context(item.nodeid)
        began = time.process_time()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.process_time() - began

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)


def _main(kept: Path, paths: list[str], selection: list[str]) -> int:
    meter = coverage.Coverage(data_file=None, source=paths)
    watch = _Watch(meter)
    meter.start()
    status = pytest.main(["-q", "-p", "no:cacheprovider", *selection], plugins=[watch])
    meter.stop()
    # Some tests look at the clock: on a machine that is busy one may fail, and is left out. Many are no accident.
    if len(watch.failed) > FAILED_AT_MOST or status not in (0, 1):
        return int(status)
    for name in watch.failed:
        del watch.seconds[name]
    index = {name: n for n, name in enumerate(watch.seconds)}
    lines = dict(_lines(meter.get_data(), index))
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"tests": list(index), "seconds": list(watch.seconds.values()), "lines": lines}))
    return 0


def _lines(data: coverage.CoverageData, index: dict[str, int]) -> Iterator[tuple[str, dict[int, list[int]]]]:
    here = Path.cwd()
    for name in data.measured_files():
        found = data.contexts_by_lineno(name)
        tests = {line: sorted(index[each] for each in names if each in index) for line, names in found.items()}
        yield str(Path(name).relative_to(here)), {line: each for line, each in tests.items() if each}


if __name__ == "__main__":
    _kept, *_rest = sys.argv[1:]
    _split = _rest.index("--")
    raise SystemExit(_main(Path(_kept), _rest[:_split], _rest[_split + 1 :]))
