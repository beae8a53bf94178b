"""A pytest plugin: least privilege over the whole suite, however many processes it runs in.

Every process keeps what the functions asked of AWS in its tests. At the end they are compared, together, with the roles
of the template: only where every test ran and passed, since a part of the suite uses a part of the rights. An entry
that is put without its condition fails any run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from local import boundary
from local.template import FunctionSpec, Template
from tests.access.roles import Recorder, differences

_SENT = "roles"


class WholeSuite:
    """The plugin. ``suite`` is the folder that holds all tests, ``template`` the file with the roles.

    ``apart``: folders in it without which it is whole, because they call functions in no process of pytest's.
    """

    def __init__(self, config: pytest.Config, suite: Path, template: Path, apart: tuple[Path, ...] = ()) -> None:
        self._config = config
        self._suite = suite.resolve()
        self._apart = {folder.resolve() for folder in apart}
        self._template = template
        self._recorder: Recorder | None = None
        self._is_part = False
        self._problems: list[str] = []
        self._told = ""
        boundary.observers.append(self._observe)

    def _observe(self, spec: FunctionSpec, service: str, operation: str, body: Mapping[str, Any]) -> None:
        self._seen()(spec, service, operation, body)

    def _seen(self) -> Recorder:
        # Reading the template takes a second, which a run without a function's request need not wait for.
        if self._recorder is None:
            self._recorder = Recorder(Template(self._template))
        return self._recorder

    def pytest_unconfigure(self) -> None:
        """Nothing is left behind for whoever runs pytest in this process again."""
        boundary.observers.remove(self._observe)

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        """Take note that not every test runs. Under xdist the workers are told, and pass it on."""
        self._is_part = self._is_part or any(True for _ in items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker of xdist has seen. One that crashed sends nothing, and fails the run by itself."""
        sent = getattr(node, "workeroutput", {}).get(_SENT)
        if sent is not None:
            self._is_part = self._is_part or sent["is_part"]
            self._seen().take(sent)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Send what was seen, or judge it: what is wrong makes the run a failed one."""
        if hasattr(self._config, "workerinput"):
            sent = {} if self._recorder is None else self._recorder.sent()
            output: dict[str, Any] = self._config.workeroutput  # type: ignore[attr-defined]  # xdist's
            output[_SENT] = {**sent, "is_part": self._is_part}
            return
        if self._recorder is not None:
            self._problems += sorted(self._recorder.unguarded)
        if exitstatus == pytest.ExitCode.OK and self._is_whole():
            seen = self._seen()
            self._problems += differences(Template(self._template), seen.used)
            of_functions = f"{seen.requests} requests of {len(seen.used)} functions"
            self._told = f"{of_functions}, {seen.entries_put} entries put"
        if self._problems:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _is_whole(self) -> bool:
        option = self._config.option
        ignored = self._paths(option.ignore or ())
        is_part = self._is_part or any(getattr(option, name, None) for name in ("ignore_glob", "lf", "collectonly"))
        return self._paths(self._config.args) == {self._suite} and ignored <= self._apart and not is_part

    def _paths(self, named: Iterable[str]) -> set[Path]:
        return {(self._config.invocation_params.dir / name).resolve() for name in named}

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what is wrong, or that the roles are what the suite uses."""
        if self._problems:
            terminalreporter.section("roles: least privilege", red=True)
            for problem in self._problems:
                terminalreporter.line(problem)
        elif self._told:
            terminalreporter.line(f"roles: nothing is missing and nothing unused, by {self._told}")
