"""`pytest tests/faults --all` kills at a hundred points instead of ten."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="kill at 100 points instead of 10")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kill_point" in metafunc.fixturenames:
        metafunc.parametrize("kill_point", range(100 if metafunc.config.getoption("--all", default=False) else 10))
