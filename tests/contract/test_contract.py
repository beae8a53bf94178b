"""Two thousand callers' stories in CI (contract 2): hypothesis makes them up, tests/contract/machine.py holds them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.contract.machine import START, Calls
from tests.contract.quick_stack import QuickStack, quick_stack

CHUNKS = 8
EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES") or 2000) // CHUNKS
STEPS = 10


@pytest.fixture(scope="module")
def stack() -> Iterator[QuickStack]:
    with quick_stack(START) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_callers_do_the_contract_holds(chunk: int, stack: QuickStack) -> None:
    machine = type(f"Calls{chunk}", (Calls,), {"stack": stack})
    if hypothesis.settings().derandomize:
        machine = hypothesis.seed(chunk)(machine)  # each chunk its own stories, and the same in every run
    settings = hypothesis.settings(max_examples=EXAMPLES, stateful_step_count=STEPS)
    run_state_machine_as_test(machine, settings=settings)
