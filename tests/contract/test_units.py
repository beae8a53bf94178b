"""The bill of a replay adds up: what docs/operate.md computes prices from counts what there is, once."""

from __future__ import annotations

import io

import pytest

from benchmarks.units import COLUMNS, Bill, measure
from local.logs import open_log


@pytest.mark.slow
def test_the_first_days_of_the_log_cost_what_their_items_do() -> None:
    days = 5
    bill = measure(days)
    posted = bill.used["post_ledger"]
    log_days = [events for _, events in zip(range(days), (events for _, events in open_log().days()), strict=False)]

    assert bill.events == sum(map(len, log_days)) == bill.used["ingest_activity"]["messages sent"]
    assert posted["requests"] == 2 * bill.events
    assert posted["read units"] == bill.events / 2, "one read of the account for each, which may be a moment old"
    # An entry, the account and the order at two units each, and the account's place in the index.
    assert 6 * bill.events <= posted["write units"] <= 9 * bill.events
    assert bill.used["expiry_sweep"]["invocations"] == days, "nothing is due yet: each is started, and none has a chunk"
    assert bill.used["publish_changes"]["announcements"] >= bill.events
    assert bill.table_bytes > 500 * bill.events


def test_the_bill_shows_every_figure_by_event() -> None:
    bill = Bill(events=4, table_bytes=400)
    bill.used["post_ledger"].update({"invocations": 1, "write units": 24})
    bill.used["expiry_sweep"].update({"invocations": 1, "write units": 2})
    out = io.StringIO()
    bill.show(out)
    rows = {line.split()[0]: line.split()[1:] for line in out.getvalue().splitlines()[1:-1]}

    assert rows["post_ledger"] == ["0.250", "0.000", "0.000", "6.000", "0.000", "0.000"]
    assert rows["all"] == ["0.500", "0.000", "0.000", "6.500", "0.000", "0.000"]
    assert len(COLUMNS) == 6
    assert out.getvalue().endswith("the table: 100 bytes by event\n")
