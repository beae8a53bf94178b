"""The workflow on GitHub runs what `.ci/run` runs, may change nothing there, and takes no action that can be moved."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from local.template import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
# They run with the rights of the repository on code of anybody.
DANGEROUS_TRIGGERS = {"pull_request_target", "workflow_run", "issue_comment"}


def faults(text: str) -> Iterator[str]:
    """What is wrong in a workflow file: actions that aren't pinned, rights, triggers, steps that may fail."""
    for line in text.splitlines():
        if re.search(r"\buses:", line) and not PINNED.search(line.rstrip()):
            yield f"not pinned by digest, with its version: {line.strip()}"
    if re.search(r"\$\{\{[^}]*\bsecrets\b", text):
        yield "uses a secret"
    workflow: dict[Any, Any] = yaml.safe_load(text)
    triggers = workflow[True]  # YAML 1.1 reads `on` as true
    for trigger in DANGEROUS_TRIGGERS & set(triggers):
        yield f"is triggered by {trigger}"
    if workflow.get("permissions") != {"contents": "read"}:
        yield f"permissions: {workflow.get('permissions')}"
    for name, job in workflow["jobs"].items():
        if "permissions" in job:
            yield f"{name}: has permissions of its own"
        if not job.get("timeout-minutes"):
            yield f"{name}: may run for ever"
        for part in [job, *job["steps"]]:
            if part.get("continue-on-error") or "if" in part:
                yield f"{name}: may pass without having passed"
            if "${{" in str(part.get("run", "")):
                yield f"{name}: a command is made of what an event says"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_pinned_and_may_only_read(path) -> None:
    assert list(faults(path.read_text("utf-8"))) == []


def test_the_checks_are_those_of_ci_run_on_every_push_and_request() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text("utf-8"))
    (job,) = workflow["jobs"].values()

    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert set(workflow[True]) == {"push", "pull_request"}
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]


GOOD = """
on: {push: {}}
permissions: {contents: read}
jobs:
  j:
    timeout-minutes: 5
    steps:
      - uses: actions/checkout@0123456789abcdef0123456789abcdef01234567 # v1.2.3
      - run: .ci/run
"""


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("@0123456789abcdef0123456789abcdef01234567 # v1.2.3", "@v7", "not pinned"),
        (" # v1.2.3", "", "not pinned"),
        ("{contents: read}", "{contents: write}", "permissions"),
        ("{contents: read}", "write-all", "permissions"),
        ("permissions: {contents: read}", "", "permissions"),
        ("timeout-minutes: 5", "timeout-minutes: 5\n    permissions: {id-token: write}", "permissions of its own"),
        ("{push: {}}", "{pull_request_target: {}}", "triggered by pull_request_target"),
        ("timeout-minutes: 5", "runs-on: x", "for ever"),
        ("run: .ci/run", "run: .ci/run\n        continue-on-error: true", "without having passed"),
        ("run: .ci/run", "run: .ci/run ${{ github.head_ref }}", "what an event says"),
        ("run: .ci/run", "run: .ci/run\n        env: {T: '${{ secrets.T }}'}", "secret"),
    ],
)
def test_what_is_wrong_in_a_workflow_is_found(old: str, new: str, found: str) -> None:
    assert list(faults(GOOD)) == []
    assert old in GOOD
    assert found in "; ".join(faults(GOOD.replace(old, new)))
