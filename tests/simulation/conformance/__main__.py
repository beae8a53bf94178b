"""Runs the cases outside pytest: ``python -m tests.simulation.conformance [target ...]``.

A target is model, moto, moto-patched, ministack, aws (the real one, with the credentials and the region of your
environment; it makes tables of its own and removes them), or the URL of an endpoint; without one, ``CONFORMANCE`` names
them. Prints what is otherwise than expected and than ``differences`` knows; with ``--rows``, all that is otherwise, as
its rows. Ends with 1 if anything was printed. With ``--docs`` it writes docs/conformance.md and runs nothing.
"""

from __future__ import annotations

import os
import sys
import time

from tests.simulation.conformance.differences import known
from tests.simulation.conformance.report import DOCUMENT, markdown
from tests.simulation.conformance.suite import CASES, outcome
from tests.simulation.conformance.targets import named


def main(arguments: list[str]) -> int:
    """Gives the exit code."""
    if "--docs" in arguments:
        DOCUMENT.write_text(markdown(), "utf-8")
        return 0
    as_rows = "--rows" in arguments
    targets = [each for each in arguments if not each.startswith("--")]
    printed = 0
    for name in targets or os.environ.get("CONFORMANCE", "model").split():
        started = time.monotonic()
        otherwise = 0
        with named(name) as target:
            for case in CASES:
                said = outcome(case, target)
                otherwise += said is not None
                if as_rows and said is not None:
                    sys.stdout.write(f"    ({case.name!r}, {name!r}, {said!r}),\n")
                elif not as_rows and said != known(case.name, name):
                    sys.stdout.write(f"{name}: {case.name}: {said or 'no longer otherwise'}\n")
                else:
                    continue
                printed += 1
        seconds = time.monotonic() - started
        sys.stderr.write(f"{name}: {otherwise} of {len(CASES)} cases are otherwise, {seconds:.1f} s\n")
    return int(printed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
