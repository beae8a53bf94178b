"""What runs in the fresh process that `cold_start` measures: a function, or a bare client.

    python probe.py client ready|answer
    python probe.py app ready|answer EVENT calls|alone
    python probe.py app loaded|told EVENT calls|alone DESCRIPTOR

Standard library only, and as little of it as will do: whatever is loaded here is part of what is measured. The process
ends by `os._exit`, since taking an interpreter down is no part of a cold start.
"""

import os
import sys

NO_CALL = 3
"""The exit code of a function that was to make a call to AWS and made none."""


def bare_client(until: str) -> None:
    """The baseline: what needs AWS at all makes a client, and maybe reads an item that isn't there."""
    import boto3

    client = boto3.client("dynamodb")
    if until == "answer":
        client.get_item(TableName="table", Key={"pk": {"S": "M#m-42"}, "sk": {"S": "J~"}})
    os._exit(0)


class Context:
    """What Lambda tells of an invocation, as far as the handlers ask."""

    function_name = function_version = memory_limit_in_mb = invoked_function_arn = "cold-start"
    aws_request_id = "a1f6a0e5-4a7c-4a53-9d1c-7d1ac5a7f0ce"

    def get_remaining_time_in_millis(self) -> int:
        """Enough for anything."""
        return 60_000


def function(until: str, event_path: str, calls: bool) -> None:
    """The module ``app`` of the path, and its ``handler`` with an event.

    It is ready when it is about to make its first call to AWS; where it makes none, when it has answered. One that
    is to tell writes, as JSON to the descriptor, what it has loaded and spent by each moment: until it is ready
    (``loaded``), or until it has answered, with its answer (``told``).
    """
    said: dict[str, object] = {}
    tells = until in ("loaded", "told")

    def note(moment: str) -> None:
        if tells and moment not in said:
            import time

            said[moment] = {"cpu_seconds": time.process_time(), "modules": sorted(sys.modules)}

    app = __import__("app")  # beside the function's other files, and not here

    note("imported")
    import json

    def end(code: int = 0) -> None:
        if tells:
            with os.fdopen(int(sys.argv[5]), "w", encoding="utf-8") as out:
                json.dump(said, out)
        os._exit(code)

    with open(event_path, encoding="utf-8") as file:  # noqa: PTH123 - a function need not load pathlib
        event = json.load(file)
    if calls:
        # Who makes a call has loaded this by then; who makes none is not given it.
        from botocore.client import BaseClient

        make_call = BaseClient._make_api_call

        def first_call(client: object, operation: str, parameters: object) -> object:
            note("ready")
            if until in ("ready", "loaded"):
                end()
            return make_call(client, operation, parameters)

        BaseClient._make_api_call = first_call
    answer = app.handler(event, Context())
    if calls and until in ("ready", "loaded"):
        end(NO_CALL)
    note("ready")
    note("answered")
    said["answer"] = answer
    end()


if __name__ == "__main__":
    if sys.argv[1] == "client":
        bare_client(sys.argv[2])
    function(sys.argv[2], sys.argv[3], sys.argv[4] == "calls")
