"""A recording that is open while no picture may be taken: somebody paused it, or the session at the seat is locked."""

import contextlib
import json
import subprocess
import time

import pytest

from . import wire
from .logind import Logind
from .test_control_plane import begin, text

NONE, PAUSED, LOCKED = range(3)
ANNA = {"id": "4", "user": "anna", "uid": 1000, "class": "user", "locked": False}


@pytest.fixture
def pausable(agent, company, code, stack):
    """Enrolled and running, under a policy that allows a pause of ten minutes; agent.conf's bound is an hour."""
    stack.apid.admin("policy", "set", "--company", company, "--pause-seconds", "600")
    agent.run()
    agent.enrol(code(company))
    return agent


def test_a_pause(pausable):
    with subprocess.Popen(["stdbuf", "-oL", "busctl", f"--address={pausable.bus_address}", "monitor", "--json=short",
                           "org.streamsight.Agent1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as monitor, contextlib.ExitStack() as monitored:
        monitored.callback(monitor.kill)
        assert "Monitoring" in monitor.stdout.readline()
        uploadd, capd, record = begin(pausable)
        capd.expect(wire.GRANT)
        before = time.time()
        assert pausable.cli("pause", "60").returncode == 0
        assert capd.expect(wire.REVOKE)
        assert uploadd.expect(wire.HOLD).hold == PAUSED
        status = pausable.status()
        assert (status["State"], status["PauseReason"], status["Reason"]) == ("paused", "paused", "policy")
        assert status["Recording"] == text(record.recording)
        assert before + 59 < status["PausedUntil"] / 1e6 < time.time() + 61
        human = pausable.cli("status", user="nobody").stdout
        assert "no pictures of the screen are taken" in human and "Paused until" in human
        assert capd.silent(11), "granted during a pause"

        assert pausable.cli("resume").returncode == 0
        assert uploadd.expect(wire.HOLD).hold == NONE
        assert capd.expect(wire.GRANT)
        status = pausable.status()
        assert (status["State"], status["PauseReason"], status["PausedUntil"]) == ("recording", "", 0)
        assert status["Recording"] == text(record.recording)
        told = {}
        while "RecordingResumed" not in told:
            message = json.loads(monitor.stdout.readline())
            if message.get("member", "").startswith("Recording"):
                told[message["member"]] = message["payload"]["data"]
        assert told["RecordingPaused"] == [text(record.recording), "paused"]
        assert told["RecordingResumed"] == [text(record.recording)]
    assert f"Recording {text(record.recording)} pauses: somebody who may has paused it" in pausable.log()


def test_it_ends_by_itself(pausable):
    uploadd, capd, _ = begin(pausable)
    capd.expect(wire.GRANT)
    assert pausable.cli("pause", "1").returncode == 0
    assert uploadd.expect(wire.HOLD).hold == PAUSED
    assert uploadd.expect(wire.HOLD).hold == NONE
    assert capd.expect(wire.GRANT)
    assert pausable.status()["State"] == "recording"


def test_there_is_a_grant_for_as_long_as_uploadd_may_ask(pausable):
    """Else it would ask in vain, and the recording would say that there was no grant."""
    def after(command, first, second):
        assert pausable.cli(command).returncode == 0
        (peer, kind), (other, other_kind) = first, second
        earlier, later = peer.expect(kind), other.expect(other_kind)
        assert earlier.sent < later.sent, command
    uploadd, capd, _ = begin(pausable)
    capd.expect(wire.GRANT)
    after("pause", (uploadd, wire.HOLD), (capd, wire.REVOKE))
    after("resume", (capd, wire.GRANT), (uploadd, wire.HOLD))
    after("stop", (uploadd, wire.STOP), (capd, wire.REVOKE))
    after("start", (capd, wire.GRANT), (uploadd, wire.RECORD))


def test_both_must_allow_it(pausable, company, stack):
    uploadd, capd, _ = begin(pausable)
    done = pausable.cli("pause", "601")
    assert done.returncode != 0 and "for 600 seconds at most" in done.stderr
    assert pausable.cli("pause", "0").returncode != 0 and pausable.cli("pause", "1h").returncode != 0
    assert pausable.cli("pause", user="nobody").returncode != 0
    assert pausable.cli("pause").returncode == 0
    assert uploadd.expect(wire.HOLD).hold == PAUSED
    assert time.time() + 590 < pausable.status()["PausedUntil"] / 1e6 < time.time() + 601

    # A leave that is taken back ends the pause that it was given for.
    stack.apid.admin("policy", "set", "--company", company, "--pause-seconds", "0")
    pausable.cli("flush")
    assert uploadd.expect(wire.HOLD).hold == NONE
    done = pausable.cli("pause")
    assert done.returncode != 0 and "the control plane's policy forbids it" in done.stderr
    stack.apid.admin("policy", "set", "--company", company, "--pause-seconds", "600")

    pausable.stop()
    pausable.config["fps"] = "5\nMaxPauseSeconds=0"
    pausable.run()
    uploadd, capd, _ = begin(pausable)
    done = pausable.cli("pause")
    assert done.returncode != 0 and "MaxPauseSeconds=0 in agent.conf forbids it" in done.stderr


def test_nothing_to_pause(pausable):
    done = pausable.cli("pause")
    assert done.returncode != 0 and "Nothing is being recorded" in done.stderr


def test_it_outlives_uploadd_and_a_stop_ends_it(pausable):
    """Another uploadd is another recording: no picture of that either."""
    uploadd, capd, record = begin(pausable)
    capd.expect(wire.GRANT)
    assert pausable.cli("pause").returncode == 0
    capd.expect(wire.REVOKE)
    uploadd.close()
    again = pausable.uploadd()
    second = again.expect(wire.RECORD)
    assert second.recording != record.recording and second.hold == PAUSED
    assert capd.silent(1)
    pausable.cli("stop")
    pausable.cli("start")
    assert capd.expect(wire.GRANT)
    assert pausable.status()["State"] == "recording"


def test_a_locked_session_is_not_recorded(pausable):
    with Logind(pausable.bus_address) as logind:
        logind.show(ANNA)
        uploadd, capd, record = begin(pausable)
        capd.expect(wire.GRANT)
        logind.show(ANNA | {"locked": True})
        assert capd.expect(wire.REVOKE)
        assert uploadd.expect(wire.HOLD).hold == LOCKED
        status = pausable.wait(lambda s: s["State"] == "paused", "the lock is seen")
        assert (status["PauseReason"], status["PausedUntil"]) == ("locked", 0)
        assert "while the session is locked" in pausable.cli("status").stdout
        # Of the two, the person's counts; and what remains when it is over is the lock.
        assert pausable.cli("pause").returncode == 0
        assert uploadd.expect(wire.HOLD).hold == PAUSED
        assert pausable.cli("resume").returncode == 0
        assert uploadd.expect(wire.HOLD).hold == LOCKED
        assert capd.silent(1)
        logind.show(ANNA)
        assert uploadd.expect(wire.HOLD).hold == NONE
        assert capd.expect(wire.GRANT)
        assert pausable.status()["Recording"] == text(record.recording)


def test_a_lock_outlives_logind(pausable):
    """While it is restarted nobody knows whether the session is locked still."""
    with Logind(pausable.bus_address) as logind:
        logind.show(ANNA)
        uploadd, capd, _ = begin(pausable)
        logind.show(ANNA | {"locked": True})
        assert uploadd.expect(wire.HOLD).hold == LOCKED
        assert capd.expect(wire.REVOKE)
    assert capd.silent(2) and pausable.status()["PauseReason"] == "locked"
    with Logind(pausable.bus_address) as logind:
        logind.show(ANNA)
        assert uploadd.expect(wire.HOLD).hold == NONE


def test_a_recording_that_begins_locked(pausable):
    """RECORD says so: if uploadd asked before it knew, the recording would begin as if capture had failed."""
    pausable.stop()
    with Logind(pausable.bus_address) as logind:
        logind.show(ANNA | {"locked": True})
        pausable.run()
        uploadd = pausable.uploadd()
        assert uploadd.expect(wire.RECORD).hold == LOCKED
        assert pausable.status()["State"] == "paused"
        logind.show(ANNA)
        assert uploadd.expect(wire.HOLD).hold == NONE
        assert pausable.capd().expect(wire.GRANT)


@pytest.mark.parametrize("local, remote", [("no", "yes"), ("yes", "no"), ("yes", "yes")])
def test_a_locked_session_is_recorded_where_both_say_so(agent, company, code, stack, local, remote):
    stack.apid.admin("policy", "set", "--company", company, "--record-locked", remote)
    agent.config["fps"] = f"5\nRecordLocked={local}"
    agent.run()
    agent.enrol(code(company))
    with Logind(agent.bus_address) as logind:
        logind.show(ANNA)
        uploadd, capd, _ = begin(agent)
        capd.expect(wire.GRANT)
        logind.show(ANNA | {"locked": True})
        if local == remote:
            assert capd.silent(2)
            assert agent.status()["State"] == "recording"
        else:
            assert capd.expect(wire.REVOKE)
            assert uploadd.expect(wire.HOLD).hold == LOCKED
