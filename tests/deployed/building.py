"""`sam build` of the template, as an engineer runs it, and what came out of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from tests.deployed.find_python import find, version

ROOT = Path(__file__).resolve().parents[2]
SAM = ROOT / ".venv-sam" / "bin" / "sam"
REGION = "eu-west-1"


class BuildFailed(Exception):
    """`sam` ended with an error; the text is what it said."""


def sam(*arguments: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run the SAM CLI with an environment of its own: no profile, no telemetry; give what it said.

    Raises BuildFailed where it fails.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_", "PYTHONPATH"))}
    ours = {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
        "CI": "true",
    }
    done = subprocess.run(
        [SAM, *map(str, arguments)],
        cwd=cwd,
        env={**kept, **ours, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise BuildFailed(done.stdout)
    return done.stdout


def snapshot(folder: Path) -> Path:
    """Copy what `sam build` reads, as it lies here now, so that who edits meanwhile is in nobody's way."""
    for name in ("template.yaml", "functions", "layers"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    return folder


def build(folder: Path, source: Path, *wanted: str) -> Built:
    """Build the template of `source` into `folder`, or of it what is `wanted` by its logical id. Raises BuildFailed.

    A Python of the functions' version is on the path, where there is one: what it compiles is part of the build.
    """
    with tempfile.TemporaryDirectory() as first:
        if found := find(version()):
            Path(first, f"python{version()}").symlink_to(found)
        path = os.pathsep.join([first, os.environ.get("PATH", os.defpath)])
        sam("build", *wanted, "--template-file", source / "template.yaml", "--build-dir", folder, cwd=source, PATH=path)
    return Built(folder, source)


@dataclass(frozen=True)
class Artefact:
    """What becomes one zip on AWS: a function's code, or a layer."""

    name: str
    folder: Path

    @cached_property
    def files(self) -> dict[str, int]:
        """Each file's path inside, and its size in bytes."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in found}

    @property
    def compiled(self) -> set[str]:
        """The files that Python made of others."""
        return {name for name in self.files if "__pycache__/" in name}

    @property
    def unzipped(self) -> int:
        """Bytes that Lambda counts against its limit for a function with its layers."""
        return sum(self.files.values())

    def zipped(self, scratch: Path) -> int:
        """Bytes of the zip, made in `scratch` as `sam deploy` makes it."""
        path = scratch / f"{self.name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in self.files:
                archive.write(self.folder / name, name)
        return path.stat().st_size


class Built:
    """A folder that `sam build` made of `source`."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder, self.source = folder, source
        self.template = folder / "template.yaml"
        raw: dict[str, Any] = yaml_parse(self.template.read_text("utf-8"))
        self._resources: dict[str, Any] = raw["Resources"]
        self._globals: dict[str, Any] = raw.get("Globals", {}).get("Function", {})
        self.functions = self._artefacts("AWS::Serverless::Function", "CodeUri")
        self.layers = self._artefacts("AWS::Serverless::LayerVersion", "ContentUri")

    def _artefacts(self, kind: str, key: str) -> dict[str, Artefact]:
        return {
            name: Artefact(name, (self.folder / resource["Properties"][key]).resolve())
            for name, resource in self._resources.items()
            if resource["Type"] == kind
        }

    def layers_of(self, function: str) -> list[Artefact]:
        """A function's layers, in the order in which Lambda lays them over each other."""
        return [self.layers[layer["Ref"]] for layer in self._resources[function]["Properties"]["Layers"]]

    def settings(self, function: str) -> dict[str, Any]:
        """A function's properties, with what the template says of all functions below them."""
        own: dict[str, Any] = self._resources[function]["Properties"]
        variables = {
            **self._globals.get("Environment", {}).get("Variables", {}),
            **own.get("Environment", {}).get("Variables", {}),
        }
        return {**self._globals, **own, "Environment": {"Variables": variables}}

    def lay_out(self, function: str, folder: Path) -> tuple[Path, Path]:
        """Lay a function's files in `folder` as Lambda does: its code (/var/task) and its layers in one (/opt)."""
        task, opt = folder / "task", folder / "opt"
        shutil.copytree(self.functions[function].folder, task)
        for layer in self.layers_of(function):
            shutil.copytree(layer.folder, opt, dirs_exist_ok=True)
        return task, opt
