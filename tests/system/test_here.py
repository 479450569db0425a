"""`tools/demo --here` on a machine where nothing is installed, and that it leaves nothing."""

import pathlib

import pytest

from services import names
from vm import pattern
from vm.painter import Painter
from vm.vm import build_image

from .here import PLACE, SCRIPT
from .machine import API_ADDRESS, S3_ADDRESS, Machine, install
from .pictures import pictures

pytestmark = pytest.mark.vm

TREE = "/opt/tree"
TRACES = ("getent passwd | grep streamsight; ls -d /usr/local/lib/streamsight* /var/lib/streamsight* /run/streamsight* "
          "/etc/dbus-1/system.d/streamsight* /run/systemd/system/streamsight* 2>/dev/null; "
          "systemctl list-units --all --no-legend 'streamsight*'")


@pytest.fixture
def bare_machine(build, stack, tmp_path):
    with Machine(build_image(build), tmp_path / "vm", stack) as machine:
        yield machine


def test_records_here_and_leaves_nothing(bare_machine, build, stack, viewer, tmp_path):
    machine = bare_machine
    before = machine.run(TRACES).output
    machine.vm.put(install(build, tmp_path / "tree"), TREE)
    machine.vm.put(SCRIPT, "/opt/here")
    machine.vm.write("/opt/agent.conf", machine.agent_conf(ca_file=f"{PLACE}/ca.pem"))
    machine.vm.write("/opt/hosts", f"{API_ADDRESS} {names.API}\n{S3_ADDRESS} {names.S3}\n")
    machine.vm.write("/opt/ca.pem", pathlib.Path(stack.ca.cert_file).read_bytes())
    machine.run(f"ln -s {TREE}/usr/bin/streamsight /usr/local/bin/", check=True)

    machine.run("/opt/here check", check=True)
    machine.run(f"/opt/here up {TREE} /opt/agent.conf /opt/ca.pem /opt/hosts", check=True)
    assert b"installed here already" in machine.run("/opt/here check").output
    assert machine.enrol().rc == 0
    with Painter(machine.vm, n=21):
        recording = machine.wait("it records", lambda s: s["State"] == "recording" and s["Outputs"])["Recording"]
        machine.run("sleep 2; streamsight stop", check=True)
        viewer.wait_finished(recording)
    machine.run("/opt/here down", check=True)

    frames = pictures(viewer.download(recording, tmp_path / "segments"))
    assert pattern.read(frames[-1].image)[0] == 21
    assert machine.run(TRACES).output == before
