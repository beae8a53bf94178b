"""``python -m tests.mutation [MODULE ...]``: plants the mutants and says which lived. ``--help`` says the rest."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

os.environ["HYPOTHESIS_PROFILE"] = "ci"  # the same examples each time

from mutmut.configuration import config

from tests.mutation import coverage_of_tests, running
from tests.mutation.mutants import Mutant, all_mutants

KEPT = Path("build/mutation")
ARGUED = Path(__file__).with_name("argued.txt")
"""Of each mutant that no test has to catch: its name, its digest, and why, in one line."""
ENOUGH = 0.9


def _without(room: str, *names: str) -> list[str]:
    return [f"--ignore=tests/{room}/test_{name}.py" for name in names]


PLUGINS = {"club_rules": [], "club_ledger": ["-p", "tests.mutation.quick_store"]}
# Which tests judge which layer: those that are there for it, but for what takes long or has nothing to do with it.
TESTS: dict[str, list[str]] = {
    "club_rules": [
        "tests/unit",
        *_without("unit", "calendar", "http", "languages", "logs", "report"),
    ],
    "club_ledger": [
        "tests/integration",
        *_without("integration", "end_to_end", "ingest_activity", "privilege_centre", "replay"),
        *_without("integration", "verify", "verify_corruptions", "verify_repair"),
    ],
}
_CAUGHT = ("killed", "timeout")
_STATUSES = (*_CAUGHT, "survived", "no_test", "broken", "not_run")
_COLUMNS = "{:28}" + 8 * " {:>8}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="only these: club_rules, club_rules.money, or a pattern of names")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=3.0, help="of tests for one mutant at most (default 3)")
    parser.add_argument("--every", type=int, default=1, help="a sample: each so-manieth mutant (default 1: all)")
    parser.add_argument("--survivors", action="store_true", help="only those that the last run did not catch")
    parser.add_argument(
        "--tests", nargs="+", help="judge by these tests alone, in little time; only what they catch is kept"
    )
    parser.add_argument("--again", action="store_true", help="also what was caught before by these tests")
    parser.add_argument("--report", action="store_true", help="run nothing, say what is known")
    parser.add_argument("--measure", action="store_true", help="run the tests once and keep what they cover")
    return parser.parse_args()


def main() -> int:
    """Runs what is asked for; 0 where at least ``ENOUGH`` of the mutants that were run were caught."""
    given = _arguments()
    KEPT.mkdir(parents=True, exist_ok=True)
    mutants = list(all_mutants(given.modules))[:: given.every]
    if not mutants:
        raise SystemExit(f"nothing to change in {' '.join(given.modules)}: name a layer, a module or a pattern")
    kept = KEPT / "verdicts.jsonl"
    if not given.report:
        for layer, selection in TESTS.items():
            mine = [each for each in mutants if each.module.startswith(f"{layer}.")]
            if mine:
                _run_layer(given, layer, [*PLUGINS[layer], *(given.tests or selection)], mine, kept)
    return _report(mutants, running.read(kept))


def _run_layer(given: argparse.Namespace, layer: str, selection: list[str], mutants: list[Mutant], kept: Path) -> None:
    some = ".some" if given.tests else ""
    covered_by, of = KEPT / f"{layer}{some}.covered.json", KEPT / f"{layer}{some}.covered.of"
    state = f"{_state()} {selection}"
    if given.measure or not of.exists() or of.read_text() != state:
        paths = [path for path in config().source_paths if path.name == layer]
        coverage_of_tests.measure(paths, selection, covered_by)
        of.write_text(state)
    # In a process of its own: one layer's tests must not meet what the other's have imported.
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            _run(given, mutants, coverage_of_tests.load(covered_by), selection, kept)
            status = 0
        finally:
            os._exit(status)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SystemExit(f"the run over {layer} broke off")


def _state() -> str:
    """Of everything that the tests rest on."""
    digest = hashlib.sha256()
    for room in ("functions", "layers", "local", "tests"):
        for path in sorted(Path(room).rglob("*.py")):
            if "mutation" not in path.parts:
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _run(
    given: argparse.Namespace,
    mutants: list[Mutant],
    covered: coverage_of_tests.Covered,
    selection: list[str],
    kept: Path,
) -> None:
    known = running.read(kept)

    def is_open(mutant: Mutant) -> bool:
        row = known.get(mutant.name)
        if row is None or row["digest"] != mutant.digest or given.again:
            return not given.survivors or row is not None
        return row["status"] not in _CAUGHT if given.survivors else False

    todo = [mutant for mutant in mutants if is_open(mutant)]
    counts: Counter[str] = Counter()
    began = time.monotonic()
    with kept.open("a") as file:

        def done(verdict: running.Verdict) -> None:
            if given.tests is None or verdict.status in _CAUGHT:
                file.write(json.dumps(verdict.row()) + "\n")
                file.flush()
            counts[verdict.status] += 1
            number = counts.total()
            if number % 50 == 0 or number == len(todo):
                spent = time.monotonic() - began
                left = spent / number * (len(todo) - number)
                print(f"{number} of {len(todo)}, {dict(counts)}, {left:.0f} s left ({verdict.mutant.name})", flush=True)

        loop = running.Loop(todo, covered, given.seconds, given.jobs, done)
        if todo and running.run(loop, selection, (KEPT / "tmp").absolute()) not in (0, 5):
            raise SystemExit("the tests could not be collected")


def _report(mutants: list[Mutant], verdicts: dict[str, dict[str, object]]) -> int:
    by_module: dict[str, Counter[str]] = {}
    lived = []
    argued = _argued()
    open_ones = 0
    for mutant in mutants:
        row = verdicts.get(mutant.name)
        status = str(row["status"]) if row is not None and row["digest"] == mutant.digest else "not_run"
        by_module.setdefault(mutant.module, Counter())[status] += 1
        if status not in (*_CAUGHT, "not_run"):
            why = argued.get((mutant.name, mutant.digest))
            open_ones += why is None
            head = f"{mutant.name} {mutant.digest} ({mutant.path}:{mutant.lines[0]}, {status})"
            lived.append(f"{head}\n{why or 'NOT ARGUED'}\n{mutant.difference}\n")
    print(_COLUMNS.format("module", "mutants", *_STATUSES, "caught"))
    total: Counter[str] = Counter()
    for module, counts in sorted(by_module.items()):
        print(_row(module, counts))
        total.update(counts)
    print(_row("all", total))
    (KEPT / "survivors.txt").write_text("\n".join(lived))
    print(f"{len(lived)} that no test caught, {open_ones} of them not argued: {KEPT / 'survivors.txt'}")
    run = total.total() - total["not_run"]
    return 0 if run and sum(total[each] for each in _CAUGHT) >= ENOUGH * run else 1


def _argued() -> dict[tuple[str, str], str]:
    rows = (line.split(maxsplit=2) for line in ARGUED.read_text("utf-8").splitlines() if line and line[0] != "#")
    return {(name, digest): why for name, digest, why in rows}


def _row(name: str, counts: Counter[str]) -> str:
    run = counts.total() - counts["not_run"]
    share = f"{100 * sum(counts[each] for each in _CAUGHT) / run:.1f} %" if run else "-"
    return _COLUMNS.format(name, counts.total(), *(counts[each] for each in _STATUSES), share)


if __name__ == "__main__":
    sys.exit(main())
