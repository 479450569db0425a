"""Who is at the seat, as uploadd is told."""

import ctypes
import os
import select
import socket

import pytest

from . import wire
from .logind import Logind

ANNA = {"id": "4", "user": "anna", "uid": 1000, "class": "user"}
LOGIN = {"id": "c1", "user": "gdm", "uid": 114, "class": "greeter"}
OPEN, SCREEN = 1, 2


def told(peer):
    """The next SESSION, as a tuple; nobody is (0, 0, "", "", "")."""
    message = peer.expect(wire.SESSION)
    assert message.reserved == 0
    return (message.flags, message.uid, wire.text(message.id), wire.text(message.seat), wire.text(message.user))


NOBODY = (0, 0, "", "", "")


def test_it_follows_the_seat(lone):
    with Logind(lone.bus_address) as logind:
        logind.show(LOGIN)
        lone.run()
        uploadd = lone.uploadd()
        while told(uploadd) != (OPEN | SCREEN, 114, "c1", "seat0", "gdm"):
            pass  # it may have asked before the stand-in knew
        logind.show(ANNA)
        while (session := told(uploadd)) != (OPEN, 1000, "4", "seat0", "anna"):
            assert session == NOBODY  # asked while the one session had gone and the other had not come
        logind.show(None)
        assert told(uploadd) == NOBODY
        logind.show(ANNA)
        assert told(uploadd) == (OPEN, 1000, "4", "seat0", "anna")

        # Whoever connects is told at once.
        uploadd.close()
        again = lone.uploadd()
        assert told(again) == (OPEN, 1000, "4", "seat0", "anna")
        again.close()


def test_logind_may_come_later_and_go(lone):
    lone.run()
    uploadd = lone.uploadd()
    assert told(uploadd) == NOBODY
    with Logind(lone.bus_address) as logind:
        logind.show(ANNA)
        while told(uploadd) != (OPEN, 1000, "4", "seat0", "anna"):
            pass
    # It is being restarted, for all that is known.
    assert uploadd.silent(1)
    with Logind(lone.bus_address) as logind:
        logind.show(None)
        assert told(uploadd) == NOBODY
    uploadd.close()


def test_a_name_that_does_not_fit_is_left_out(lone):
    """And nothing with it."""
    with Logind(lone.bus_address) as logind:
        lone.run()
        uploadd = lone.uploadd()
        for name in ("x" * 64, "a\tb"):
            logind.show(ANNA | {"user": name})
            while (session := told(uploadd)) != (OPEN, 1000, "4", "seat0", ""):
                assert session == NOBODY
            logind.show(ANNA | {"user": "x" * 63})
            while (session := told(uploadd)) != (OPEN, 1000, "4", "seat0", "x" * 63):
                assert session == NOBODY
        uploadd.close()


@pytest.mark.parametrize("which", [0, 1])
def test_it_does_not_go_on_without_the_bus(lone, which):
    """Of its two connections: to be asked, and to ask who is at the seat."""
    lone.run()
    pidfd, found = os.pidfd_open(lone.pid), []
    for number in sorted(map(int, os.listdir(f"/proc/{lone.pid}/fd"))):
        fd = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, number, 0)  # pidfd_getfd(2)
        if fd >= 0 and os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
            connection = socket.socket(fileno=fd)
            if connection.family == socket.AF_UNIX and connection.type == socket.SOCK_STREAM and str(lone.dir / "bus") == connection.getpeername():
                found.append(connection)
    assert len(found) == 2
    found[which].shutdown(socket.SHUT_RDWR)
    assert select.select([pidfd], [], [], 20)[0], "it goes on"
    process, lone._process = lone._process, None
    assert process.wait(20) != 0
    assert "The system bus is gone" in lone.log()
