"""One build and one deployment for all tests of this folder. `make deployed-test` sets up what they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployed.building import SAM, Built, build, snapshot
from tests.deployed.club import Club, deploy
from tests.deployed.emulator import started
from tests.deployed.issuer import Issuer

_told: list[str] = []


@pytest.fixture(scope="session")
def told() -> list[str]:
    """Lines that are printed at the end of the run, whether tests fail or not."""
    return _told


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests have to tell: sizes, limits, the Python that ran the functions."""
    if _told:
        terminalreporter.section("deployed")
        for line in _told:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """What `sam build` makes of this working tree."""
    if not SAM.exists():
        pytest.skip("the SAM CLI isn't here: make deployed-test")
    return build(tmp_path_factory.mktemp("build"), snapshot(tmp_path_factory.mktemp("source")))


@pytest.fixture(scope="session")
def club(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Club]:
    """The built template on the emulator, and the issuer of its tokens."""
    scratch: Path = tmp_path_factory.mktemp("deployment")
    issuer = Issuer(scratch)
    try:
        with started(trusts=issuer.authority) as emulator:
            yield deploy(built, emulator, issuer, scratch)
    except FileNotFoundError as error:
        pytest.skip(f"{error}")
    finally:
        issuer.close()
