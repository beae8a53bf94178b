"""Cold starts: the CPU of a fresh process of each built function, beside one that makes a bare client of DynamoDB.

What is run is what `sam build` makes of the template, with its layers and variables and nothing else in reach, on a
Python of its runtime. What Lambda's own bootstrap takes, and fetching the code, are in none of the compared; nor is
TLS, since what answers the first calls is on this machine.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import benchmarks.naive as naive_build
from benchmarks.cold_start.aws import Answer, CannedAws, canned_aws, sent
from benchmarks.cold_start.process import ROOT, Fresh, compile_all, install, runtime
from benchmarks.figures import RATIO, Figure, Missing, Progress, in_turn, ratio
from local.template import FunctionSpec, Template
from tests.deployed.building import SAM, Built, build, snapshot
from tests.deployed.find_python import version
from tests.simulation.dynamodb import Model

ROUNDS = 15
TOLD = 3
BARE_EVERY = 4

BUDGETS = {
    "post_ledger": (1.05, 0.90),
    "ingest_activity": (1.05, 0.90),
    "expedited_refund": (1.10, 1.00),
    "dispute_acceleration": (1.10, 1.00),
}
OTHERS = (1.40, 1.20)
"""Of a cold start, and what would be better still: architecture 3.4."""

MODULES_BUDGET, MODULES_STRETCH = 450, 410
"""Of post_ledger: architecture 3.4."""

MODULES = {
    "demotion_sweep": 430,
    "dispute_acceleration": 430,
    "expedited_refund": 430,
    "expiry_sweep": 430,
    "ingest_activity": 395,
    "member_admin": 435,
    "member_api": 440,
    "post_ledger": 430,
    "price_alerts": 435,
    "privilege_centre": 185,
    "publish_changes": 440,
    "reward_sweep": 430,
}
"""How many modules each function may have loaded when it is ready: about ten more than it has, since Pythons differ.

tests/unit/test_import_budgets.py holds the functions to it. One module is about a five-hundredth of a cold start.
"""

BARE, NAIVE = "bare client", "naive build"

NOW_S = 1_795_342_500.0  # the samples'
REGISTERED = {"member_id": "m-42", "type": "member.registered", "occurred_at": "2025-01-01T00:00:00Z", "data": {}}
BOUGHT = {
    "member_id": "m-42",
    "type": "order.completed",
    "occurred_at": "2026-10-01T10:00:00Z",
    "data": {
        "order_id": "o-900",
        "currency": "USD",
        "lines": [{"item_id": "i-1", "seller_id": "s-1", "category": "toys", "unit_price": "30.00", "quantity": 1}],
        "flags": [],
    },
}


class Unanswered(Exception):
    """A function didn't do what its sample is about, so that its figures would be those of something else."""


@dataclass
class Subject:
    """What is measured: the process, and what AWS answers it."""

    fresh: Fresh
    script: list[Answer]

    def cost(self, aws: CannedAws, until: str) -> float:
        """The CPU seconds of a new process until it is "ready", or has given its "answer". Raises ``Unanswered``."""
        aws.replay(self.script)
        spent = self.fresh.until(until).cpu_seconds()
        if aws.trouble:
            raise Unanswered(f"{self.fresh.arguments}: {'; '.join(aws.trouble)}")
        return spent


def measure(progress: Progress) -> list[Figure]:
    """The cold starts of every function, and of the naive build, as multiples of the bare client's.

    Raises ``Missing`` where the SAM CLI or a package isn't here, ``Unanswered`` or ``process.Failed`` where
    a function doesn't do its work.
    """
    with tempfile.TemporaryDirectory(prefix="cold-start-") as name:
        scratch = Path(name)
        progress.step(0, ROUNDS, "sam build")
        functions = Functions(scratch)
        model = Model(lambda: NOW_S)
        for parameters in (*(each.create for each in functions.template.tables.values()), *naive_build.tables()):
            model.create_table(**parameters)
        with canned_aws(model) as aws:
            progress.step(0, ROUNDS, "every function once")
            subjects = recorded(functions, aws)
            subjects[NAIVE] = record(naive(scratch, functions.python, functions.purchase), aws)
            subjects[BARE] = bare(scratch, functions.python, aws)
            samples = sampled(subjects, aws, progress)
            told = {each: tell(subject, aws) for each, subject in subjects.items() if each != BARE}
            told[BARE] = {"imports, milliseconds by package": subjects[BARE].fresh.import_milliseconds()}
    there_is = (
        f"Python {version()}, the functions' own" if functions.as_on_lambda else f"THERE IS NO PYTHON {version()} HERE"
    )
    progress.keep("run on", there_is)
    progress.keep("CPU seconds of each process, in the order of the rounds", samples)
    progress.keep("what the time goes to", told)
    return figures(samples, {each: len(of["modules"]) for each, of in told.items() if each != BARE})


def sampled(subjects: Mapping[str, Subject], aws: CannedAws, progress: Progress) -> dict[str, list[float]]:
    """The CPU seconds of each subject by "NAME: ready" and "NAME: answer", all in turn.

    The baseline takes more turns than one in a round: every ratio hangs on it.
    """
    measured: dict[str, Callable[[], float]] = {}
    for until in ("ready", "answer"):
        for place, (name, subject) in enumerate(subjects.items()):
            measured[f"{name}: {until}"] = partial(subject.cost, aws, until)
            if place % BARE_EVERY == 0:
                measured[f"{BARE}: {until} {place}"] = partial(subjects[BARE].cost, aws, until)
    samples = in_turn(measured, ROUNDS, progress)
    for until in ("ready", "answer"):
        baseline = samples[f"{BARE}: {until}"]
        for name in [each for each in samples if each.startswith(f"{BARE}: {until} ")]:
            baseline += samples.pop(name)
    return samples


def figures(samples: Mapping[str, list[float]], modules: Mapping[str, int]) -> list[Figure]:
    """What the samples of `measure` come to, the budgets beside them."""
    found = []
    for name in modules:
        budget, stretch = (None, None) if name == NAIVE else BUDGETS.get(name, OTHERS)
        found.append(Figure(name, ratio(samples, f"{name}: ready", f"{BARE}: ready"), RATIO, budget, stretch))
    for name in modules:
        value = ratio(samples, f"{name}: answer", f"{BARE}: answer")
        found.append(Figure(f"{name}, first answer", value, RATIO))
    for name, count in modules.items():
        limits = (MODULES_BUDGET, MODULES_STRETCH) if name == "post_ledger" else (MODULES.get(name), None)
        found.append(Figure(f"{name}, modules loaded", count, "modules", *limits))
    return found


class Functions:
    """The built functions: what each of them is as a process. Raises ``Missing`` without the SAM CLI."""

    def __init__(self, scratch: Path) -> None:
        if not SAM.exists():
            raise Missing("the SAM CLI isn't here: make .venv-sam/.ready")
        self.python = runtime()
        self.template = Template(ROOT / "template.yaml", {"TokenIssuer": "https://tokens.example", "LogLevel": "INFO"})
        self._scratch = scratch
        (source := scratch / "source").mkdir()
        self._built: Built = build(scratch / "built", snapshot(source))
        self.as_on_lambda = all(layer.compiled for layer in self._built.layers.values())
        self._laid_out: dict[tuple[str, ...], Path] = {}
        self.purchase = scratch / "purchase.json"
        batch = json.loads((ROOT / "events" / "post_ledger.json").read_text("utf-8"))
        self.purchase.write_text(json.dumps({"Records": batch["Records"][:1]}))

    def process(self, spec: FunctionSpec, event: Path | None = None) -> Fresh:
        """A function with an ``event``, or the sample that is called like it."""
        layers = tuple(layer.name for layer in self._built.layers_of(spec.logical_id))
        if layers not in self._laid_out:
            _, opt = self._built.lay_out(spec.logical_id, self._scratch / f"layers-{len(self._laid_out)}")
            if not self.as_on_lambda:
                compile_all(opt, self.python)
            self._laid_out[layers] = opt / "python"
        task = self._built.functions[spec.logical_id].folder
        sample = event or (self.purchase if spec.code.name == "post_ledger" else None)
        return process_of(spec, (task, self._laid_out[layers]), self.python, sample)


def process_of(spec: FunctionSpec, path: tuple[Path, ...], python: Path, event: Path | None = None) -> Fresh:
    """A function whose code lies first on ``path``, with an ``event``, or the sample that is called like it."""
    sample = event or ROOT / "events" / f"{spec.code.name}.json"
    actions = [action for statement in spec.statements for action in statement.actions]
    calls = any(action.startswith(("dynamodb:", "sqs:", "events:")) for action in actions)
    arguments = ("app", "ready", str(sample), "calls" if calls else "alone")
    return Fresh(arguments, path, spec.environment, path[0], python)


def bare(scratch: Path, python: Path, aws: CannedAws) -> Subject:
    """The baseline: boto3 as pip installs it, in the functions' version and all of it compiled."""
    folder = scratch / "boto3"
    install(("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"), folder)
    compile_all(folder, python)
    fresh = Fresh(("client", "ready"), (folder,), {"AWS_ENDPOINT_URL": aws.url}, folder, python)
    return Subject(fresh, [sent("DynamoDB_20120810.GetItem", {})])


def naive(scratch: Path, python: Path, event: Path) -> Fresh:
    """The naive build with the same purchase, its packages compiled as well. Raises ``Missing`` without them."""
    task, packages = scratch / "naive", scratch / "naive-packages"
    task.mkdir()
    shutil.copy(naive_build.FOLDER / "app.py", task)
    shutil.copytree(naive_build.packages(), packages)
    compile_all(packages, python)
    variables = {**naive_build.variables(), "POWERTOOLS_LOG_LEVEL": "INFO"}
    return Fresh(("app", "ready", str(event), "calls"), (task, packages), variables, task, python)


def recorded(functions: Functions, aws: CannedAws) -> dict[str, Subject]:
    """Every function by its folder's name. What posts comes first, so that the others find the member and the order."""
    by_name = {spec.code.name: spec for spec in functions.template.functions.values()}
    posting = by_name.pop("post_ledger")
    seed = functions.purchase.with_name("seed.json")
    records = json.loads(functions.purchase.read_text("utf-8"))["Records"]
    seed.write_text(json.dumps({"Records": [_record(records[0], n, e) for n, e in enumerate((REGISTERED, BOUGHT))]}))
    record(functions.process(posting, seed), aws)
    subjects = {"post_ledger": record(functions.process(posting), aws)}
    return subjects | {name: record(functions.process(spec), aws) for name, spec in sorted(by_name.items())}


def _record(like: Mapping[str, Any], number: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A record of the queue with another event."""
    detail = {"event_id": f"seed-{number}", **fields}
    body = {"source": "marketplace", "detail-type": detail.pop("type"), "detail": detail}
    return {**like, "messageId": f"seed-{number}", "body": json.dumps(body)}


def record(fresh: Fresh, aws: CannedAws) -> Subject:
    """Lets a process run through, with the table's model behind it. Raises ``Unanswered`` where that is no success."""
    fresh = replace(fresh, variables={**fresh.variables, "AWS_ENDPOINT_URL": aws.url})
    script = aws.record()
    answer = fresh.told()["answer"]
    if aws.trouble or answer.get("batchItemFailures") or answer.get("statusCode", 200) >= 300:
        raise Unanswered(f"{fresh.arguments}: {aws.trouble} {answer}")
    return Subject(fresh, list(script))


def tell(subject: Subject, aws: CannedAws) -> dict[str, Any]:
    """What a cold start goes to: how far it is at each moment, by package what its imports take, and its modules."""
    runs = []
    for _ in range(TOLD):
        aws.replay(subject.script)
        runs.append(subject.fresh.told())
    moments = ("imported", "ready", "answered")
    return {
        "CPU seconds since the process began": {
            moment: round(median(run[moment]["cpu_seconds"] for run in runs), 4) for moment in moments
        },
        "imports, milliseconds by package": subject.fresh.import_milliseconds(),
        "modules": runs[0]["ready"]["modules"],
    }
