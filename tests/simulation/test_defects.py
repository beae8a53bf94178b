"""The tester is tested: planted defects are found, and none has quietly become harmless text.

Here a share of them is hunted; all of them by `make simulate DEFECTS=1`.

Which seed finds a defect first was recorded by `python -m tests.simulation.hunt --keep`. A test runs that seed, and
where it finds nothing any more (the workload has changed, say) the first hundred: a defect that survives them fails.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.defects import DEFECTS, ROOT, Defect, Replacement, changed_source
from tests.simulation.every_all import in_share
from tests.simulation.hunt import KEPT, SEEDS, hunt, kept

LEAST = 25
SHARES = 2
"""One defect in so many is hunted here; which, the sources of the club say (``every_all.share``)."""
MINE = [name for number, name in enumerate(DEFECTS) if in_share(SHARES)(number)]
AREAS = (
    "store",
    "posting",
    "inbox",
    "sweeping",
    "deciding",
    "outbox",
    "standing",
    "rewarding",
    "alerting",
    "adjusting",
)


def test_there_are_enough_and_they_are_spread_over_the_club() -> None:
    assert len(DEFECTS) >= LEAST
    files = {change.file for defect in DEFECTS.values() for change in defect.changes}
    stems = {Path(file).stem for file in files} | {Path(file).parent.name for file in files}
    assert stems >= {*AREAS, "erasing", "post_ledger", "publish_changes", "ingest_activity"} - {"outbox"}


@pytest.mark.parametrize("name", DEFECTS)
def test_each_stands_exactly_once_in_a_source_that_still_compiles(name: str) -> None:
    defect = DEFECTS[name]
    for file in {change.file for change in defect.changes}:
        source = (ROOT / file).read_text("utf-8")
        changed = changed_source(defect, file, source)
        assert changed != source
        compile(changed, file, "exec")


def test_a_text_that_is_not_there_is_an_error() -> None:
    gone = Defect("gone", "nothing", (Replacement("layers/ledger/club_ledger/brake.py", "no such line", "another"),))
    with pytest.raises(ValueError, match="0 times"):
        changed_source(
            gone, "layers/ledger/club_ledger/brake.py", (ROOT / "layers/ledger/club_ledger/brake.py").read_text("utf-8")
        )


def test_a_defect_is_planted_before_the_club_is_loaded_or_not_at_all() -> None:
    code = (
        "from tests.simulation.defects import plant\n"
        "import club_ledger.brake\n"
        "try:\n    plant('no-brake')\nexcept ValueError as error:\n    print(error)\n"
    )
    path = ":".join(str(ROOT / each) for each in ("layers/rules", "layers/ledger", "."))
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, check=True, capture_output=True, text=True
    )
    assert "too late" in done.stdout


def test_what_was_recorded_is_of_the_defects_that_there_are() -> None:
    assert set(kept()) <= set(DEFECTS), KEPT
    assert len(kept()) >= LEAST
    assert all(seed < SEEDS for seed in kept().values())


@pytest.mark.parametrize("name", MINE)
def test_each_is_found(name: str) -> None:
    hunted = hunt(name, kept().get(name, 0), 1)
    if hunted.seed is None:
        hunted = hunt(name, 0, SEEDS)
    assert hunted.seed is not None, f"{name} survived {SEEDS} seeds: {DEFECTS[name].breaks}"
    assert hunted.invariant, hunted.text  # found by an invariant, not by a simulation that broke down
