"""docs/operate.md has a row for every alarm, names only what there is, and computes what it says it computes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from math import prod

import botocore.session
import pytest

from benchmarks.capacity.prices import listed, price
from benchmarks.units import COLUMNS
from local.template import ROOT
from tests.template.resources import EXPANDED, RESOURCES, of_type

TEXT = (ROOT / "docs" / "operate.md").read_text("utf-8")
PAGES = ["docs/operate.md", "docs/scale.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"]


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables' rows under a heading, without the heads."""
    part = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    (found,) = [each for each in part if each.startswith(f"{heading}\n")]
    tables = re.split(r"^\|[-|]+\|$", found, flags=re.MULTILINE)[1:]
    lines = [line for table in tables for line in table.split("\n\n")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_alarm_has_a_row_that_says_what_it_means_and_what_to_do() -> None:
    described = [row for row in rows("Watch") if "Alarm`" in row[0]]
    named = [name for row in described for name in re.findall(r"`(\w+Alarm)`", row[0])]

    assert sorted(named) == sorted(name for name, _ in of_type("AWS::CloudWatch::Alarm"))
    assert len(named) > 20
    for row in described:
        assert len(row) == 3
        assert all(len(cell) > 10 for cell in row[1:]), row[0]


def test_the_commands_name_parts_outputs_and_parameters_that_there_are() -> None:
    parts, outputs = re.findall(r"\(part (\w+)\)", TEXT), re.findall(r"out (?!NAME)([A-Z]\w+)", TEXT)
    overrides = re.findall(r"([A-Z]\w+)=(?:on|off|…|\d+|DEBUG)", TEXT)

    assert parts
    assert set(parts) <= RESOURCES.keys()
    assert outputs
    assert set(outputs) <= EXPANDED["Outputs"].keys()
    assert {"ExpeditedRefunds", "DueShards", "TokenIssuer"} <= set(overrides)
    assert (
        set(overrides) - {"StreamEnabled", "ReadUnitsPerSecond", "WriteUnitsPerSecond"} <= EXPANDED["Parameters"].keys()
    )


def test_the_settings_of_a_restored_table_are_the_templates() -> None:
    """The import describes `Ledger` by itself, so it may lean on no resource but the key, which is named for it."""
    table = RESOURCES["Ledger"]

    assert set(re.findall(r'"(?:Ref|Fn::\w+)": "?\[?"?(\w+)', json.dumps(table))) <= {"ClubKey"}
    assert table["DeletionPolicy"] == "Retain"
    assert f"StreamViewType={table['Properties']['StreamSpecification']['StreamViewType']}" in TEXT


def test_the_policies_are_json() -> None:
    (policy,) = re.findall(r"<<'JSON'\n(.*?)\n\s*JSON", TEXT, re.DOTALL)
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Condition"] == {"StringEquals": {"events:source": "marketplace"}}
    assert statement["Action"] == "events:PutEvents"
    assert not statement["Resource"].endswith("*")
    for quoted in re.findall(r"'([{\[]\"[^']*)'", TEXT):
        json.loads(quoted)


@pytest.mark.parametrize("page", ["docs/operate.md", "docs/dead-letters.md"])
def test_the_commands_are_commands(page: str) -> None:
    """The shell can read every block, and the AWS CLI knows every operation and option that stands in one."""
    text = (ROOT / page).read_text("utf-8")
    blocks = [re.sub(r"^ +", "", block, flags=re.MULTILINE) for block in re.findall(r"```\n(.*?)```", text, re.DOTALL)]
    commands = re.sub(r"\\\n", " ", "\n".join(blocks))

    checked = subprocess.run(["bash", "-n"], input=commands, check=False, capture_output=True, text=True, timeout=60)
    assert checked.stderr == ""
    assert [
        fault for each in re.findall(r"aws ([a-z0-9]+) (?!wait)([a-z-]+)([^|]*)", commands) for fault in faults(*each)
    ] == []


def faults(service: str, operation: str, options: str) -> Iterator[str]:
    """What of a command the service's model doesn't know. What the CLI adds by itself is left out."""
    name = "".join(word.capitalize() for word in operation.split("-"))
    model = botocore.session.get_session().get_service_model(service)
    known = {each.lower(): each for each in model.operation_names}
    if name.lower() not in known:
        yield f"{service} {operation}"
        return
    shape = model.operation_model(known[name.lower()]).input_shape
    members = {each.lower() for each in shape.members} | {"query", "output", "clibinaryformat"}
    for option in re.findall(r"(?<=\s)--([a-z-]+)", options.partition("\n")[0]):
        if option.removeprefix("no-").replace("-", "") not in members:
            yield f"{service} {operation} --{option}"


def test_a_command_that_there_is_not_is_found() -> None:
    assert list(faults("events", "start-replay", " --replay-name a --source-archive b")) == [
        "events start-replay --source-archive"
    ]
    assert list(faults("events", "begin-replay", "")) == ["events begin-replay"]


def number(text: str) -> float:
    return float(text.replace(",", ""))


def value(arithmetic: str) -> float:
    """What a sum of products comes to; words and units count for nothing, but that a ms is 0.001."""
    plain = re.sub(r"\(\*assumed\*\)", "", arithmetic)
    plain = re.sub(r"\(([\d.]+) \+ ([\d.]+)\)", lambda found: str(float(found[1]) + float(found[2])), plain)
    plain = re.sub(r"([\d.]+) ms", lambda found: str(float(found[1]) / 1000), plain)
    return sum(prod(number(each) for each in re.findall(r"\d[\d,.]*", term)) for term in plain.split(" + "))


def test_the_costs_are_what_their_arithmetic_gives() -> None:
    found = rows("What it costs")
    measured = [row for row in found if len(row) == 1 + len(COLUMNS)]
    priced = [row for row in found if len(row) == 3]
    members = [row for row in found if len(row) == 5]
    once = [row for row in priced if "together" not in row[0] and "each month" not in row[0]]
    (together,) = [number(row[2].strip("*")) for row in priced if "together" in row[0]]

    assert [row[0].strip("`*") for row in measured[:-1]] == sorted(row[0].strip("`*") for row in measured[:-1])
    for column in range(1, 1 + len(COLUMNS)):
        total = sum(number(row[column]) for row in measured[:-1])
        assert number(measured[-1][column]) == pytest.approx(total, abs=0.03)
    assert [number(row[2]) for row in once] == [pytest.approx(value(row[1]), abs=0.005) for row in once]
    assert together == pytest.approx(sum(number(row[2]) for row in once))
    for kind, column in (
        ("table, writes", 4),
        ("table, reads", 3),
        ("announcements", 6),
        ("queues, nothing batched", 5),
    ):
        (arithmetic,) = [each[1] for each in priced if each[0] == kind]
        assert arithmetic.startswith(measured[-1][column])
    assert len(members) == 3
    for each in members:
        for cell in each[3:]:
            arithmetic, result = cell.split(" = ")
            assert number(result) == pytest.approx(value(arithmetic), abs=0.5)
        assert f"{together} + " in each[3]
    alarms = len(list(of_type("AWS::CloudWatch::Alarm")))
    metrics = 5  # finished, by sweep; halted; refunds
    assert f"{alarms}\nalarms and {metrics} metrics of our own, {1 + alarms * 0.1 + metrics * 0.3:.2f} $" in TEXT


PRICED = {
    "write units": "write unit",
    "read units": "read unit",
    "custom events": "custom event",
    "SQS requests": "SQS request",
    "Lambda requests": "Lambda request",
    "GB-seconds on arm64": "arm64 GB-second",
    "HTTP API requests": "HTTP API request",
    "storage": "GB stored",
    "recovery": "GB recoverable",
    "key": "key",
    "metric": "metric",
    "alarm": "alarm",
}
"""By prices.json's name, what stands before a price in the page."""


def test_the_prices_are_those_that_have_a_source() -> None:
    (stated,) = re.findall(r"^List prices of .*?(?=^Look\b|Logs, transfer)", TEXT, re.MULTILINE | re.DOTALL)
    said = re.sub(r"\s+", " ", stated)
    found = {name: float(usd) for name, usd in re.findall(r"([\w-]+(?: \w+)*) ([\d.]+) \$", said)}
    by_name = {PRICED[known]: usd for known in PRICED for name, usd in found.items() if name.endswith(known)}

    assert listed()["region"] in said
    assert len(found) == len(by_name) == len(PRICED) == len(listed()["prices"])
    assert by_name == {name: pytest.approx(price(name), abs=0.005) for name in listed()["prices"]}


@pytest.mark.parametrize(
    ("arithmetic", "result"),
    [("2 × 3 + 4 × 0.5", 8), ("1.5 GB × (0.25 + 0.25)", 0.75), ("10 requests × 8 ms (*assumed*) × 2", 0.16)],
)
def test_arithmetic_is_read_as_it_stands(arithmetic: str, result: float) -> None:
    assert value(arithmetic) == pytest.approx(result)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES)
def test_no_link_leads_nowhere(page: str) -> None:
    path = ROOT / page
    text = path.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("https://")]

    for link in links:
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), link
        if anchor:
            assert anchor in anchors(found.read_text("utf-8")), link
