"""capd without a card, and without a virtual machine: which of its two sockets it reads first."""

import os
import signal
import socket

import pytest

from brokerd import wire as control
from sandbox.daemon import Place, end
from uploadd import wire as frame

UPLOADD, BROKERD = 64001, 64002  # as Place names them
HELLO_SIZE = 8


@pytest.fixture
def place(build):
    if os.geteuid() != 0:
        pytest.fail("these tests need root, to be one peer and then the other")
    with Place(build) as made:
        for name in ("frame", "control"):
            (made.dir / name).chmod(0o666)
        yield made


@pytest.fixture
def capd(place):
    started = place.confined("capd", attacked=False)
    yield started
    end(started)


def stop(capd):
    capd.send_signal(signal.SIGSTOP)
    os.waitpid(capd.pid, os.WUNTRACED)


def connect(place, name, uid):
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connected.settimeout(20)
    os.seteuid(uid)
    try:
        connected.connect(str(place.dir / name))
    finally:
        os.seteuid(0)
    connected.send(control.pack(control.HELLO, version=1))
    return connected


@pytest.mark.parametrize("stop_first", [False, True])
def test_a_grant_is_read_before_what_is_asked_because_of_it(place, capd, stop_first):
    """It was sent before, but capd had no time to look, and finds both; their connections too, if it was stopped first."""
    if stop_first:
        stop(capd)
    with connect(place, "frame", UPLOADD) as uploadd, connect(place, "control", BROKERD) as brokerd:
        if not stop_first:
            assert len(uploadd.recv(100)) == len(brokerd.recv(100)) == HELLO_SIZE
            stop(capd)
        # in the order in which a loop without priorities would read them
        uploadd.send(bytes(frame.FrameNext(frame.NEXT, 0, 0)))
        brokerd.send(control.pack(control.GRANT, outputs=1, min_interval=10**8, expires=frame.boottime() + 30 * 10**9))
        capd.send_signal(signal.SIGCONT)
        if stop_first:
            assert len(uploadd.recv(100)) == HELLO_SIZE
        answer = frame.FrameNone.from_buffer_copy(uploadd.recv(100))
    assert (answer.type, answer.reason) == (frame.NONE, frame.UNPLUGGED), capd.log()
