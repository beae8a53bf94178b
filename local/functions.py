"""Lambda, as far as a function can tell: its module, its environment, its context, and what comes of an error."""

import importlib.util
import json
import os
import sys
import threading
import time
import traceback
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TextIO

from local.swapping import swapped
from local.template import REGION, FunctionSpec

Handler = Callable[[Any, Any], Any]


class FunctionError(Exception):
    """A function raised, or gave something that is not JSON. The cause is chained."""


class LambdaContext:
    """What a handler gets as its second argument."""

    function_version = "$LATEST"
    identity = None
    client_context = None
    log_stream_name = "local"

    def __init__(self, spec: FunctionSpec, request_id: str | None = None) -> None:
        self.function_name = spec.name
        self.invoked_function_arn = spec.arn
        self.memory_limit_in_mb = str(spec.memory_mb)
        self.aws_request_id = request_id or str(uuid.uuid4())
        self.log_group_name = f"/aws/lambda/{spec.name}"
        self._ends = time.monotonic() + spec.timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """Give the milliseconds that are left before the function's timeout, by the machine's clock."""
        return max(0, int((self._ends - time.monotonic()) * 1000))


class Runtime:
    """Runs functions one at a time, each as its template has it.

    One at a time, because the environment belongs to the process, and because moto is not safe for threads.
    `log` takes what functions print; the stack's own output is not theirs.
    """

    def __init__(self, specs: Mapping[str, FunctionSpec], log: TextIO) -> None:
        self._specs = specs
        self._log = log
        self._handlers: dict[str, Handler] = {}
        self.running: FunctionSpec | None = None

    def invoke(self, spec: FunctionSpec, event: Any, request_id: str | None = None) -> Any:
        """Call a function and give its answer; an invocation that is repeated keeps its id. Raises FunctionError."""
        with self.environment(spec), unhurried():
            outer, self.running = self.running, spec
            stdout, sys.stdout = sys.stdout, self._log
            try:
                answer = self.handler(spec)(event, LambdaContext(spec, request_id))
                if answer is not None:
                    json.dumps(answer)  # Lambda hands on JSON and nothing else
                return answer
            except Exception as error:
                self._log.write("".join(traceback.format_exception(error)))
                raise FunctionError(f"{spec.code.name}: {type(error).__name__}: {error}") from error
            finally:
                sys.stdout = stdout
                self.running = outer

    def handler(self, spec: FunctionSpec) -> Handler:
        """Load a function the first time it is needed."""
        if spec.arn not in self._handlers:
            module_name, _, attribute = spec.handler.rpartition(".")
            self._handlers[spec.arn] = getattr(_load(spec, module_name), attribute)
        return self._handlers[spec.arn]

    @contextmanager
    def environment(self, spec: FunctionSpec) -> Iterator[None]:
        """Apply a function's environment while the context lasts."""
        wanted = {
            **spec.environment,
            "AWS_LAMBDA_FUNCTION_NAME": spec.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
            "_HANDLER": spec.handler,
        }
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def failed_ids(answer: Any, ids: set[str], partial: bool) -> set[str]:
    """Read a partial batch answer as Lambda does: empty is success, what cannot be understood is failure."""
    if not partial or answer in (None, "", {}):
        return set()
    if not isinstance(answer, dict):
        return ids
    items = answer.get("batchItemFailures")
    if not items:
        return set()
    named: set[Any] = {item.get("itemIdentifier") if isinstance(item, dict) else None for item in items}
    # Who names one that was not in the batch is not believed.
    return ids if named - ids else named


def done_in_order(answer: Any, batch: list[dict[str, Any]], partial: bool) -> int:
    """Say how many of a stream's records are done: those before the first that is named."""
    numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
    failed = failed_ids(answer, set(numbers), partial)
    return next((index for index, number in enumerate(numbers) if number in failed), len(numbers))


@contextmanager
def unhurried() -> Iterator[None]:
    """Let this thread's waits pass at once, and count as time that has gone by.

    A function that waits before it tries again loses its own time, and keeps nobody else waiting: with a store that
    fails every time, a drain would otherwise take minutes.
    """
    thread, waited = threading.get_ident(), 0.0
    sleep, monotonic = time.sleep, time.monotonic

    def pass_at_once(seconds: float, /) -> None:
        nonlocal waited
        if threading.get_ident() == thread:
            waited += seconds
        else:
            sleep(seconds)

    def with_waits() -> float:
        return monotonic() + (waited if threading.get_ident() == thread else 0.0)

    with swapped([(time, "sleep", pass_at_once), (time, "monotonic", with_waits)]):
        yield


@contextmanager
def account(specs: Mapping[str, FunctionSpec]) -> Iterator[None]:
    """Stand in for the account: credentials that open nothing, a region, and none of the machine's own settings.

    What the machine's environment says of AWS, and of the names that functions read, is out of sight meanwhile: a
    function that asks for a variable which its template does not give must fail here as it would there.
    """
    functions_names = {name for spec in specs.values() for name in spec.environment}
    hidden = [name for name in os.environ if name.startswith("AWS_") or name in functions_names]
    before = {name: os.environ.pop(name) for name in hidden}
    ours = {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",  # opens nothing: nothing leaves the process
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
        os.environ.update(before)


def forget(specs: Mapping[str, FunctionSpec]) -> None:
    """Clear what the functions' modules, and those of their layers, have remembered with functools.cache.

    A new stack is a new deployment. What a process has kept of the old one (a table's name, say) must not reach it.
    """
    folders = tuple({f"{folder}{os.sep}" for spec in specs.values() for folder in (spec.code, *spec.layers)})
    for module in list(sys.modules.values()):
        if str(getattr(module, "__file__", None) or "").startswith(folders):
            for value in list(vars(module).values()):
                if callable(value) and hasattr(value, "cache_clear"):
                    value.cache_clear()


def _load(spec: FunctionSpec, module_name: str) -> ModuleType:
    """Import a function's module under a name of its own, with its folder and its layers on the path, as on Lambda."""
    path = spec.code / f"{module_name.replace('.', '/')}.py"
    for folder in (*reversed(spec.layers), spec.code):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    # Every function's module is called app: the folder sets them apart, and one template's from another's.
    unique = f"_function_{zlib.crc32(str(path).encode())}_{spec.code.name}"
    description = importlib.util.spec_from_file_location(unique, path)
    if description is None or description.loader is None or not path.exists():
        raise FileNotFoundError(f"{spec.logical_id}: there is no {path}")
    module = importlib.util.module_from_spec(description)
    sys.modules[unique] = module
    try:
        description.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module
