"""brokerd on a bus that it shares with users who mean harm: what they send costs little memory and time, and keeps nobody else out."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from . import agent, flood, wire
from .logind import Logind

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRIES = 6


def as_user(user, *words, **options):
    return subprocess.Popen(["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, **options)


def peak(pid):
    """MiB."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def spent(pid):
    """Seconds of processor."""
    return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("load", flood.LOADS)
def test_what_is_sent_costs_little(lone, load):
    """All of it waits when brokerd comes to read: what stands before an answer would have to be kept."""
    lone.run()
    before = spent(lone.pid)
    os.kill(lone.pid, signal.SIGSTOP)
    sender = as_user("nobody", "/usr/bin/python3", flood.__file__, lone.dir / "bus", load)
    try:
        assert sender.stdout.readline() == "sent\n"
    finally:
        os.kill(lone.pid, signal.SIGCONT)
    assert sender.wait(120) == 0, sender.stderr.read()
    assert peak(lone.pid) < 64, "one message of the largest size, and no more"
    assert spent(lone.pid) - before < 2
    assert lone.status()["State"] == "unenrolled"


def test_answers_that_nobody_reads_are_not_kept(monkeypatch, build, nowhere):
    """A bus takes no more from whom it holds so much of (127 MiB, and here one): what follows would be kept in brokerd."""
    monkeypatch.setattr(agent, "_BUS", agent._BUS.replace("</busconfig>", '<limit name="max_incoming_bytes">1000000</limit></busconfig>'))
    with agent.Agent(build, url="https://127.0.0.1:1", ca=nowhere) as lone:
        lone.run()
        sender = as_user("nobody", "/usr/bin/python3", flood.__file__, lone.dir / "bus", "deaf", stdin=subprocess.PIPE)
        assert sender.stdout.readline() == "sent\n"
        before = -1
        while (now := spent(lone.pid)) > before:  # it reads the calls
            before = now
            time.sleep(1)
        kept = peak(lone.pid)
        uploadd = lone.uploadd()
        with Logind(lone.bus_address) as logind:  # what brokerd asks is still answered
            logind.show({"id": "4", "user": "anna", "uid": 1000, "class": "user"})
            while wire.text(uploadd.expect(wire.SESSION).user) != "anna":
                pass
        uploadd.close()
        sender.communicate()
        assert lone.wait(lambda s: s["State"] == "unenrolled", "it answers again")
        assert kept < 32


def test_the_unit_has_room_for_one_message():
    """Of the 128 MiB that sd-bus takes, and dbus-broker lets through; dbus-daemon takes 32."""
    for unit in "packaging/systemd/streamsight-brokerd.service", "notifier/streamsight-notifier.service":
        maximum, = re.findall(r"^MemoryMax=(\d+)M$", (ROOT / unit).read_text(), re.M)
        assert int(maximum) >= 128 + 64, unit


def test_the_kernel_ends_others_first():
    """Where a user's processes take up the machine's memory."""
    for daemon in "capd", "uploadd", "brokerd":
        score, = re.findall(r"^OOMScoreAdjust=(-?\d+)$", (ROOT / f"packaging/systemd/streamsight-{daemon}.service").read_text(), re.M)
        assert int(score) < 0, daemon


class Polkit(flood.Client):
    """In polkit's place: says yes, and only when told to."""

    def __init__(self, bus):
        super().__init__(bus)
        self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName", "su",
                  flood.pad(flood.string("org.freedesktop.PolicyKit1"), 4) + b"\0\0\0\0", to="org.freedesktop.DBus")
        self.answers(2)
        self.asked = []

    def wait(self, n):
        while len(self.asked) < n:
            type, serial, sender, body = self.read()
            if type == flood.CALL:
                self.asked.append((serial, sender, body))

    def allow(self):
        for serial, sender, _ in self.asked:
            self.reply(sender, serial, "(bba{ss})", b"\1\0\0\0" + bytes(12))
        self.asked = []


@pytest.fixture
def polkit(lone):
    lone.run()
    return Polkit(str(lone.dir / "bus"))


def call(lone, user, method, *arguments):
    return as_user(user, "busctl", f"--address={lone.bus_address}", "--timeout=60", "call", "org.streamsight.Agent1", "/org/streamsight/Agent1",
                   "org.streamsight.Agent1", method, *arguments)


def test_the_call_is_carried_out_once_polkit_allows_it(lone, polkit):
    caller = call(lone, "nobody", "Enroll", "s", "ABCD-EFGH")
    polkit.wait(1)
    assert b"org.streamsight.Agent1.enroll\0" in polkit.asked[0][2]
    assert caller.poll() is None
    polkit.allow()
    assert "cannot be reached" in caller.communicate(timeout=60)[1], "the code went to the control plane"


def test_one_user_does_not_hold_every_place(lone, polkit):
    callers = [call(lone, "nobody", "Flush") for _ in range(TRIES)]
    polkit.wait(4)
    end = time.monotonic() + 60
    while len(refused := [caller for caller in callers if caller.poll() is not None]) < TRIES - 4:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert all("try again later" in caller.stderr.read() for caller in refused)
    other = call(lone, "daemon", "Flush")
    polkit.wait(5)
    assert "not enrolled" in lone.cli("flush").stderr, "root is not asked about"
    polkit.allow()
    for caller in {other, *callers} - set(refused):
        assert "not enrolled" in caller.communicate(timeout=60)[1]
    again = call(lone, "nobody", "Flush")
    polkit.wait(1)
    polkit.allow()
    assert "not enrolled" in again.communicate(timeout=60)[1], "the places are free again"


def test_one_connection_does_not_hold_every_place(lone):
    """Not even while the bus is yet to say whose it is: its answers come behind all that others have sent before."""
    lone.run()
    crowd, other = (flood.Client(str(lone.dir / "bus")) for _ in range(2))
    os.kill(lone.pid, signal.SIGSTOP)
    try:
        for _ in range(5000):  # more than there are places
            crowd.call(flood.PATH, flood.INTERFACE, "Flush", flags=flood.UNANSWERED)
        crowd.sent()
        other.call(flood.PATH, flood.INTERFACE, "Flush")
        other.sent()
    finally:
        os.kill(lone.pid, signal.SIGCONT)
    kind, _, _, answer = other.read()
    assert kind == flood.ERROR and b"not enrolled" in answer


def test_long_arguments_are_refused(lone):
    """Before anybody is asked about the caller."""
    lone.run()
    for text, saying in (("A" * 128, "cannot be reached"), ("A" * 129, "no enrolment code"), ("A" * 256, "more than 255 bytes")):
        caller = call(lone, "root", "Enroll", "s", text)
        assert saying in caller.communicate(timeout=60)[1]
    log = lone.log()
    assert "AAAA" not in log
