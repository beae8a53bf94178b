"""Runs mutants: everything is imported and collected once; each mutant gets a fork of that, and the tests it needs.

A plugin of pytest that puts its own loop in the place of pytest's.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from _pytest.tmpdir import tmppath_result_key

from tests.mutation.coverage_of_tests import Covered
from tests.mutation.mutants import Mutant

# A mutant that runs in circles is caught by the clock of its process: so many times what its tests take, and more.
TIMES_LONGER = 4
SECONDS_MORE = 2.0
EXAMPLES_MAX = 20
_STRONG_SHARE = 0.5


@dataclass
class Verdict:
    """What became of a mutant: ``killed``, ``timeout``, ``survived`` or ``no_test``."""

    mutant: Mutant
    status: str
    test: str | None = None
    """The test that failed."""
    tests: int = 0
    """How many were chosen ..."""
    of: int = 0
    """... of how many that run the changed line."""
    seconds: float = 0.0

    def row(self) -> dict[str, Any]:
        """As it is kept."""
        mine = {name: getattr(self, name) for name in ("status", "test", "tests", "of")}
        return {"name": self.mutant.name, "digest": self.mutant.digest, **mine, "seconds": round(self.seconds, 3)}


@dataclass
class _Child:
    mutant: Mutant
    chosen: list[int]
    of: int
    pid: int
    pipe: int
    began: float
    said: bytes = b""


@dataclass
class Loop:
    """The plugin. ``mutants`` are run in order, ``jobs`` at a time; each verdict goes to ``done``."""

    mutants: list[Mutant]
    covered: Covered
    seconds: float
    jobs: int
    done: Callable[[Verdict], None]
    _items: dict[str, pytest.Item] = field(default_factory=dict)
    _killers: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    _breadth: list[int] = field(default_factory=list)
    _sound: set[str] = field(default_factory=set)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Few examples, always the same, and no search for a smaller one: that it fails is enough."""
        for item in items:
            test = getattr(item, "obj", None)
            test = getattr(test, "__func__", test)
            known = getattr(test, "_hypothesis_internal_use_settings", None)
            if known is not None:
                test._hypothesis_internal_use_settings = hypothesis.settings(  # type: ignore[union-attr]
                    known,
                    max_examples=min(known.max_examples, EXAMPLES_MAX),
                    derandomize=True,
                    database=None,
                    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
                    suppress_health_check=list(hypothesis.HealthCheck),
                )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In the place of pytest's: not the tests are gone through, but the mutants."""
        self._items = {item.nodeid: item for item in session.items}
        self._breadth = self.covered.breadth()
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # before there are many of us
        gc.collect()
        gc.freeze()  # what is here is shared with the forks, and stays so
        running: dict[int, _Child] = {}
        for mutant in self.mutants:
            fitting = self.covered.tests_of(mutant)
            chosen = self._chosen(mutant, fitting)
            if not chosen:
                self.done(Verdict(mutant, "no_test"))
                continue
            while len(running) >= self.jobs:
                self._wait(running)
            child = self._fork(mutant, chosen, len(fitting))
            running[child.pipe] = child
        while running:
            self._wait(running)
        return True

    def _chosen(self, mutant: Mutant, fitting: set[int]) -> list[int]:
        """The tests for a mutant, in order: who has killed in this function before, the fastest, then those that see
        the most; ``seconds`` in all, half of it for the last. One that takes longer than that by itself is chosen
        where there is no other."""
        seconds = self.covered.seconds
        there = {test for test in fitting if self.covered.tests[test] in self._items}
        fitting = {test for test in there if seconds[test] <= self.seconds} or there
        killers = self._killers[mutant.name.partition("#")[0]].most_common(12)
        chosen = sorted((test for test, _ in killers if test in fitting), key=lambda test: seconds[test])
        left = self.seconds - sum(seconds[test] for test in chosen)
        fast = sorted(fitting.difference(chosen), key=lambda test: seconds[test])
        strong = sorted(fast, key=lambda test: -self._breadth[test])
        for ordered, down_to in ((fast, self.seconds * _STRONG_SHARE), (strong, 0.0)):
            for test in ordered:
                if left <= down_to:
                    break
                if test not in chosen:
                    chosen.append(test)
                    left -= seconds[test]
        return chosen

    def _fork(self, mutant: Mutant, chosen: list[int], of: int) -> _Child:
        reading, writing = os.pipe()
        expected = sum(self.covered.seconds[test] for test in chosen)
        pid = os.fork()
        if pid == 0:
            status = 3
            try:
                os.close(reading)
                _be_quiet()
                signal.setitimer(signal.ITIMER_VIRTUAL, expected * TIMES_LONGER + SECONDS_MORE)
                signal.alarm(int(60 + expected * 30))
                status = self._run(mutant, [self._items[self.covered.tests[test]] for test in chosen], writing)
            finally:
                os._exit(status)
        os.close(writing)
        return _Child(mutant, chosen, of, pid, reading, time.monotonic())

    @staticmethod
    def _run(mutant: Mutant, items: list[pytest.Item], says: int) -> int:
        """In the fork: 0 where the mutant lives through all tests, 1 where one catches it."""
        mutant.plant()
        for item, following in zip(items, [*items[1:], None], strict=True):
            os.write(says, f"{item.nodeid}\n".encode())
            try:
                _go_through(item, following)
            except pytest.skip.Exception:
                continue
            except BaseException:  # noqa: BLE001 - whatever it raises, it is not what the function should do
                return 1
        return 0

    def _wait(self, running: dict[int, _Child]) -> None:
        """Waits until at least one of the forks has ended."""
        ended = False
        while not ended:
            ready, _, _ = select.select(list(running), [], [])
            for pipe in ready:
                child = running[pipe]
                text = os.read(pipe, 65536)
                child.said += text
                if not text:
                    del running[pipe]
                    os.close(pipe)
                    self._end(child)
                    ended = True

    def _end(self, child: _Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        names = child.said.decode().splitlines()
        test = names[-1] if names and code else None
        found = {0: "survived", 1: "killed"}.get(code, "timeout" if code < 0 else "broken")
        verdict = Verdict(child.mutant, found, test, len(child.chosen), child.of, time.monotonic() - child.began)
        if found == "killed" and test is not None:
            self._hold_sound(test)
            self._killers[child.mutant.name.partition("#")[0]][self.covered.tests.index(test)] += 1
        self.done(verdict)

    def _hold_sound(self, test: str) -> None:
        """Raises where a test that has caught a mutant fails without any: it would catch them all."""
        if test in self._sound:
            return
        pid = os.fork()
        if pid == 0:
            _be_quiet()
            try:
                _go_through(self._items[test], None)
            except pytest.skip.Exception:
                pass
            except BaseException:  # noqa: BLE001 - whatever it raises, there is no mutant
                os._exit(1)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            raise RuntimeError(f"{test} fails without any mutant: it can't judge")
        self._sound.add(test)


def _go_through(item: pytest.Item, following: pytest.Item | None) -> None:
    """One test. Raises what it raises: pytest's own way would write a report first, which takes longer than most."""
    item._initrequest()  # type: ignore[attr-defined]
    item.stash[tmppath_result_key] = {}  # else what takes away a test's directory misses its report, and raises
    item.ihook.pytest_runtest_setup(item=item)
    item.ihook.pytest_runtest_call(item=item)
    item.ihook.pytest_runtest_teardown(item=item, nextitem=following)


def _be_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def run(loop: Loop, selection: list[str], room: Path) -> int:
    """Runs the mutants of ``loop`` against the selected tests; ``room``: for what tests write. pytest's status."""
    sys.stdout.flush()
    given = ["-qq", "-s", "-p", "no:cacheprovider", f"--basetemp={room}", *selection]
    return int(pytest.main(given, plugins=[loop]))


def read(kept: Path) -> dict[str, dict[str, Any]]:
    """The verdicts that a run has kept, by mutant; the last one counts."""
    if not kept.exists():
        return {}
    rows = (json.loads(line) for line in kept.read_text().splitlines())
    return {row["name"]: row for row in rows}
