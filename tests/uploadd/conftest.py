import os
import pathlib
import shutil
import tempfile

import pytest

from . import wire
from .peers import Broker, Capd, Uploadd


@pytest.fixture
def run_dir():
    # Short: a Unix socket's path may have 107 bytes (unix(7)).
    path = pathlib.Path(tempfile.mkdtemp(prefix="uploadd-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def uploadd(request, build, run_dir, ca, fault_server):
    """The real program, started, with nobody at its sockets yet; the fault server is its pinned bucket, or the parameter's path on it."""
    if os.geteuid() != 0:
        pytest.fail("these tests need root: uploadd speaks only to sockets that root listens on")
    program = Uploadd(build / "uploadd" / "streamsight-uploadd", run_dir, ca.cert_file,
                      [f"localhost:{fault_server.port}{getattr(request, 'param', '')}"]).start()
    yield program
    status = program.stop()
    assert status in (0, -9), f"uploadd ended with {status} (-31: killed by its sandbox)\n{program.log()}"
    assert "Sanitizer" not in program.log(), program.log()


@pytest.fixture
def capd(uploadd):
    capd = Capd(uploadd.frame_socket)
    yield capd
    capd.close()


@pytest.fixture
def listener(uploadd):
    listener = wire.Listener(uploadd.broker_socket)
    yield listener
    listener.close()


@pytest.fixture
def broker(listener):
    broker = Broker(listener)
    yield broker
    broker.connection.close()
