"""Every package is pinned with its hash, none names where it comes from, and what is deployed is what is declared."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local.template import ROOT

DEPLOYED = ROOT / "layers" / "dependencies" / "requirements.txt"
DECLARED = sorted((ROOT / "requirements").glob("*.in"))
LOCKED = [DEPLOYED, *sorted((ROOT / "requirements").glob("*.txt"))]
# What installs packages, or says where from.
INSTALLERS = [
    ROOT / "Makefile",
    ROOT / ".ci" / "run",
    ROOT / "pyproject.toml",
    *sorted((ROOT / ".github").rglob("*.yml")),
    *sorted((ROOT / "layers").glob("*/Makefile")),
]
HASHED = re.compile(r"[a-z0-9._-]+(\[[a-z0-9,_-]+\])?==[^ ;=]+( ; [^-]+)?( --hash=sha256:[0-9a-f]{64})+", re.IGNORECASE)
REGISTRY = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host|PIP_[A-Z_]*(?:URL|LINKS|HOST)|pypi\.")
ELSEWHERE = re.compile(rf"://|(^|\s)-[if]\s|\s@\s|{REGISTRY.pattern}")
# Where the functions run, whatever runs the tests.
LAMBDA = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "aarch64",
    "platform_system": "Linux",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}


def lines(text: str) -> list[str]:
    """The lines that say something, with what goes on after a backslash on one."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def declared(path: Path) -> Iterator[Requirement]:
    """What a file asks for itself; not what it includes."""
    for line in lines(path.read_text("utf-8")):
        if not line.startswith("-"):
            yield Requirement(line.split(" #")[0])


def locked(path: Path) -> dict[str, str]:
    """The versions that a locked file would install where the functions run, by name."""
    found: dict[str, str] = {}
    for line in lines(path.read_text("utf-8")):
        requirement = Requirement(line.split(" --hash")[0])
        if requirement.marker is None or requirement.marker.evaluate({**LAMBDA, "extra": ""}):
            (specifier,) = requirement.specifier
            found[canonicalize_name(requirement.name)] = specifier.version
    return found


def closure(roots: Iterator[Requirement]) -> dict[str, str]:
    """What these need where the functions run, by what the installed packages say of themselves."""
    found: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        package = importlib.metadata.distribution(name)
        found[name] = package.version
        for text in package.requires or []:
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({**LAMBDA, "extra": extra}) for extra in extras):
                waiting.append(needed)
    return found


@pytest.mark.parametrize("path", LOCKED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_package_is_pinned_with_its_hashes(path: Path) -> None:
    found = lines(path.read_text("utf-8"))
    assert found
    assert [line for line in found if not HASHED.fullmatch(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "boto3==1.0.0",
        "boto3 --hash=sha256:" + "0" * 64,
        "boto3>=1.0.0 --hash=sha256:" + "0" * 64,
        "boto3==1.0.0 --hash=md5:" + "0" * 32,
        "-r other.txt",
        "--index-url x",
    ],
)
def test_a_line_without_its_hash_is_found(line: str) -> None:
    assert not HASHED.fullmatch(line)
    assert HASHED.fullmatch('a-b==1.0 ; python_version < "3.15" --hash=sha256:' + "a" * 64)


@pytest.mark.parametrize("path", [*DECLARED, *LOCKED], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_requirement_says_where_it_comes_from(path: Path) -> None:
    assert [line for line in lines(path.read_text("utf-8")) if ELSEWHERE.search(line)] == []


@pytest.mark.parametrize("path", INSTALLERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_installs_names_a_registry(path: Path) -> None:
    assert REGISTRY.findall(path.read_text("utf-8")) == []


@pytest.mark.parametrize("line", ["--index-url x", "-i x", "a @ https://x", "git+ssh://x", "--find-links=."])
def test_a_place_to_come_from_is_found(line: str) -> None:
    assert ELSEWHERE.search(line)
    assert not ELSEWHERE.search("-c ../layers/dependencies/requirements.txt")


def test_every_file_is_locked_by_make_lock_and_every_install_checks_hashes() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    compiled = re.findall(r"\$\(COMPILE\).* (\S+\.in) -o (\S+)", makefile)

    assert sorted(source for source, _ in compiled) == [str(path.relative_to(ROOT)) for path in DECLARED]
    assert sorted(target for _, target in compiled) == sorted(str(path.relative_to(ROOT)) for path in LOCKED)
    for path in INSTALLERS:
        for line in lines(path.read_text("utf-8")):
            if "pip install" in line:
                assert "--require-hashes" in line, f"{path.name}: {line}"
                assert "--no-deps" in line, f"{path.name}: {line}"


def test_the_layer_carries_what_the_functions_need_and_nothing_else() -> None:
    needed = closure(declared(ROOT / "requirements" / "runtime.in"))

    assert {"boto3", "pynamodb", "urllib3"} <= needed.keys()
    assert locked(DEPLOYED) == needed


def test_what_develops_and_tests_uses_the_very_versions_that_are_deployed() -> None:
    development = locked(ROOT / "requirements" / "dev.txt")
    assert locked(DEPLOYED).items() <= development.items()


def test_the_tool_that_looks_for_unused_packages_passes_over_none_that_is_not_there() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["deptry"]
    names = {canonicalize_name(each.name) for path in DECLARED for each in declared(path)}

    assert set(settings["per_rule_ignores"]) == {"DEP002"}
    assert set(settings["per_rule_ignores"]["DEP002"]) <= names
    assert (ROOT / "Makefile").read_text("utf-8").count("\t$(DEPTRY) ") == 2


def test_a_package_that_is_unused_or_not_declared_is_found(tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text("import boto3\nimport pynamodb\n")
    (tmp_path / "asked.in").write_text("boto3\njmespath\ntzdata\n")
    command = [sys.executable, "-m", "deptry", "--no-ansi", ".", "--requirements-files", "asked.in"]
    command += ["--config", str(ROOT / "pyproject.toml")]
    looked = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert looked.returncode == 1
    assert re.findall(r"(DEP\d+) '(\w+)'", looked.stdout + looked.stderr) == [
        ("DEP002", "jmespath"),
        ("DEP003", "pynamodb"),  # it is installed, for something else
    ]


def sbom(target: Path) -> Any:
    """The bill of materials, made anew by its command in a folder of its own."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    made = subprocess.run(
        ["make", "--no-print-directory", "sbom", f"SBOM={target}"],
        check=False,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return json.loads(target.with_suffix(".json").read_text("utf-8"))


@pytest.mark.slow
def test_the_bill_of_materials_is_what_the_built_layer_carries(tmp_path: Path) -> None:
    bill = sbom(tmp_path / "sbom")
    root = bill["metadata"]["component"]
    graph = {each["ref"]: set(each.get("dependsOn", [])) for each in bill["dependencies"]}
    names = {each["bom-ref"]: canonicalize_name(each["name"]) for each in bill["components"]}

    assert (bill["bomFormat"], bill["specVersion"], root["name"]) == ("CycloneDX", "1.6", "buyers-club")
    assert {canonicalize_name(each["name"]): each["version"] for each in bill["components"]} == locked(DEPLOYED)
    for each in bill["components"]:
        assert each["purl"] == f"pkg:pypi/{canonicalize_name(each['name'])}@{each['version']}"
        assert each["licenses"], each["name"]
    direct = {names[ref] for ref in graph[root["bom-ref"]]}
    assert direct == {canonicalize_name(each.name) for each in declared(ROOT / "requirements" / "runtime.in")}
    assert set(graph) == {root["bom-ref"], *names}
    assert str(tmp_path) not in json.dumps(bill)
