"""pytest fixtures for the whole: machines with the agent, and a viewer."""

import pytest

from .machine import Machine, image
from .viewer import Viewer


@pytest.fixture(scope="session")
def machine_image(build, tmp_path_factory):
    return image(build, tmp_path_factory.mktemp("image"))


@pytest.fixture
def new_machine(machine_image, stack, tmp_path):
    """A machine of its own for this test, installed and configured but not enrolled."""
    with Machine(machine_image, tmp_path / "vm", stack) as machine:
        machine.configure()
        machine.wait("the agent answers", lambda s: s["State"] == "unenrolled")
        yield machine


@pytest.fixture
def enrolled_machine(new_machine):
    """A machine of its own for this test, enrolled and idle."""
    new_machine.settle_enrolled()
    return new_machine


@pytest.fixture(scope="session")
def _shared_machine(machine_image, stack, tmp_path_factory):
    with Machine(machine_image, tmp_path_factory.mktemp("vm"), stack) as machine:
        machine.configure()
        machine.settle_enrolled()
        yield machine


@pytest.fixture
def machine(_shared_machine):
    """Enrolled and idle, because an administrator stopped recording; shared by the tests that leave it so."""
    _shared_machine.wait("the test before has left the machine idle",
                         lambda s: s["State"] == "idle" and s["SpoolSegments"] == 0)
    return _shared_machine


@pytest.fixture
def viewer(stack):
    return Viewer(stack.gateway.url, stack.apid.viewer_token(stack.company_id), stack.ca.cert_file)
