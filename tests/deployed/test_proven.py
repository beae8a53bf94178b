"""The table that all before left, proven by the command that operators use.

It comes after what was sent over HTTP and the bus, and before test_runtime.py: the samples of events/ tell of runs and
of a price that are in no table here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.deployed.building import REGION, ROOT
from tests.deployed.club import Club, until
from tests.deployed.emulator import ROOT_KEYS

REGISTERED = {"type": "member.registered", "occurred_at": "2020-01-01T00:00:00Z", "data": {}}


def test_the_deployed_table_is_what_its_entries_say(club: Club, told: list[str]) -> None:
    club.post({**REGISTERED, "event_id": "proven-1", "member_id": "proven"})
    until(lambda: club.summary("proven"), "the member is not there")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    of_emulator = {**ROOT_KEYS, "AWS_ENDPOINT_URL": club.emulator.endpoint, "AWS_DEFAULT_REGION": REGION}
    done = subprocess.run(
        [sys.executable, "-m", "local", "verify", "--table", club.table],
        cwd=ROOT,
        env={**kept, **of_emulator},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) members, (\d+) entries: 0 problems", done.stdout)
    assert found, done.stdout
    assert int(found[1]) >= 1
    told.append(f"python -m local verify --table …: {found[0]}")
