"""What every test stands on: credentials that open nothing, hypothesis without a clock, and an eye on the roles."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# boto3 looks for credentials and settings when a client is made. What it finds must be these, whatever the
# machine holds: a test that escapes the mock is then refused, and never reaches somebody's account.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(
    {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
)

# No deadline: on a busy machine it measures the neighbours. In CI the same examples every time, so that a red
# run is red again at home; in development others on each run, and what once failed is tried first.
_UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", _UNHURRIED)
settings.register_profile("ci", _UNHURRIED, derandomize=True, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_configure(config: pytest.Config) -> None:
    """Lets a process that a test starts find the layers where pytest does (pyproject.toml, pythonpath).

    And has the roles compared with what the functions use, once the whole suite ran.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join(str(path) for path in config.getini("pythonpath"))
    from tests.access.whole_suite import WholeSuite  # found only now, by pytest's own setting

    suite = Path(__file__).parent
    roles = WholeSuite(config, suite, suite.parent / "template.yaml", apart=(suite / "deployed",))
    config.pluginmanager.register(roles, "roles")
