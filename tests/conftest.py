"""What all Python tests share: the services on loopback, the virtual machine, and where the build is."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

pytest_plugins = ["services.fixtures", "system.fixtures"]


def pytest_configure(config):
    config.addinivalue_line("markers", "vm: boots the virtual machine (left out by 'tools/test quick')")


def pytest_collection_modifyitems(items):
    """The files that boot machines first: they take longest, and what is left fills the gaps of the workers."""
    machines = {item.path for item in items if item.get_closest_marker("vm")}
    items.sort(key=lambda item: item.path not in machines)


@pytest.fixture(scope="session")
def build():
    """meson's build directory, from $STREAMSIGHT_BUILD (tools/test sets it)."""
    if "STREAMSIGHT_BUILD" not in os.environ:
        pytest.fail("STREAMSIGHT_BUILD must name the build directory: run tools/test")
    return pathlib.Path(os.environ["STREAMSIGHT_BUILD"])
