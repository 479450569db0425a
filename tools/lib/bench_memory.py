"""How much memory the real uploadd takes to record raw frames: it runs, sandboxed as ever, between a capd and a brokerd of the tests'."""

import pathlib
import re
import shutil
import tempfile
import threading

import numpy

from services.ca import CertificateAuthority
from uploadd import wire
from uploadd.peers import Broker, Capd, Uploadd, output

INTERVAL = 0.05  # between frames


def _peak(pid):
    return int(re.search(r"VmHWM:\s*(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def _release(broker, stopping):
    """As if each segment were uploaded at once."""
    while not stopping.is_set():
        try:
            broker.release(broker.ready(0.2))
        except TimeoutError:
            pass


def measure(build, raw, width, height, frames=60):
    """The peak of its resident set, in bytes, with one output of the size."""
    pixels = numpy.memmap(raw, numpy.uint8, "r").reshape(-1, height, width, 4)
    run = pathlib.Path(tempfile.mkdtemp(prefix="uploadd-"))  # short, for the sockets' names
    authority = CertificateAuthority(run / "ca")
    program = Uploadd(build / "uploadd/streamsight-uploadd", run, authority.cert_file).start()
    capd = Capd(program.frame_socket, [output(0, width, height)])
    listener, stopping = wire.Listener(program.broker_socket), threading.Event()
    try:
        capd.pictures[0] = numpy.array(pixels[0])
        broker = Broker(listener)
        broker.record(interval=INTERVAL)
        releasing = threading.Thread(target=_release, args=(broker, stopping))
        releasing.start()
        try:
            for frame in pixels[:frames]:
                asked = capd.asked
                capd.pictures[0] = numpy.array(frame)
                while capd.asked < asked + 2 and program.process.poll() is None:
                    stopping.wait(INTERVAL / 4)
            return _peak(program.process.pid)
        finally:
            stopping.set()
            releasing.join()
            broker.connection.close()
    finally:
        capd.close()
        listener.close()
        program.stop()
        shutil.rmtree(run)
