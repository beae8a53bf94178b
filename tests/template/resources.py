"""The template as CloudFormation gets it: the tests ask of all resources of a kind whether they are as promised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local.template import ROOT, Template, expand

PATH = ROOT / "template.yaml"
TEMPLATE = Template(PATH)
EXPANDED: dict[str, Any] = expand(PATH.read_text("utf-8"))
RESOURCES: dict[str, Any] = EXPANDED["Resources"]


def of_type(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each resource of a type: its logical id, and its properties with every reference resolved."""
    for logical_id, resource in RESOURCES.items():
        if resource["Type"] == kind:
            yield logical_id, TEMPLATE.resolve(resource.get("Properties", {}))


def listed(value: Any) -> list[Any]:
    """Give a list, also of what IAM lets stand alone."""
    return value if isinstance(value, list) else [value]
