"""What `benchmarks.scale` computes with: measured units, public quotas, the template's numbers, assumptions."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from typing import Any, NamedTuple

from local.template import ROOT, Template

KEPT = ROOT / "benchmarks" / "scale" / "units.json"
"""What was measured: see ``units``."""

OPERATE = ROOT / "docs" / "operate.md"
"""The operator's page, whose tables by function, of prices and of members are not written twice."""


class Public(NamedTuple):
    """A number of AWS's documentation: what it is, and the page below docs.aws.amazon.com."""

    value: float
    what: str
    page: str


READ_ON = "2026-11-22"
"""When the pages were read."""

_DYNAMODB, _LAMBDA = "amazondynamodb/latest/developerguide", "lambda/latest/dg"

PARTITION_UNITS = Public(
    1_000,
    "write units a second on one partition, of the table or of an index",
    f"{_DYNAMODB}/warm-throughput-scenarios",
)
NEW_TABLE_UNITS = Public(
    4_000, "write units a second that a new on-demand table takes", f"{_DYNAMODB}/warm-throughput-scenarios"
)
DOUBLES_SECONDS = Public(
    1_800, "seconds within which such a table grows to twice its peak", f"{_DYNAMODB}/warm-throughput"
)
TABLE_UNITS = Public(40_000, "write units a second of an on-demand table; can be raised", f"{_DYNAMODB}/ServiceQuotas")
POLLERS_FIRST = Public(5, "batches of a standard queue at a time, at first", f"{_LAMBDA}/services-sqs-scaling")
POLLERS_MORE = Public(300, "more of them in each minute, while messages wait", f"{_LAMBDA}/services-sqs-scaling")
CONCURRENCY_MOST = Public(1_000, "`MaximumConcurrency` of a queue, at the most", f"{_LAMBDA}/services-sqs-scaling")
LAMBDA_AT_ONCE = Public(
    1_000, "invocations at a time of an account and Region; can be raised", f"{_LAMBDA}/gettingstarted-limits"
)
STREAM_FACTOR = Public(10, "`ParallelizationFactor` of a stream, at the most", f"{_LAMBDA}/services-ddb-params")
VCPU_MB = Public(1_769, "MB of memory that come with one virtual CPU", f"{_LAMBDA}/configuration-memory")
BUS_ENTRIES = Public(
    10_000,
    "`PutEvents` a second in us-east-1, each entry counted; can be raised",
    "eventbridge/latest/userguide/eb-quota",
)
BUS_INVOCATIONS = Public(
    18_750, "targets that rules invoke a second in us-east-1; can be raised", "eventbridge/latest/userguide/eb-quota"
)
API_REQUESTS = Public(
    10_000, "requests a second of an account and Region; can be raised", "apigateway/latest/developerguide/limits"
)


class Latency(NamedTuple):
    """How long a request takes, in ms: half of them, and all but 1 %, of a log-normal distribution. *Assumed*."""

    half: float
    most: float

    @property
    def spread(self) -> float:
        """Of the logarithms."""
        return math.log(self.most / self.half) / 2.326

    @property
    def mean(self) -> float:
        """In ms."""
        return self.half * math.exp(self.spread**2 / 2)


READ, WRITE, PUT_EVENTS = Latency(4, 15), Latency(10, 40), Latency(15, 60)
"""A read and a transaction come to the 8 ms a request that docs/operate.md assumes."""

INVOKE_MS = 10.0
PARTITION_GB = 10
BARE_WRITE_MS = 0.55
COLD_SECONDS = 1.0
STREAM_SECONDS = 0.125


def assumed() -> list[tuple[str, str]]:
    """What nobody has measured or written: the value, and of what."""

    def told(latency: Latency) -> str:
        return f"{latency.half:.0f} ms for half, {latency.most:.0f} ms for all but 1 %"

    return [
        (told(READ), "a read of the table; log-normal, as the next two"),
        (told(WRITE), "a transaction"),
        (told(PUT_EVENTS), "a `PutEvents`"),
        (f"{BARE_WRITE_MS} ms", "CPU of a bare `TransactWriteItems` on a whole core, by which CPU is measured"),
        (f"{PARTITION_GB} GB", "in one partition, at the most"),
        (f"{INVOKE_MS:.0f} ms", "between one batch of a queue or a stream and the next"),
        (f"{COLD_SECONDS:.0f} s", "longer for the first batch of a new environment"),
        (
            f"{1000 * STREAM_SECONDS:.0f} ms",
            "until a change is read from the stream, which is asked four times a second",
        ),
        (f"{event_ms():.0f} ms", "for a member in a sweep, as an event takes that is posted"),
    ]


@cache
def units() -> dict[str, Any]:
    """What `python -m benchmarks.scale.units` has kept."""
    kept: dict[str, Any] = json.loads(KEPT.read_text("utf-8"))
    return kept


@cache
def template() -> Template:
    """The template as deployed without parameters, but for what has no default: samconfig.toml has that for here."""
    return Template(ROOT / "template.yaml")


def parameter(name: str) -> int:
    """The default of one of the template's parameters."""
    return int(template().parameters[name])


@cache
def operate(heading: str) -> dict[str, list[str]]:
    """The rows of the tables under a heading of docs/operate.md, by their first cell without its marks."""
    (part,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", OPERATE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    rows = [line.strip("|").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return {row[0].strip(" `*"): [cell.strip(" `*") for cell in row[1:]] for row in rows}


def of_purchase(function: str, column: str) -> float:
    """A measured figure of the table by function in docs/operate.md; ``function``: its folder, or ``all``."""
    table = operate("What it costs")
    return float(table[function][table["function"].index(column)])


def dollars_a_million() -> float:
    """What a million purchases cost, by the table of prices in docs/operate.md."""
    return float(operate("What it costs")["together, once"][-1])


def bytes_stored() -> float:
    """What a purchase leaves in the table, by the same."""
    (gigabytes,) = re.findall(r"^([\d.]+) GB", operate("What it costs")["stored, each month"][0])
    return float(gigabytes) * 1e9 / 1e6


def cpu_ms(bare_writes: float) -> float:
    """How many ms the CPU of so many bare writes takes with the share of a core that the functions' memory gives."""
    memory = {spec.memory_mb for spec in template().functions.values()}
    return bare_writes * BARE_WRITE_MS * VCPU_MB.value / min(memory)


def event_ms() -> float:
    """How long posting an event takes on average, in ms: a read, a transaction, and our CPU.

    A member in a sweep is read, settled and written as well, and is *assumed* to take as long.
    """
    return READ.mean + WRITE.mean + cpu_ms(units()["cpu of posting an event ÷ a bare write"])
