"""A bad deployment is refused with its reason, before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.deployed.building import BuildFailed
from tests.deployed.club import Club, parameters, sam_deploy


def resources(club: Club) -> list[dict[str, Any]]:
    """What there is in all stacks, and when it was last changed."""
    stacks = club.root.client("cloudformation")
    names = [each["StackName"] for each in stacks.describe_stacks()["Stacks"]]
    return [each for name in names for each in stacks.describe_stack_resources(StackName=name)["StackResources"]]


def test_an_issuer_without_https_changes_nothing(club: Club, tmp_path: Path) -> None:
    before = resources(club)
    given = {**parameters(club.issuer), "TokenIssuer": "http://tokens.example"}
    with pytest.raises(BuildFailed, match=r"Error: .*TokenIssuer.* must be an https URL"):
        sam_deploy(club.built, club.emulator, tmp_path, given)
    assert resources(club) == before


def test_a_missing_parameter_makes_nothing(club: Club, tmp_path: Path) -> None:
    before = resources(club)
    given = {name: value for name, value in parameters(club.issuer).items() if name != "TokenIssuer"}
    with pytest.raises(BuildFailed, match=r"Error: .*TokenIssuer"):
        sam_deploy(club.built, club.emulator, tmp_path, given, "--stack-name", "another")
    assert resources(club) == before
