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


UP = f"/opt/here up {TREE} /opt/agent.conf /opt/ca.pem /opt/hosts"
PATIENCE = 300  # a busy host takes twenty times as long as an idle one
IN_THE_MIDDLE = f"set -m; {UP} & until [ -e {PLACE}/hosts ]; do sleep 0.02; done"


@pytest.fixture(scope="module")
def bare_machine(build, stack, tmp_path_factory):
    """A machine without the agent, but with all that 'here up' wants."""
    folder = tmp_path_factory.mktemp("here")
    with Machine(build_image(build), folder / "vm", stack) as machine:
        machine.vm.put(install(build, folder / "tree"), TREE)
        machine.vm.put(SCRIPT, "/opt/here")
        machine.vm.write("/opt/agent.conf", machine.agent_conf(ca_file=f"{PLACE}/ca.pem"))
        machine.vm.write("/opt/hosts", f"{API_ADDRESS} {names.API}\n{S3_ADDRESS} {names.S3}\n")
        machine.vm.write("/opt/ca.pem", pathlib.Path(stack.ca.cert_file).read_bytes())
        machine.run(f"ln -s {TREE}/usr/bin/streamsight /usr/local/bin/", check=True)
        yield machine


@pytest.fixture
def traceless(bare_machine):
    """The machine; whatever the test does to it, nothing is left of it at the end."""
    before = bare_machine.run(TRACES).output
    yield bare_machine
    after = bare_machine.run(TRACES).output
    bare_machine.run("/opt/here down", timeout=PATIENCE)  # for the next test
    assert after == before


def test_records_here_and_leaves_nothing(traceless, viewer, tmp_path):
    machine = traceless
    machine.run("/opt/here check", check=True)
    machine.run(UP, PATIENCE, check=True)
    assert machine.enrol().rc == 0
    with Painter(machine.vm, n=21):
        recording = machine.wait("it records", lambda s: s["State"] == "recording" and s["Outputs"])["Recording"]
        machine.run("sleep 2; streamsight stop", check=True)
        viewer.wait_finished(recording)
    machine.run("/opt/here down", PATIENCE, check=True)
    frames = pictures(viewer.download(recording, tmp_path / "segments"))
    assert pattern.read(frames[-1].image)[0] == 21


@pytest.mark.parametrize("signal", ["INT", "TERM", "HUP"])
def test_whoever_is_interrupted_takes_all_away(traceless, signal):
    result = traceless.run(f"{IN_THE_MIDDLE}; kill -{signal} $!; wait $!", PATIENCE)
    assert result.rc == 130, result.output


def test_what_a_killed_run_left_is_recognised(traceless):
    traceless.run(f"{IN_THE_MIDDLE}; kill -KILL -- -$!; wait $!", PATIENCE)
    check = traceless.run("/opt/here check", check=True)
    assert b"ended before its end" in check.output
    traceless.run(UP, PATIENCE, check=True)
    traceless.run("systemctl is-active streamsight-brokerd && /opt/here down", PATIENCE, check=True)


def test_down_without_up_is_harmless(traceless):
    traceless.run("/opt/here down", PATIENCE, check=True)


def test_users_that_were_there_before_stay(traceless):
    traceless.run("useradd --system streamsight-capd", check=True)
    uid = traceless.run("id -u streamsight-capd", check=True).output
    traceless.run(f"{UP} && /opt/here down", PATIENCE, check=True)
    assert traceless.run("id -u streamsight-capd", check=True).output == uid
    assert traceless.run("id -u streamsight-brokerd").rc != 0
    traceless.run("userdel streamsight-capd", check=True)


def test_a_machine_with_the_agent_is_refused(traceless):
    unit = "/etc/systemd/system/streamsight-brokerd.service"
    traceless.run(f"cp {TREE}/usr/lib/systemd/system/streamsight-brokerd.service {unit} && systemctl daemon-reload", check=True)
    try:
        for command in ("/opt/here check", UP):
            result = traceless.run(command, PATIENCE)
            assert result.rc == 1 and b"installed here already" in result.output, result.output
    finally:
        traceless.run(f"rm {unit}; systemctl daemon-reload", check=True)
