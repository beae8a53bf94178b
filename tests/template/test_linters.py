"""The template fits CloudFormation; what its linters are told to pass over is little, its reason beside it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.template import ROOT
from tests.template.resources import EXPANDED, PATH, RESOURCES

CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
RAW: dict[str, Any] = yaml_parse(PATH.read_text("utf-8"))
# What checkov asks of every function, whatever it does: a reserve of invocations, a queue of its own for asynchronous
# failures, a VPC. Nothing else of it, and nothing at all of cfn-lint, is passed over.
PASSED_OVER = {"CKV_AWS_115", "CKV_AWS_116", "CKV_AWS_117"}


@pytest.mark.parametrize("resources", [RAW["Resources"], RESOURCES], ids=["raw", "expanded"])
def test_what_is_passed_over_is_little_and_says_why(resources: dict[str, Any]) -> None:
    seen = set()
    for name, resource in resources.items():
        metadata = resource.get("Metadata", {})
        assert "cfn-lint" not in metadata, name
        for skip in metadata.get("checkov", {}).get("skip", []):
            # SAM gives a function's metadata to what it makes of the function's settings as well.
            assert resource["Type"].endswith(("::Function", "::EventInvokeConfig")), name
            assert len(skip["comment"].split()) >= 5, name
            seen.add(skip["id"])
    assert seen == PASSED_OVER
    text = PATH.read_text("utf-8")
    assert "checkov:skip" not in text
    assert not (ROOT / ".checkov.yaml").exists()
    assert not (ROOT / ".cfnlintrc").exists()


def test_the_template_fits_cloudformation() -> None:
    assert len(json.dumps(EXPANDED)) < 1_000_000
    assert len(PATH.read_bytes()) < 1_000_000
    assert len(RESOURCES) <= 500
    for part, most in (("Outputs", 200), ("Parameters", 200), ("Mappings", 200)):
        assert len(EXPANDED.get(part, {})) <= most


def test_every_parameter_is_told_of_and_bounded() -> None:
    interface = EXPANDED["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(EXPANDED["Parameters"]) == sorted(interface["ParameterLabels"])
    for name, parameter in EXPANDED["Parameters"].items():
        assert parameter["Description"].strip().endswith("."), name
        assert ("Default" in parameter) == (name != "TokenIssuer"), name
        if "AllowedValues" in parameter:
            continue
        if parameter["Type"] == "Number":
            assert parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"], name
        else:
            assert parameter["AllowedPattern"].startswith("^"), name
            assert parameter["ConstraintDescription"].startswith("must be "), f"{name}: read behind its name"


def test_every_output_is_told_of() -> None:
    for name, output in EXPANDED["Outputs"].items():
        assert output["Description"], name


def checkov(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [CHECKOV, "--skip-download", "--framework", "cloudformation", "--output", "json", "--file", path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert bool(done.returncode) == bool(report["summary"]["failed"])
    return report


@pytest.mark.skipif(not CHECKOV.exists(), reason="checkov isn't here: make .venv-checkov/.ready")
def test_checkov_reads_the_template_and_finds_what_is_planted(tmp_path: Path) -> None:
    """Without a fault its exit status is 0, and also where it could not read a file: so it has to find one."""
    planted = tmp_path / "template.yaml"
    text = PATH.read_text("utf-8")
    sound = "PointInTimeRecoveryEnabled: true"
    assert text.count(sound) == 1
    planted.write_text(text.replace(sound, "PointInTimeRecoveryEnabled: false"), "utf-8")
    report = checkov(planted)
    assert [check["check_id"] for check in report["results"]["failed_checks"]] == ["CKV_AWS_28"]
    assert report["summary"]["parsing_errors"] == 0
    kinds = {check["resource"] for check in report["results"]["passed_checks"]}
    assert {"AWS::DynamoDB::Table.Ledger", "AWS::SQS::Queue.ActivityQueue", "AWS::KMS::Key.ClubKey"} <= kinds
