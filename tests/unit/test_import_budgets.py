"""What a function loads before its first call to AWS is bounded: every module is a part of a cold start.

Each runs in a process of its own that sees its folder, the layers, and of what is installed here the pinned packages.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.cold_start import MODULES, process_of
from benchmarks.cold_start.process import link, pinned
from local.template import ROOT, Template

TEMPLATE = Template(ROOT / "template.yaml")
BY_NAME = {spec.code.name: spec for spec in TEMPLATE.functions.values()}

NOWHERE = {
    "boto3": "botocore's session makes a client without it",
    "s3transfer": "it comes with boto3",
    "aws_lambda_powertools.event_handler": "the gateway has chosen the route",
    "aws_lambda_powertools.utilities.batch": "a list of what is to come again is all that it makes",
    "aws_lambda_powertools.utilities.idempotency": "an entry's key is what makes a repeat harmless",
    "aws_lambda_powertools.utilities.parser": "it brings pydantic",
    "aws_lambda_powertools.utilities.validation": "it brings a JSON schema",
    "unittest": "it is for tests",
}
WITHOUT_TABLE = {"pynamodb": "the table is not its", "club_ledger": "the table is not its"}
NOT_IN = {
    "ingest_activity": WITHOUT_TABLE,
    "privilege_centre": {**WITHOUT_TABLE, "botocore.session": "it calls nobody"},
}
"""By function and module, why it is not to be loaded; what lies below the module is meant as well."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the dependencies' layer holds."""
    folder = tmp_path_factory.mktemp("packages")
    link(pinned(), folder)
    return folder


def loaded(name: str, packages: Path, code: Path | None = None) -> list[str]:
    """The modules of a function that is ready, of its folder or of other ``code``."""
    spec = BY_NAME[name]
    path = (code or spec.code, *(layer for layer in spec.layers if layer.name != "dependencies"), packages)
    found: list[str] = process_of(spec, path, Path(sys.executable)).told("loaded")["ready"]["modules"]
    return found


def faults(name: str, modules: list[str]) -> list[str]:
    """What is wrong with what a function loads."""
    unwanted = {**NOWHERE, **NOT_IN.get(name, {})}
    found = [
        f"{each}: {why}" for each, why in unwanted.items() if any(f"{one}.".startswith(f"{each}.") for one in modules)
    ]
    if len(modules) > MODULES[name]:
        tops = Counter(module.partition(".")[0] for module in modules)
        of_others = {top: count for top, count in tops.most_common() if top not in sys.stdlib_module_names}
        found.append(
            f"{len(modules)} modules, and {MODULES[name]} are allowed. Without the standard library: {of_others}"
        )
    return found


def test_every_function_has_a_budget() -> None:
    assert set(MODULES) == set(BY_NAME)
    assert set(NOT_IN) <= set(BY_NAME)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_function_loads_no_more_than_it_may(name: str, packages: Path) -> None:
    assert faults(name, loaded(name, packages)) == []


@pytest.mark.parametrize(
    ("added", "fault"),
    [
        ("import boto3", "boto3: botocore's session"),
        ("import unittest.mock", "unittest: it is for tests"),
        ("import asyncio, xmlrpc.server, sqlite3", "are allowed"),
    ],
)
def test_an_import_that_is_added_is_seen(added: str, fault: str, packages: Path, tmp_path: Path) -> None:
    code = shutil.copytree(BY_NAME["privilege_centre"].code, tmp_path / "task")
    app = code / "app.py"
    app.write_text(app.read_text("utf-8").replace("\nimport documents\n", f"\n{added}\nimport documents\n"), "utf-8")
    assert any(fault in each for each in faults("privilege_centre", loaded("privilege_centre", packages, code)))
