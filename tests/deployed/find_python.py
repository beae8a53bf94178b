"""Finds a Python of the version that the template's functions run on: `python -m tests.deployed.find_python OTHERWISE`.

Prints its path, or what was given for the case that there is none. Standard library only: the Makefile asks it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def version() -> str:
    """The version of the template's runtime, such as 3.13."""
    (found,) = re.findall(r"^ +Runtime: python(\d+\.\d+)$", (ROOT / "template.yaml").read_text("utf-8"), re.MULTILINE)
    return str(found)


def _candidates(name: str) -> Iterator[Path]:
    yield Path(sys.executable)
    for folder in os.get_exec_path():
        yield Path(folder, name)
    # Beside the running one, where a version manager keeps each version in a folder of its own.
    yield from sorted(Path(sys.base_prefix).parent.glob(f"*/bin/{name}"))


def find(wanted: str) -> Path | None:
    """A Python of this version that runs and can make an environment; None where there is none."""
    ask = "import ensurepip, sys, venv; print('.'.join(map(str, sys.version_info[:2])))"
    for path in _candidates(f"python{wanted}"):
        if not path.is_file():
            continue
        try:
            said = subprocess.run([path, "-c", ask], capture_output=True, text=True, timeout=30, check=False)
        except OSError:
            continue
        if said.returncode == 0 and said.stdout.strip() == wanted:
            return path
    return None


if __name__ == "__main__":
    sys.stdout.write(f"{find(version()) or sys.argv[1]}\n")
