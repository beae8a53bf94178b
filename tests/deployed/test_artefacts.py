"""What `sam build` makes of the template: each function gets what it needs and no more, within Lambda's limits."""

from __future__ import annotations

import ast
import gzip
import io
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.request import urlopen

import botocore
import pytest
from botocore.config import Config
from botocore.loaders import Loader
from botocore.session import Session

from local.template import Template
from tests.deployed.building import BuildFailed, Built, build
from tests.deployed.club import Club
from tests.deployed.find_python import find, version

KIB, MIB = 1024, 1024 * 1024

# Lambda's quotas and CloudFormation's, as AWS documents them.
UNZIPPED_MAX = 250 * MIB  # a function with all its layers
ZIPPED_MAX = 50 * MIB  # each, sent to the API
LAYERS_MAX = 5
ENVIRONMENT_MAX = 4 * KIB
TIMEOUT_MAX_S, OF_API_MAX_S = 900, 30
MEMORY_MB = range(128, 10_241)
TEMPLATE_MAX, RESOURCES_MAX, PARAMETERS_MAX, OUTPUTS_MAX = 1_000_000, 500, 200, 200

# Ours, so that nothing grows unseen: every cold start fetches and unpacks it.
FUNCTION_ZIPPED_MAX = 80 * KIB  # the page is the largest
LAYERS_ZIPPED_MAX = 8 * MIB
WITH_LAYERS_MAX = 24 * MIB

OWN_PACKAGES = {"RulesLayer": "club_rules", "LedgerLayer": "club_ledger", "HttpLayer": "club_http"}


def imported(path: Path) -> set[str]:
    """The modules that a module imports, wherever in it, by their whole names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def reached(folders: list[Path], start: str = "app") -> tuple[set[Path], set[str]]:
    """The files of `folders` that `start` comes to by its imports, and the packages imported that aren't there."""
    files: set[Path] = set()
    missing: set[str] = set()
    waiting = {start}
    while waiting:
        parts = waiting.pop().split(".")
        homes = [each for each in folders if (each / parts[0]).is_dir() or (each / f"{parts[0]}.py").is_file()]
        if not homes:
            missing.add(parts[0])
        # the module itself where it is one (else it is a name in one), and the packages around it
        for stem in (Path(*parts[:length]) for length in range(1, len(parts) + 1)):
            for path in (home / each for home in homes for each in (f"{stem}.py", stem / "__init__.py")):
                if path.is_file() and path not in files:
                    files.add(path)
                    waiting |= imported(path)
    return files, missing - sys.stdlib_module_names


@pytest.fixture(scope="session")
def template(built: Built) -> Template:
    return Template(built.template, {"TokenIssuer": "https://tokens.example"})


def names(built: Built) -> list[str]:
    assert len(built.functions) == len(list((built.source / "functions").iterdir())), "a folder a function"
    return sorted(built.functions)


def test_each_function_has_the_modules_that_it_imports_and_the_files_that_it_names(built: Built) -> None:
    for name in names(built):
        artefact = built.functions[name]
        modules = {path.name for path in reached([artefact.folder])[0]}
        text = "".join((artefact.folder / module).read_text("utf-8") for module in sorted(modules))
        # texts.en.json is named as f"texts.{language}.json"
        named = {each for each in artefact.files if f'"{each}"' in text or f'f"{each.split(".")[0]}.{{' in text}
        assert set(artefact.files) == modules | named, name


def test_each_function_has_the_layers_that_it_imports_and_no_other(built: Built) -> None:
    for name in names(built):
        every = [layer.folder / "python" for layer in built.layers.values() if layer.name in OWN_PACKAGES]
        files, others = reached([built.functions[name].folder, *every])
        needed = {layer for layer, package in OWN_PACKAGES.items() if any(package in path.parts for path in files)}
        has = {layer.name for layer in built.layers_of(name)}
        assert has == needed | ({"DependenciesLayer"} if others else set()), name
        third_party = built.layers["DependenciesLayer"].folder / "python"
        assert all((third_party / each).is_dir() or (third_party / f"{each}.py").is_file() for each in others), others


@pytest.mark.parametrize("layer", OWN_PACKAGES)
def test_a_layer_of_ours_is_its_package_as_it_lies_here(built: Built, layer: str) -> None:
    package = OWN_PACKAGES[layer]
    source = built.source / "layers" / package.removeprefix("club_") / package
    here = {path.relative_to(source.parent) for path in source.rglob("*") if path.is_file()}
    wanted = {path.as_posix(): path for path in here if "__pycache__" not in path.parts}
    content = built.layers[layer]
    assert set(content.files) - content.compiled == {f"python/{path}" for path in wanted}
    for name, path in wanted.items():
        assert (content.folder / "python" / name).read_bytes() == (source.parent / path).read_bytes()


def test_the_dependencies_are_the_pinned_ones_and_run_everywhere(built: Built) -> None:
    """Nothing in it is compiled for a machine or a Python, so what is run here is what runs on Lambda."""
    content = built.layers["DependenciesLayer"]
    pinned = re.findall(
        r"^([a-z0-9.-]+)==(\S+)", (built.source / "layers/dependencies/requirements.txt").read_text(), re.MULTILINE
    )
    found = {name.split("/")[1] for name in content.files if ".dist-info/" in name}
    assert found == {f"{name.replace('-', '_')}-{version}.dist-info" for name, version in pinned}
    wheels = [content.folder / name for name in content.files if name.endswith(".dist-info/WHEEL")]
    assert len(wheels) == len(pinned)
    for wheel in wheels:
        tags = re.findall(r"^Tag: (\S+)", wheel.read_text("utf-8"), re.MULTILINE)
        assert tags, wheel
        assert all(tag.endswith("-none-any") for tag in tags), f"{wheel}: build a second layer to run it here"
    assert not [name for name in content.files if name.endswith(".so") or name.startswith("python/bin/")]


def test_every_module_of_the_layers_is_compiled_for_the_runtime(built: Built, told: list[str]) -> None:
    """Or none is, where there is no such Python: then that is said."""
    tag = f"cpython-{version().replace('.', '')}"
    is_here = find(version()) is not None
    if not is_here:
        told.append(f"THERE IS NO PYTHON {version()} HERE: the layers are not compiled")
    for layer in built.layers.values():
        modules = [PurePosixPath(name) for name in layer.files if name.endswith(".py")]
        wanted = {f"{path.parent}/__pycache__/{path.stem}.{tag}.pyc" for path in modules}
        assert layer.compiled == (wanted if is_here else set()), layer.name
    for name in sorted(built.layers["RulesLayer"].compiled):
        content = (built.layers["RulesLayer"].folder / name).read_bytes()
        # PEP 552: by the source's hash, and not to be compared with it; Lambda unpacks with other times
        assert int.from_bytes(content[4:8], "little") == 0b01, name
        assert b"/opt/python/club_rules/" in content, f"{name} would name the builder's folders in a trace"


def test_the_dependencies_describe_the_services_that_are_called_and_no_other(built: Built, template: Template) -> None:
    folder = built.layers["DependenciesLayer"].folder / "python" / "botocore" / "data"
    described = {path.name for path in folder.iterdir() if path.is_dir()}
    actions = [
        each for spec in template.functions.values() for statement in spec.statements for each in statement.actions
    ]
    # Lambda itself writes the logs, and the stores ask for the key.
    assert described == {action.split(":")[0] for action in actions} - {"logs", "kms"}


def without_texts(described: Any) -> Any:
    """A description without its documentation, which is text; a member of a shape may be called so, too."""
    if isinstance(described, list):
        return [without_texts(each) for each in described]
    if not isinstance(described, dict):
        return described
    kept = {name: value for name, value in described.items() if (name, type(value)) != ("documentation", str)}
    return {name: without_texts(value) for name, value in kept.items()}


def test_what_is_left_of_botocores_data_says_what_all_of_it_says(built: Built) -> None:
    """But for texts and for other services; the files that aren't trimmed are the same to the byte."""
    ours = built.layers["DependenciesLayer"].folder / "python" / "botocore" / "data"
    whole = Path(botocore.__file__).parent / "data"
    services = {path.name for path in ours.iterdir() if path.is_dir()}
    for path in (path for path in ours.rglob("*") if path.is_file()):
        name = path.relative_to(ours)
        if path.name == "service-2.json.gz":
            described = json.loads(gzip.decompress((whole / name).read_bytes()))
            assert json.loads(gzip.decompress(path.read_bytes())) == without_texts(described), name
            assert path.stat().st_size < (whole / name).stat().st_size / 3, name
        elif name == Path("endpoints.json"):
            left, wanted = json.loads(path.read_bytes()), json.loads((whole / name).read_bytes())
            for partition in wanted["partitions"]:
                partition["services"] = {
                    key: partition["services"][key] for key in services & set(partition["services"])
                }
            assert left == wanted
            assert path.stat().st_size < 32 * KIB
        else:
            assert path.read_bytes() == (whole / name).read_bytes(), name
    assert {path.relative_to(ours) for path in ours.rglob("*.json*")} == {
        path.relative_to(whole) for path in whole.rglob("*.json*") if path.parent == whole or path.parts[-3] in services
    }


def test_every_service_is_found_where_it_is_in_every_region_of_aws(built: Built) -> None:
    """As with all of the data: address, partition and what a signature is made with; one region is not known yet."""
    data = built.layers["DependenciesLayer"].folder / "python" / "botocore" / "data"
    trimmed, whole = Session(), Session()
    trimmed.register_component("data_loader", Loader([str(data)], include_default_search_paths=False))
    partitions = json.loads((Path(botocore.__file__).parent / "data" / "endpoints.json").read_bytes())["partitions"]
    regions = [region for partition in partitions for region in partition["regions"]]
    assert len(partitions) >= 8
    assert len(regions) >= 46

    def found(session: Session, service: str, region: str, fips: bool) -> object:
        config = Config(use_fips_endpoint=fips)
        keys = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}
        client = session.create_client(service, region_name=region, config=config, **keys)
        signer = client._request_signer
        signed = (signer.signing_name, signer.region_name, signer.signature_version)
        return client.meta.endpoint_url, client.meta.partition, signed

    for service in sorted(path.name for path in data.iterdir() if path.is_dir()):
        assert trimmed.get_available_regions(service) == whole.get_available_regions(service)
        for region in [*regions, "eu-north-99"]:
            for fips in (False, True):
                at = (service, region, fips)
                assert found(trimmed, *at) == found(whole, *at), at


def test_sizes_are_bounded_and_told(built: Built, tmp_path: Path, told: list[str]) -> None:
    layers = {name: (layer.unzipped, layer.zipped(tmp_path)) for name, layer in built.layers.items()}
    for name, (unzipped, zipped) in layers.items():
        told.append(f"{name:28} {zipped / KIB:8,.0f} KiB zipped {unzipped / KIB:9,.0f} KiB unzipped")
    for name in names(built):
        artefact, of_it = built.functions[name], [layer.name for layer in built.layers_of(name)]
        own, zipped = artefact.unzipped, artefact.zipped(tmp_path)
        unzipped = own + sum(layers[layer][0] for layer in of_it)
        told.append(f"{name:28} {zipped / KIB:8,.1f} KiB zipped {unzipped / KIB:9,.0f} KiB unzipped with its layers")
        assert 0 < zipped <= FUNCTION_ZIPPED_MAX < ZIPPED_MAX, name
        assert sum(layers[layer][1] for layer in of_it) <= LAYERS_ZIPPED_MAX < ZIPPED_MAX, name
        assert unzipped <= WITH_LAYERS_MAX < UNZIPPED_MAX, name
        assert len(of_it) <= LAYERS_MAX, name


def test_lambdas_other_limits_are_kept(built: Built, template: Template) -> None:
    of_api = {route.function for route in template.routes}
    for name in names(built):
        spec = template.function(name)
        module, _, handler = spec.handler.partition(".")
        source = (built.functions[name].folder / f"{module}.py").read_text("utf-8")
        defined = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
        assert handler in defined, f"{name}: there is no {spec.handler}"
        environment = sum(len(key.encode()) + len(value.encode()) for key, value in spec.environment.items())
        assert environment <= ENVIRONMENT_MAX, name
        assert 0 < spec.timeout_s <= (OF_API_MAX_S if spec.arn in of_api else TIMEOUT_MAX_S), name
        assert spec.memory_mb in MEMORY_MB, name
        settings = built.settings(name)
        assert (settings["Runtime"], settings["Architectures"]) == ("python3.13", ["arm64"]), name


def test_cloudformations_limits_are_kept(built: Built, template: Template, told: list[str]) -> None:
    from samtranslator.yaml_helper import yaml_parse

    from local.template import expand

    text = built.template.read_text("utf-8")
    expanded = expand(text)
    size = len(json.dumps(expanded).encode())
    told.append(f"the template: {len(text.encode()) / KIB:,.0f} KiB, expanded {size / KIB:,.0f} KiB")
    assert max(len(text.encode()), size) <= TEMPLATE_MAX
    assert len(expanded["Resources"]) <= RESOURCES_MAX
    assert len(expanded["Parameters"]) <= PARAMETERS_MAX
    assert len(yaml_parse(text)["Outputs"]) <= OUTPUTS_MAX


def test_what_was_uploaded_is_what_was_built(club: Club) -> None:
    functions = club.root.client("lambda")

    def uploaded(location: str) -> dict[str, bytes]:
        with urlopen(location, timeout=30) as answer, zipfile.ZipFile(io.BytesIO(answer.read())) as archive:
            return {each.filename: archive.read(each) for each in archive.infolist() if not each.is_dir()}

    for name, artefact in club.built.functions.items():
        found = uploaded(functions.get_function(FunctionName=club.physical[name])["Code"]["Location"])
        assert found == {path: (artefact.folder / path).read_bytes() for path in artefact.files}, name
    attached = club.configuration("MemberApiFunction")["Layers"]
    for layer, artefact in zip(attached, club.built.layers_of("MemberApiFunction"), strict=True):
        location = functions.get_layer_version_by_arn(Arn=layer["Arn"])["Content"]["Location"]
        assert set(uploaded(location)) == set(artefact.files), artefact.name


def test_a_program_file_with_a_fault_is_not_built(built: Built, tmp_path: Path) -> None:
    for name in ("template.yaml", "layers/rules"):
        source = built.source / name
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)
    (program,) = (tmp_path / "layers/rules/club_rules/data").glob("club-*.json")
    content = json.loads(program.read_text("utf-8"))
    content["tiers"][2]["from"] = "100"
    program.write_text(json.dumps(content))
    with pytest.raises(BuildFailed, match=rf"{program.name}: /tiers/2/from: expected a whole number") as failed:
        build(tmp_path / "build", tmp_path, "RulesLayer")
    assert "Build Succeeded" not in str(failed.value)
    assert not (tmp_path / "build" / "RulesLayer" / "python").exists()


def test_the_looks_at_imports_see_what_is_too_many_and_too_few(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import json\nfrom helper import x\ndef f():\n    import pynamodb.models\n")
    (tmp_path / "helper.py").write_text("from club_rules import money\n")
    (tmp_path / "stray.py").write_text("")
    files, others = reached([tmp_path])
    assert {path.name for path in files} == {"app.py", "helper.py"}
    assert others == {"pynamodb", "club_rules"}


def test_a_python_is_known_by_what_it_says_and_not_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version manager leaves names on the path that start nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    fake = tmp_path / "python3.99"
    for script, is_one in (("exit 127", False), ("echo 3.98", False), ("echo 3.99", True)):
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
        assert (find("3.99") == fake) is is_one
    assert find(".".join(map(str, sys.version_info[:2]))) == Path(sys.executable)
