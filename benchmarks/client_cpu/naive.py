"""The naive build's posting, in a process of its own: its tracer patches botocore for everybody in its process.

``Naive`` runs it; each line that the process gets makes it post so many times, and it answers with the CPU seconds of
one posting, or with what went wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from benchmarks.client_cpu.wire import Wire
from benchmarks.figures import cpu_seconds
from benchmarks.naive import poster, tables
from local.functions import account
from tests.simulation.dynamodb import Model

ROOT = Path(__file__).resolve().parents[2]
AT = 1_795_342_500.0


class Naive:
    """The process, as long as the context lasts; ``operations`` are the requests of one posting."""

    def __init__(self, record: dict[str, Any], times: int) -> None:
        """Each sample posts the SQS ``record`` so many ``times``."""
        self._record = record
        self._times = times
        self.operations: list[str] = []

    def __enter__(self) -> Naive:
        command = [sys.executable, "-c", f"from {__name__} import serve; serve()"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        try:
            self.operations = self._ask({"record": self._record, "times": self._times})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def sample(self) -> float:
        """The CPU seconds of one posting."""
        seconds: float = self._ask({})
        return seconds

    def _ask(self, question: dict[str, Any]) -> Any:
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        print(json.dumps(question), file=asked, flush=True)
        answer = answers.readline()
        if not answer:
            raise RuntimeError("the naive build's process ended; what it said stands in the log")
        return json.loads(answer)


def serve(questions: IO[str] = sys.stdin, answers: IO[str] = sys.stdout) -> None:
    """Posts as it is asked to, until there is no more question."""
    asked = json.loads(questions.readline())
    record, times = asked["record"], asked["times"]
    model = Model(lambda: AT)
    for table in tables():
        model.create_table(**table)
    wire = Wire(model)
    with account({}), wire.installed():
        post = poster()
        post(_other(record))  # what is made at the first call, for which no other is recorded
        script = wire.record()
        answer = post(record)
        assert answer == {"batchItemFailures": []}, answer
        assert [each for each in script if each.operation.endswith("Item")], "nothing was written"
        print(json.dumps([each.operation for each in script]), file=answers, flush=True)
        for _ in questions:
            wire.play(script)
            seconds = cpu_seconds(lambda: post(record), times)
            assert wire.at_start(), "it asked for less than before"
            print(json.dumps(seconds), file=answers, flush=True)


def _other(record: dict[str, Any]) -> dict[str, Any]:
    """The same purchase by another event, of another order and member."""
    body = json.loads(record["body"])
    body["detail"] |= {"event_id": "e-first", "member_id": "m-first"}
    body["detail"]["data"]["order_id"] = "o-first"
    return {**record, "messageId": "first", "body": json.dumps(body)}
