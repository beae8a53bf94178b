"""Each built function with its layers, in a bare environment, behind Lambda's own bootstrap, fed with events/.

The emulator runs every function in its own interpreter, with its own packages in reach. Here is nothing in reach but
what was built; the deployed function's variables, its role and its table are the emulator's.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.template import ROOT, Template
from tests.deployed.building import REGION
from tests.deployed.club import Club
from tests.deployed.find_python import version
from tests.deployed.runtime_api import RUNTIME, BareFunction, Outcome, RuntimeApi

FUNCTIONS = sorted(spec.code.name for spec in Template(ROOT / "template.yaml").functions.values())
SAMPLES = sorted((ROOT / "events").glob("*.json"))


def samples(function: str) -> list[Path]:
    """The sample invocations of a function: their names begin with its folder's."""
    return [path for path in SAMPLES if path.stem == function or path.stem.startswith(f"{function}_")]


@pytest.fixture(scope="module", autouse=True)
def runtime(told: list[str]) -> None:
    if not RUNTIME.exists():
        pytest.skip("Lambda's bootstrap isn't here: make deployed-test")
    ask = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    running = subprocess.run([RUNTIME, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    line = f"the built functions ran in a bare environment on Python {running}"
    told.append(line if running.startswith(f"{version()}.") else f"{line}: THERE IS NO PYTHON {version()} HERE")


class Bare:
    """A function of the deployed stack, as it was built, outside the emulator."""

    def __init__(self, club: Club, function: str, folder: Path) -> None:
        spec = club.template.function(function)
        name = spec.logical_id
        configuration = club.configuration(name)
        (role,) = [role for role, of in club.roles().items() if of == name]
        self.api = RuntimeApi(configuration["FunctionArn"], configuration["Timeout"])
        task, opt = club.built.lay_out(name, folder)
        of_lambda = {
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_NAME": configuration["FunctionName"],
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration["MemorySize"]),
            "AWS_LAMBDA_LOG_GROUP_NAME": configuration["LoggingConfig"]["LogGroup"],
            "AWS_LAMBDA_LOG_STREAM_NAME": "bare",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration['Runtime']}",
            "AWS_ENDPOINT_URL": club.emulator.endpoint,
            **club.keys_of(role),
        }
        environment = {**configuration["Environment"]["Variables"], **of_lambda}
        self.function = BareFunction(self.api, task, opt, configuration["Handler"], environment)

    def stop(self) -> None:
        self.function.stop()
        self.api.close()


@pytest.fixture
def bare(club: Club, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bare]:
    started = Bare(club, request.param, tmp_path)
    yield started
    started.stop()


def is_good(sample: str, event: Any, outcome: Outcome) -> bool:
    """Whether an invocation came to a good end. Who and what a sample tells of need not be there."""
    if outcome.kind != "response":
        return False
    if "requestContext" in event:  # of the API
        return outcome.content["statusCode"] in {200, 202, 204, 404, 409}
    # Of a queue, of the stream, of a schedule. A chunk's run is in no table but its own, so the chunk is to come again.
    again = [each["messageId"] for each in event["Records"]] if sample.endswith("_sweep_chunk") else []
    return outcome.content == {"batchItemFailures": [{"itemIdentifier": each} for each in again]}


@pytest.mark.parametrize(("bare", "function"), [(name, name) for name in FUNCTIONS], indirect=["bare"], ids=FUNCTIONS)
def test_a_built_function_answers_its_samples(bare: Bare, function: str) -> None:
    assert samples(function), "there is no sample"
    for path in samples(function):
        event = json.loads(path.read_text("utf-8"))
        outcome = bare.api.invoke(event)
        assert is_good(path.stem, event, outcome), f"{path.name}: {outcome}\n{bare.function.said()}"


@pytest.mark.parametrize("bare", ["post_ledger"], indirect=True)
def test_what_a_function_cant_take_is_an_error_and_the_next_one_is_taken(bare: Bare) -> None:
    failed = bare.api.invoke({"Records": "none"})
    assert failed.kind == "error"
    assert re.fullmatch(r"[A-Za-z]+", failed.content["errorType"])
    assert bare.api.invoke({"Records": []}).kind == "response"


def test_every_sample_is_of_a_function() -> None:
    assert sorted(path for function in FUNCTIONS for path in samples(function)) == SAMPLES
