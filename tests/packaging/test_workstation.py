"""docs/install.md, done on a workstation that has nothing of the agent."""

import pathlib
import re
import shlex

import pytest

from system.machine import Machine, install
from vm.vm import build_image

pytestmark = pytest.mark.vm

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "install.md"


def commands():
    """The document's blocks of commands for a shell: after installing, starting, after an upgrade."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(), re.M | re.S)
    assert len(blocks) == 3
    return ["set -e\n" + block for block in blocks]


@pytest.fixture(scope="module")
def workstation(build, stack, tmp_path_factory):
    folder = tmp_path_factory.mktemp("workstation")
    with Machine(build_image(build), folder / "vm", stack) as machine:
        machine.tree = install(build, folder / "tree")
        yield machine


def bash(machine, script):
    machine.run(f"bash -c {shlex.quote(script)}", timeout=300, check=True)


def test_the_document_installs_and_upgrades(workstation, viewer):
    machine = workstation
    after_install, start, after_upgrade = commands()
    machine.vm.put(machine.tree, "/")
    bash(machine, after_install)
    # As a drop-in, beside the file that was installed
    machine.vm.write("/etc/streamsight/ca.pem", pathlib.Path(machine._stack.ca.cert_file).read_bytes())
    machine.vm.write("/etc/streamsight/agent.conf.d/50-test.conf", machine.agent_conf(ca_file="/etc/streamsight/ca.pem"))
    bash(machine, start)
    machine.wait("the agent answers", lambda s: s["State"] == "unenrolled")
    assert machine.enrol().rc == 0
    machine.wait("the policy begins a recording", lambda s: s["State"] == "recording")
    assert b"Subject: This computer was enrolled" in machine.run("journalctl -x --no-pager -u streamsight-brokerd").output
    for unit in ("capd-frame.socket", "capd-control.socket", "broker.socket", "brokerd.service", "uploadd.service"):
        assert machine.run(f"systemctl is-enabled streamsight-{unit}").output == b"enabled\n"

    device = machine.status()["DeviceId"]
    bash(machine, after_install + after_upgrade)
    status = machine.wait("it records again", lambda s: s["State"] == "recording")
    assert status["DeviceId"] == device
    machine.run("streamsight stop", check=True)
