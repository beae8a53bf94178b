"""The arrows between the rooms run one way (architecture 3.1), and no room has what is not its own.

The checker reads the source and never imports it, so it sees an import wherever it stands: in a function,
under ``TYPE_CHECKING``, relative, or by name. It is tried on planted violations first, then on the real tree.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What layers/dependencies brings to a function, by import name. All else is there only where it is developed.
DEPLOYED = ("aws_lambda_powertools", "boto3", "botocore", "pynamodb")

# The rules compute: what reaches for a clock, for chance, for the outside or for a thread is not theirs.
NOT_PURE = frozenset(
    """
    asyncio concurrent ctypes fcntl fileinput ftplib getpass glob http imaplib importlib io locale
    logging mmap multiprocessing os pathlib pickle platform poplib pty random resource runpy sched
    secrets select selectors shelve shutil signal smtplib socket socketserver sqlite3 ssl subprocess
    sys sysconfig syslog tempfile threading time tty urllib uuid webbrowser xmlrpc
    """.split()  # noqa: SIM905 - one a line would be a page
)
NOT_PURE_BUILTINS = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"})

# The one module of the rules that reads files: the programs, which are data.
LOADER = "layers/rules/club_rules/programs.py"
LOADER_MAY = frozenset({"importlib", "pathlib"})

# Time is an input (rules 1.2): no room asks the machine what time it is. Measuring how long something took is
# no such question, nor is waiting before a retry.
CLOCK = frozenset(
    {
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "time.ctime",
        "time.gmtime",
        "time.localtime",
        "time.time",
        "time.time_ns",
    }
)
ENVIRONMENT = ("os.environ", "os.getenv")

HANDLER_LINES = 60  # an app.py has fewer
FUNCTION_LINES = 70  # a function has no more


class Room(NamedTuple):
    """A part of the repository, and which of the project's modules (and what is below them) it may import."""

    name: str
    may: tuple[str, ...]
    third_party: bool = True
    package: str = ""  # what relative imports start from; a function is no package


RULES = Room("rules", ("club_rules",), third_party=False, package="club_rules")
LEDGER = Room("ledger", ("club_ledger", "club_rules"), package="club_ledger")
HTTP = Room("http", ("club_http", "club_rules.errors"), package="club_http")
FUNCTIONS = Room("functions", ("club_http", "club_ledger", "club_rules"))
BUILD = Room("the build of the dependencies", (), third_party=False)  # whichever Python runs it has nothing else


class Use(NamedTuple):
    """A name from outside the file that a line uses, in full: ``datetime.datetime.now``."""

    name: str
    line: int
    imported: bool  # by an import statement (else: by an expression)
    at_import: bool  # runs when the module is imported, and not only when a function is called


def room_of(path: str) -> Room | None:
    """The room of a file, by its path from the root; None where no code should be."""
    match PurePosixPath(path).parts:
        case ("functions", _, "app.py") | ("functions", _, _):
            return FUNCTIONS
        case ("layers", "rules", "club_rules", *_):
            return RULES
        case ("layers", "ledger", "club_ledger", *_):
            return LEDGER
        case ("layers", "http", "club_http", *_):
            return HTTP
        case ("layers", "dependencies", "trim_data.py"):
            return BUILD
        case _:
            return None


class Reader(ast.NodeVisitor):
    """Collects the uses in one file."""

    def __init__(self, path: str, room: Room) -> None:
        self.room = room
        # layers/http/club_http/a/b.py -> club_http.a, the package that `from . import c` looks in
        self.package = list(PurePosixPath(path).parts[2:-1]) if room.package else []
        self.uses: list[Use] = []
        self.bound: dict[str, str] = {}  # a name in this file -> what it stands for
        self.depth = 0  # in how many functions

    def use(self, name: str, node: ast.AST, *, imported: bool = False) -> None:
        self.uses.append(Use(name, getattr(node, "lineno", 0), imported, self.depth == 0))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.use(alias.name, node, imported=True)
            self.bound[alias.asname or alias.name.split(".")[0]] = (
                alias.name if alias.asname else alias.name.split(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            kept = len(self.package) - (node.level - 1)
            above = [".."] if kept <= 0 else self.package[:kept]
            base = ".".join([*above, *filter(None, [base])])
        for alias in node.names:
            name = base if alias.name == "*" else f"{base}.{alias.name}"
            self.use(name, node, imported=True)
            self.bound[alias.asname or alias.name] = name

    def visit_Call(self, node: ast.Call) -> None:
        if self.full_name(node.func) in {"importlib.import_module", "builtins.__import__"}:
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    self.use(name, node, imported=True)
                case _:
                    self.use("?", node, imported=True)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self.full_name(node)
        if name:
            self.use(name, node)
        else:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        name = self.full_name(node)
        if name:
            self.use(name, node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        # decorators, defaults and annotations are worked out at import, the body when it is called
        body = node.body if isinstance(node.body, list) else [node.body]
        for child in ast.iter_child_nodes(node):
            if child not in body:
                self.visit(child)
        self.depth += 1
        for child in body:
            self.visit(child)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the names that NodeVisitor calls
    visit_Lambda = visit_FunctionDef  # noqa: N815

    def full_name(self, node: ast.AST) -> str | None:
        """What a name or a chain of attributes stands for, if it starts at an import or is a builtin."""
        match node:
            case ast.Name(id=name) if name in self.bound:
                return self.bound[name]
            case ast.Name(id=name) if name in NOT_PURE_BUILTINS:
                return f"builtins.{name}"
            case ast.Attribute(value=value, attr=attr):
                base = self.full_name(value)
                return f"{base}.{attr}" if base else None
            case _:
                return None


def within(name: str, roots: tuple[str, ...] | frozenset[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def check_import(path: str, room: Room, name: str, siblings: frozenset[str]) -> str | None:
    """What is wrong with an import in a file of the room, or None."""
    top = name.split(".", 1)[0]
    if name == "?":
        return "imports a module whose name is not written down"
    if top in sys.stdlib_module_names:
        allowed = LOADER_MAY if path == LOADER else frozenset()
        if room is RULES and top in NOT_PURE and top not in allowed:
            return f"the rules import {name}: no clock, no chance, no I/O"
        return None
    if within(name, room.may) or top in siblings or (room.third_party and within(name, DEPLOYED)):
        return None
    return f"{room.name} may not import {name}"


def check_use(path: str, room: Room, use: Use) -> str | None:
    """What is wrong with an expression in a file of the room, or None."""
    if within(use.name, CLOCK):
        return f"asks the machine for the time: {use.name}"
    if use.at_import and within(use.name, ENVIRONMENT):
        return f"reads the environment at import: {use.name}"
    if room is RULES and use.name.startswith("builtins.") and path != LOADER:
        return f"the rules use {use.name.removeprefix('builtins.')}: no clock, no chance, no I/O"
    return None


def check_sizes(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    lines = len(source.splitlines())
    if path.endswith("/app.py") and lines >= HANDLER_LINES:
        yield f"{path}: a handler has fewer than {HANDLER_LINES} lines, this file has {lines}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            long = (node.end_lineno or node.lineno) - node.lineno + 1
            if long > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {long} lines, at most {FUNCTION_LINES}"


def check_source(path: str, source: str, siblings: frozenset[str] = frozenset()) -> list[str]:
    """What is wrong with a file, a line each; `siblings` are the modules in the folder of a function."""
    room = room_of(path)
    if room is None:
        return [f"{path}: no room has code here"]
    tree = ast.parse(source, path)
    reader = Reader(path, room)
    reader.visit(tree)
    found = []
    for use in reader.uses:
        fault = check_import(path, room, use.name, siblings) if use.imported else check_use(path, room, use)
        if fault:
            found.append(f"{path}:{use.line}: {fault}")
    return list(dict.fromkeys([*found, *check_sizes(path, source, tree)]))


def files_of(root: Path) -> list[str]:
    """Every Python file of the functions and the layers, as a path from the root."""
    return sorted(
        path.relative_to(root).as_posix() for room in ("functions", "layers") for path in (root / room).rglob("*.py")
    )


def check_tree(root: Path) -> list[str]:
    found = []
    for path in files_of(root):
        beside = frozenset(file.stem for file in (root / path).parent.glob("*.py") if path.startswith("functions/"))
        found += check_source(path, (root / path).read_text("utf-8"), beside - {"app"})
    return found


RULES_FILE = "layers/rules/club_rules/tiers.py"
LEDGER_FILE = "layers/ledger/club_ledger/posting.py"
HTTP_FILE = "layers/http/club_http/claims.py"
HANDLER = "functions/post_ledger/app.py"


@pytest.mark.parametrize(
    ("path", "source", "said"),
    [
        # rules -> nothing
        (RULES_FILE, "import club_ledger", "rules may not import club_ledger"),
        (RULES_FILE, "from club_http.problems import Problem", "rules may not import club_http"),
        (RULES_FILE, "import boto3", "rules may not import boto3"),
        (RULES_FILE, "from pynamodb.models import Model", "rules may not import pynamodb"),
        (RULES_FILE, "def f():\n    from botocore import session", ":2: rules may not import botocore"),
        (RULES_FILE, "import os", "the rules import os"),
        (RULES_FILE, "from random import choice", "the rules import random"),
        (RULES_FILE, "import time", "the rules import time"),
        (RULES_FILE, "from urllib import request", "the rules import urllib"),
        (RULES_FILE, "from pathlib import Path", "the rules import pathlib"),
        (RULES_FILE, "open('x')", "the rules use open"),
        (RULES_FILE, "print('x')", "the rules use print"),
        (RULES_FILE, "f = eval", "the rules use eval"),
        (LOADER, "import os", "the rules import os"),
        (LOADER, "import importlib\nimportlib.import_module('club_http')", "rules may not import club_http"),
        # ledger -> rules
        (LEDGER_FILE, "import club_http", "ledger may not import club_http"),
        (LEDGER_FILE, "from local import stack", "ledger may not import local"),
        (LEDGER_FILE, "import moto", "ledger may not import moto"),
        (LEDGER_FILE, "import functions.post_ledger.app", "ledger may not import functions"),
        (LEDGER_FILE, "from ... import club_http", "ledger may not import .."),
        # http -> the errors of the rules
        (HTTP_FILE, "import club_rules", "http may not import club_rules"),
        (HTTP_FILE, "from club_rules import money", "http may not import club_rules.money"),
        (HTTP_FILE, "from club_rules import *", "http may not import club_rules"),
        (HTTP_FILE, "import club_rules.errors_of_others", "http may not import club_rules.errors_of_others"),
        (HTTP_FILE, "from club_ledger.posting import post", "http may not import club_ledger"),
        (
            HTTP_FILE,
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import club_ledger",
            ":3: http may not import club_ledger",
        ),
        # functions -> http, ledger, rules
        (HANDLER, "from functions.expiry_sweep.app import handler", "functions may not import functions"),
        (HANDLER, "import app", "functions may not import app"),
        (HANDLER, "from . import other", "functions may not import .."),
        (HANDLER, "import local", "functions may not import local"),
        (HANDLER, "from tests.oracle import oracle", "functions may not import tests"),
        (
            HANDLER,
            "from importlib import import_module\nimport_module('local')",
            "functions may not import local",
        ),
        (
            HANDLER,
            "import importlib\nimportlib.import_module(name)",
            "a module whose name is not written down",
        ),
        (HANDLER, "__import__('local.stack')", "functions may not import local"),
        (HANDLER, "import requests", "functions may not import requests"),
        # time is an input, everywhere
        (
            RULES_FILE,
            "from datetime import datetime\nNOW = datetime.now()",
            ":2: asks the machine for the time",
        ),
        (
            RULES_FILE,
            "import datetime as d\ndef f(x=d.date.today):\n    pass",
            ":2: asks the machine for the time",
        ),
        (
            LEDGER_FILE,
            "from datetime import UTC, datetime as at\nat.now(UTC)",
            "asks the machine for the time",
        ),
        (LEDGER_FILE, "from time import time\ndef f():\n    return time()", "asks the machine for the time"),
        (HTTP_FILE, "import time\nf = lambda: time.time_ns()", "asks the machine for the time"),
        (HANDLER, "import datetime\ndatetime.datetime.utcnow()", "asks the machine for the time"),
        # the environment is read when it is first needed
        (HANDLER, "import os\nTABLE = os.environ['TABLE_NAME']", "reads the environment at import"),
        (
            HANDLER,
            "from os import environ as e\nclass A:\n    t = e.get('T')",
            "reads the environment at import",
        ),
        (LEDGER_FILE, "import os\ndef f(t=os.getenv('T')):\n    pass", "reads the environment at import"),
        (
            LEDGER_FILE,
            "import os\n@g(os.environ['T'])\ndef f():\n    pass",
            "reads the environment at import",
        ),
        # size
        (HANDLER, "x = 1\n" * 60, "fewer than 60 lines, this file has 60"),
        (RULES_FILE, "def f():\n" + "    x = 1\n" * 70, "f has 71 lines"),
        (HTTP_FILE, "class A:\n  async def f(self):\n" + "    x = 1\n" * 70, "f has 71 lines"),
        # the build of the dependencies has what every Python has
        (
            "layers/dependencies/trim_data.py",
            "import botocore.loaders",
            "the build of the dependencies may not import botocore.loaders",
        ),
        # a place
        ("layers/dependencies/helpers.py", "", "no room has code here"),
        ("layers/rules/helpers.py", "", "no room has code here"),
        ("layers/club_rules/tiers.py", "", "no room has code here"),
        ("functions/app.py", "", "no room has code here"),
    ],
)
def test_a_planted_violation_is_named(path: str, source: str, said: str) -> None:
    found = check_source(path, source)
    assert len(found) == 1, found
    assert found[0].startswith(path)
    assert said in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (RULES_FILE, "from __future__ import annotations\nimport json, re\nfrom zoneinfo import ZoneInfo"),
        (
            RULES_FILE,
            "from club_rules.errors import ClubError\nfrom . import money\nfrom .money import parse",
        ),
        (
            RULES_FILE,
            "from datetime import datetime, timedelta\ndef f(now: datetime):\n    return now.date()",
        ),
        (RULES_FILE, "def f(clock):\n    return clock.now()"),
        (LOADER, "from importlib import resources\nfrom pathlib import Path\nopen(Path(__file__))"),
        (
            LEDGER_FILE,
            "import random, time\nimport boto3\nfrom pynamodb.models import Model\nimport club_rules.money",
        ),
        (LEDGER_FILE, "import time\ndef f():\n    time.sleep(time.monotonic())"),
        (LEDGER_FILE, "import os\ndef f():\n    return os.environ['TABLE_NAME']"),
        (LEDGER_FILE, "import os\nf = lambda: os.environ['TABLE_NAME']"),
        (
            HTTP_FILE,
            "import club_rules.errors\nfrom club_rules import errors\nfrom club_rules.errors import Refused",
        ),
        (
            HANDLER,
            "from club_http import problems\nfrom club_ledger import post\nfrom club_rules import money",
        ),
        (HANDLER, "from aws_lambda_powertools.utilities.batch import BatchProcessor"),
        (HANDLER, "x = 1\n" * 59),
        (RULES_FILE, "def f():\n" + "    x = 1\n" * 69),
    ],
)
def test_what_is_allowed_is_let_through(path: str, source: str) -> None:
    assert check_source(path, source) == []


def test_a_file_planted_anywhere_in_the_tree_is_found(tmp_path: Path) -> None:
    planted = [
        "functions/one/app.py",
        "layers/http/club_http/deep/down.py",
        "layers/rules/club_rules/tiers.py",
    ]
    for path in [*planted, "functions/two/app.py", "local/stack.py"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("import club_ledger\n")
    (tmp_path / "functions/one/app.py").write_text("import one_of_its_own, functions.two.app\n")
    (tmp_path / "functions/one/one_of_its_own.py").write_text("import club_rules\n")
    (tmp_path / "functions/two/app.py").write_text("import club_rules\n")

    found = check_tree(tmp_path)

    assert [line.split(":")[0] for line in found] == planted


@pytest.mark.parametrize(
    "room", ["functions/", *(f"layers/{name}/club_{name}/" for name in ("rules", "ledger", "http"))]
)
def test_every_room_is_looked_into(room: str) -> None:
    assert [path for path in files_of(ROOT) if path.startswith(room)], f"no code found under {room}"


def test_the_arrows_hold() -> None:
    found = check_tree(ROOT)
    assert not found, "\n".join(found)
