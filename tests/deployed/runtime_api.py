"""Lambda's Runtime API on this machine, and a built function run behind it by Lambda's own bootstrap.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

HOST = "127.0.0.1"
BASE = "/2018-06-01/runtime"
RUNTIME = Path(__file__).resolve().parents[2] / ".venv-runtime" / "bin" / "python"
START_S = 30.0


class Outcome(NamedTuple):
    """What became of an invocation, or of the start: `kind` is "response", "error" or "init"."""

    kind: str
    content: Any


class RuntimeApi:
    """Hands out events, and takes what became of them. It listens until it is closed."""

    def __init__(self, function: str, timeout_s: int) -> None:
        """`function`: its ARN; `timeout_s`: how long it is told that it may take."""
        self._events: queue.Queue[bytes] = queue.Queue()
        self._outcomes: queue.Queue[Outcome] = queue.Queue()
        self._function, self._timeout_s = function, timeout_s
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                assert self.path == f"{BASE}/invocation/next", self.path
                self._answer(200, api._events.get(), api._headers())

            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"null")
                api._outcomes.put(Outcome(self.path.rsplit("/", 2)[-2 if "/init/" in self.path else -1], content))
                self._answer(202, b"", {})

            def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                """One write: the bootstrap's client waits for a second one for as long as Nagle lets it."""
                lines = [f"HTTP/1.1 {status} OK", f"content-length: {len(body)}"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                self.wfile.write("\r\n".join([*lines, "", ""]).encode() + body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
                """Say nothing."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.address = f"{HOST}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def invoke(self, event: Any) -> Outcome:
        """Hand out an event, and wait for what becomes of it. Raises queue.Empty where nothing does in time."""
        self._events.put(json.dumps(event).encode())
        return self._outcomes.get(timeout=START_S + self._timeout_s)

    def _headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self._timeout_s) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self._function,
        }


class BareFunction:
    """A function in a process of its own that has Lambda's variables, its own, and nothing of this machine's."""

    def __init__(self, api: RuntimeApi, task: Path, opt: Path, handler: str, environment: Mapping[str, str]) -> None:
        """`task` and `opt`: where its code and its layers lie, as /var/task and /opt."""
        self._log = task.parent / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [RUNTIME, "-m", "awslambdaric", handler],
                cwd=task,
                env={
                    "AWS_LAMBDA_RUNTIME_API": api.address,
                    "LAMBDA_TASK_ROOT": str(task),
                    "PYTHONPATH": str(opt / "python"),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "_HANDLER": handler,
                    "LANG": "C.UTF-8",
                    "TZ": ":UTC",
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        """What it wrote to its log."""
        return self._log.read_text("utf-8", "replace")

    def stop(self) -> None:
        """End it, as Lambda ends an environment that is not needed any more."""
        self._process.kill()
        self._process.wait()
