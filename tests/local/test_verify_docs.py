"""docs/verify.md says what the code says: the exceptions with their reasons, and the places that advice points to."""

from __future__ import annotations

from local.template import ROOT
from local.verify import NOT_TOLD
from local.verify.kinds import LOOK, RESTORE
from local.verify.shared import AGAIN

TEXT = (ROOT / "docs" / "verify.md").read_text("utf-8")


def test_the_exceptions_stand_in_the_docs_each_with_its_reason() -> None:
    told = TEXT.partition("## What is not told")[2]
    rows = [line for line in told.splitlines() if line.startswith("| ") and not line.startswith("| what |")]
    assert rows == [f"| {what} | {why} |" for what, why in NOT_TOLD.items()]


def test_advice_points_to_a_heading_that_there_is() -> None:
    for advice in (RESTORE, LOOK, AGAIN):
        anchor = advice.partition("docs/verify.md#")[2]
        headings = [line.lstrip("# ").lower().replace(" ", "-") for line in TEXT.splitlines() if line.startswith("#")]
        assert anchor in headings
