"""What streamsight says when the agent is not what it should be."""

import os
import pathlib
import subprocess

import pytest


@pytest.fixture
def bus():
    """A bus's address."""
    daemon = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "--", "dbus-daemon", "--session", "--nofork", "--print-address"],
                              stdout=subprocess.PIPE, text=True)
    yield daemon.stdout.readline().strip()
    daemon.kill()
    daemon.wait()
    daemon.stdout.close()


def streamsight(build, bus, *arguments, **options):
    return subprocess.run([build / "cli" / "streamsight", *arguments], capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=bus), **options)


@pytest.mark.parametrize("command", ["status", "stop"])
def test_without_an_agent_it_says_where_to_look(build, bus, command):
    done = streamsight(build, bus, command)
    assert done.returncode == 1
    assert "does not run" in done.stderr and "journalctl -u streamsight-brokerd" in done.stderr


def test_without_a_bus_it_says_so(build):
    done = streamsight(build, "unix:path=/nonexistent", "status")
    assert done.returncode == 1 and "Cannot connect to the system bus" in done.stderr


def test_an_enrolment_that_succeeded_is_none_that_failed(build, bus):
    """The code is used up: whoever is told of a failure tries again, in vain."""
    agent = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "--", "/usr/bin/python3",
                              pathlib.Path(__file__).with_name("older_agent.py"), bus], stdout=subprocess.PIPE, text=True)
    try:
        assert agent.stdout.readline() == "ready\n"
        done = streamsight(build, bus, "enroll", input="AAAA-BBBB\n")
    finally:
        agent.kill()
        agent.wait()
        agent.stdout.close()
    assert done.returncode == 0, done
    assert "enrolled as device 0f0e0d0c-0000-4000-8000-000000000001" in done.stdout
    assert "streamsight status" in done.stderr
