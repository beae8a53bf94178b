"""Processes that have just begun: what each of them sees, and what it costs until it ends.

A fresh process sees the standard library and the folders that it is given: nothing that happens to be installed here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from benchmarks.figures import Missing
from tests.deployed.find_python import find, version

ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(__file__).with_name("probe.py")
REQUIREMENTS = ROOT / "layers" / "dependencies" / "requirements.txt"

LAMBDA = {
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_SESSION_TOKEN": "never",
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
    "AWS_LAMBDA_FUNCTION_NAME": "cold-start",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "LANG": "C.UTF-8",
    "TZ": ":UTC",
}
"""The variables that Lambda sets, as far as anything here asks for them. Nobody is let in by these keys."""


class Failed(Exception):
    """A fresh process ended with an error; the text is what it said."""


@dataclass(frozen=True)
class Fresh:
    """One process to be, over and over: the probe's ``arguments``, its ``path`` and its ``variables``.

    ``folder`` is where it runs.
    """

    arguments: tuple[str, ...]
    path: tuple[Path, ...]
    variables: Mapping[str, str]
    folder: Path
    python: Path

    def until(self, moment: str) -> Fresh:
        """The same, until it is ``ready``, or has given its first ``answer``, or has ``told`` what it did."""
        kind, _, *rest = self.arguments
        return replace(self, arguments=(kind, moment, *rest))

    def cpu_seconds(self) -> float:
        """The CPU seconds, of the user and of the system, that a new one takes. Raises ``Failed``."""
        with subprocess.Popen(
            self._command(), env=self._environment(), cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            assert process.stderr is not None
            said = process.stderr.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Failed(f"{self.arguments}: {said.decode(errors='replace')[-2000:]}")
        return used.ru_utime + used.ru_stime

    def told(self, until: str = "told") -> dict[str, Any]:
        """What a new one says until it has ``told`` all or is ``loaded``: see the probe. Raises ``Failed``."""
        reading, writing = os.pipe()
        with (
            os.fdopen(reading, "rb") as said,
            subprocess.Popen(
                [*self.until(until)._command(), str(writing)],
                env=self._environment(),
                cwd=self.folder,
                pass_fds=(writing,),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            ) as process,
        ):
            os.close(writing)
            content = said.read()
            assert process.stderr is not None
            errors = process.stderr.read()
        if process.returncode:
            raise Failed(f"{self.arguments}: {errors.decode(errors='replace')[-2000:]}")
        found: dict[str, Any] = json.loads(content)
        return found

    def import_milliseconds(self) -> dict[str, float]:
        """What its imports take by package, those of the standard library together, the costliest first.

        Python's own measuring (``-X importtime``) is in it, and makes all of it longer.
        """
        done = subprocess.run(
            self._command("-X", "importtime"),
            env=self._environment(),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(f"{self.arguments}: {done.stderr[-2000:]}")
        spent: defaultdict[str, float] = defaultdict(float)
        for line in done.stderr.splitlines():
            itself, _, name = line.removeprefix("import time:").partition("|")
            if line.startswith("import time:") and itself.strip().isdigit():
                top = name.partition("|")[2].strip().partition(".")[0]
                spent["standard library" if top in sys.stdlib_module_names else top] += int(itself) / 1000
        return {name: round(spent[name], 1) for name in sorted(spent, key=lambda each: -spent[each])}

    def _command(self, *options: str) -> list[str]:
        # -S -s: nothing that is installed; -P: nor what lies beside the probe; -B: nothing is left for the next one.
        return [str(self.python), "-S", "-s", "-P", "-B", *options, str(PROBE), *self.arguments]

    def _environment(self) -> dict[str, str]:
        return {**LAMBDA, **self.variables, "PYTHONPATH": os.pathsep.join(map(str, self.path))}


def runtime() -> Path:
    """The Python of the template's runtime; the running one where there is none."""
    return find(version()) or Path(sys.executable)


def pinned() -> dict[str, str]:
    """The packages of the dependencies' layer, and their versions."""
    lines = [line.split()[0] for line in REQUIREMENTS.read_text("utf-8").splitlines() if "==" in line]
    return dict(line.split("==") for line in lines)


def install(names: Iterable[str], folder: Path) -> None:
    """Puts the packages into ``folder`` as pip does, from those that are installed here.

    Raises ``Missing`` where one isn't here in the version that is pinned for the functions.
    """
    for found in _installed(names):
        for file in found.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), folder / file)


def link(names: Iterable[str], folder: Path) -> None:
    """The same with links to what is installed here, as it was compiled by the running Python."""
    for found in _installed(names):
        home = Path(str(found.locate_file("")))
        for top in {file.parts[0] for file in found.files or () if not {"..", "__pycache__"}.intersection(file.parts)}:
            (folder / top).symlink_to(home / top)


def _installed(names: Iterable[str]) -> Iterator[Distribution]:
    for name in names:
        try:
            found = distribution(name)
        except PackageNotFoundError:
            raise Missing(f"{name} isn't here: make setup") from None
        if found.version != pinned()[name]:
            raise Missing(f"{name} is here as {found.version}, and the functions have {pinned()[name]}: make setup")
        yield found


def compile_all(folder: Path, python: Path) -> None:
    """Compiles what lies in ``folder``, as the layers' builds do it."""
    how = "--invalidation-mode=unchecked-hash"
    subprocess.run([python, "-m", "compileall", "-q", how, folder], check=True)
