"""pytest fixtures for the whole: machines with the agent, and a viewer. SELinux is enforcing on the machines, each process is
in its sandbox, and a test in which one of them refused anything fails."""

import contextlib

import pytest

from .machine import Machine, image
from .viewer import Viewer


@pytest.fixture(scope="session")
def machine_image(build, tmp_path_factory):
    if not (build / "selinux" / "streamsight.pp").exists():
        pytest.fail("built without selinux-policy-dev: run tools/setup")
    return image(build, tmp_path_factory.mktemp("image"), selinux="enforcing")


@contextlib.contextmanager
def confined(machine_image, run_dir, stack, **options):
    """A machine, installed and configured; options as for Vm()."""
    with Machine(machine_image, run_dir, stack, **options) as machine:
        # The tests' gateway and bucket listen at ports that are no web server's.
        machine.run('[ "$(getenforce)" = Enforcing ] && setsebool streamsight_connect_any_port on', check=True)
        machine.configure()
        yield machine


@pytest.fixture(scope="session")
def _configured_machine(machine_image, stack, tmp_path_factory):
    with confined(machine_image, tmp_path_factory.mktemp("vm"), stack) as machine:
        machine.wait("the agent answers", lambda s: s["State"] == "unenrolled")
        machine.save()
        yield machine


@pytest.fixture
def new_machine(_configured_machine):
    """A machine that no test has seen, installed and configured but not enrolled."""
    _configured_machine.go_back()
    yield _configured_machine
    assert _configured_machine.denials() == []


@pytest.fixture
def enrolled_machine(new_machine):
    """A machine that no test has seen, enrolled and idle."""
    new_machine.settle_enrolled()
    return new_machine


@pytest.fixture(scope="session")
def _shared_machine(machine_image, stack, tmp_path_factory):
    with confined(machine_image, tmp_path_factory.mktemp("vm"), stack) as machine:
        machine.settle_enrolled()
        assert machine.denials() == []
        yield machine


@pytest.fixture
def machine(_shared_machine):
    """Enrolled and idle, because an administrator stopped recording; shared by the tests that leave it so."""
    _shared_machine.wait("the test before has left the machine idle",
                         lambda s: s["State"] == "idle" and s["SpoolSegments"] == 0)
    before = _shared_machine.denials()
    yield _shared_machine
    assert _shared_machine.denials() == before


@pytest.fixture
def viewer(stack):
    return Viewer(stack.gateway.url, stack.apid.viewer_token(stack.company_id), stack.ca.cert_file)
