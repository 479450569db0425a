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
    """Files that boot machines, for which the processors are not enough, between those that wait more than they compute; and of
    these, which are shorter too, the last: they fill the gaps of the workers."""
    machines = dict.fromkeys(item.path for item in items if item.get_closest_marker("vm"))
    others = dict.fromkeys(item.path for item in items if item.path not in machines)
    place = {path: i / len(files) * share for files, share in ((machines, 0.8), (others, 1)) for i, path in enumerate(files)}
    items.sort(key=lambda item: place[item.path])


@pytest.fixture(scope="session")
def build():
    """meson's build directory, from $STREAMSIGHT_BUILD (tools/test sets it)."""
    if "STREAMSIGHT_BUILD" not in os.environ:
        pytest.fail("STREAMSIGHT_BUILD must name the build directory: run tools/test")
    return pathlib.Path(os.environ["STREAMSIGHT_BUILD"])
