"""pytest fixtures over one Stack per session, in which a test starts only what it asks for.

Use from a conftest.py: pytest_plugins = ["services.fixtures"]. The build directory comes from $STREAMSIGHT_BUILD.
"""

import os

import pytest

from . import names
from .faultserver import FaultServer
from .stack import Stack


@pytest.fixture(scope="session")
def services():
    """A Stack in which nothing is started yet."""
    with Stack(os.environ.get("STREAMSIGHT_BUILD")) as stack:
        yield stack


@pytest.fixture(scope="session")
def ca(services):
    return services.ca


@pytest.fixture(scope="session")
def postgres(services):
    return services.start("postgres").postgres


@pytest.fixture(scope="session")
def s3(services):
    return services.start("s3").s3


@pytest.fixture(scope="session")
def gateway(services):
    return services.start("gateway").gateway


@pytest.fixture(scope="session")
def stack(services):
    """Everything, apid and a company with a bucket included. Without a build it fails: a skipped test proves nothing."""
    if not services.apid:
        pytest.fail("STREAMSIGHT_BUILD is not set: it must name the build directory with apid")
    return services.start()


@pytest.fixture
def http(ca):
    """A requests.Session that trusts our CA alone."""
    with names.session(ca) as session:
        yield session


@pytest.fixture
def fault_server(ca):
    with FaultServer(ca.issue("fault")) as server:
        yield server
