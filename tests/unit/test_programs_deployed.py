"""A new version of a program before it is deployed, and what a file says of warnings and of the import allowance."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from club_rules.program_check import WARNINGS_AT_MOST, check_program
from club_rules.programs import _DATA, Programs, check_new_version, load_programs
from club_rules.warnings import next_warning
from local.__main__ import main
from tests.unit.member import SHIPPED, Member, after, changed, noon

TODAY = date(2026, 11, 22)


def written(tmp_path: Path, data: dict[str, Any]) -> Path:
    path = tmp_path / "club-next.json"
    path.write_text(json.dumps(data), "utf-8")
    return path


def newer(**changes: Any) -> dict[str, Any]:
    return changed("club", version="2027-01", effective_from="2027-01-01", **changes)


def test_a_version_that_takes_effect_after_the_deployment_is_good(tmp_path: Path) -> None:
    assert check_new_version(written(tmp_path, newer()), TODAY) == []
    assert check_new_version(written(tmp_path, newer()), date(2026, 12, 31)) == []


@pytest.mark.parametrize("day", ["2026-11-22", "2026-11-21", "2017-06-01"])
def test_one_that_takes_effect_by_then_is_refused(tmp_path: Path, day: str) -> None:
    (told,) = check_new_version(written(tmp_path, newer() | {"effective_from": day}), TODAY)
    assert told.startswith("/effective_from: expected a day after that of the deployment, 2026-11-22, found " + day)


def test_one_that_does_not_fit_beside_the_versions_that_there_are_is_refused(tmp_path: Path) -> None:
    found = check_new_version(written(tmp_path, newer(time_zone="Europe/Minsk")), TODAY)
    assert any("/time_zone" in each for each in found)
    found = check_new_version(written(tmp_path, newer() | {"version": SHIPPED["club"]["version"]}), TODAY)
    assert any("stands twice" in each for each in found)


def test_a_version_that_is_shipped_fits_beside_itself() -> None:
    """Where it is deployed for the first time."""
    (shipped,) = (path for path in _DATA.glob("club-*.json"))
    assert check_new_version(shipped, date(1969, 12, 31)) == []


def test_what_is_wrong_alone_is_told_first(tmp_path: Path) -> None:
    (told,) = check_new_version(written(tmp_path, newer(window_days=0)), TODAY)
    assert told.startswith("/window_days")
    (told,) = check_new_version(tmp_path / "nothing.json", TODAY)
    assert "can't be read" in told


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(written(tmp_path, newer()))
    assert main(["programs", "check", "--deploy-on", "2026-11-22", path]) == 0
    assert main(["programs", "check", "--deploy-on", "2027-01-01", path]) == 1
    assert "/effective_from" in capsys.readouterr().out
    assert main(["programs", "check", path]) == 0, "without a day, the file alone is looked at"
    with pytest.raises(SystemExit):
        main(["programs", "check", "--deploy-on", "2027-02-30", path])


def test_why_a_version_may_not_begin_in_the_past() -> None:
    """What was earned since then would expire on another day, silently."""
    member = Member(Programs([SHIPPED["club"]]))
    member.is_given(5, on="2026-03-10")
    late = Programs([SHIPPED["club"], newer(window_days=100) | {"effective_from": "2026-03-01"}])
    day = noon("2026-03-10").toordinal()
    assert (member.programs.expires_on("club", day), late.expires_on("club", day)) == (day + 365, day + 100)


# --- warnings and the import allowance in a file


@pytest.mark.parametrize(
    ("warnings", "told"),
    [
        ({}, "/warnings/days_before: missing"),
        ({"days_before": 30}, "/warnings/days_before: expected a list"),
        ({"days_before": [0]}, "/warnings/days_before/0: expected a whole number from 1 to 365, found 0"),
        ({"days_before": [366]}, "/warnings/days_before/0: expected a whole number"),
        ({"days_before": ["30"]}, "/warnings/days_before/0: expected a whole number"),
        ({"days_before": [30, 7, 30]}, "/warnings/days_before/2: 30 stands twice"),
        ({"days_before": [30], "by": "mail"}, "/warnings/by: unknown field"),
        (
            {"days_before": list(range(1, WARNINGS_AT_MOST + 2))},
            f"/warnings/days_before: expected at most {WARNINGS_AT_MOST} warnings",
        ),
        ([30, 7], "/warnings: expected an object"),
    ],
)
def test_warnings_are_checked(warnings: Any, told: str) -> None:
    found = check_program(changed("club", warnings=warnings))
    assert [each for each in found if each.startswith(told)], found


@pytest.mark.parametrize("leads", [[], [7], [30, 7], [1, 2, 3, 4, 365]])
def test_warnings_that_are_good(leads: list[int]) -> None:
    assert check_program(changed("crowns", warnings={"days_before": leads})) == []


def test_every_program_warns_30_and_7_days_ahead() -> None:
    programs = load_programs()
    assert programs.ids == ("club", "crowns", "vip")
    assert all(programs.versions(name)[-1].warns_before == [30, 7] for name in programs.ids)


def test_a_program_without_warnings_warns_nobody() -> None:
    data = changed("club")
    del data["warnings"]
    member = Member(Programs([data]))
    member.is_given(5, on="2026-03-10")
    assert next_warning(member.account, member.programs) is None
    assert member.on(after("2026-03-10", 365)).points() == 0


def test_an_allowance_is_held_against_spend() -> None:
    (told,) = check_program(changed("club", import_allowance={"RU": "5.00"}))
    assert told.startswith("/import_allowance")
