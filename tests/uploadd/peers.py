"""A capd and a brokerd of the tests', around the real uploadd."""

import base64
import ctypes
import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import threading
import time
import uuid

import numpy

from . import wire

XRGB8888 = int.from_bytes(b"XR24", "little")
# The kernel's numbers, linux/fcntl.h and linux/memfd.h: Python 3.11 has them only for fcntl.
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def output(number=0, width=320, height=200, name=b"Virtual-1"):
    return wire.Output(number, width, height, 60000, name, b"virtio_gpu")


def memfd(data, seals=SEALS):
    fd = os.memfd_create("frame", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def frame_of(number, pixels):
    """The message and the descriptor for a picture: an array of height × width × 4 bytes, blue first."""
    height, width, _ = pixels.shape
    pitch = width * 4
    plane = wire.Plane(plane_id=31, type=1, format=XRGB8888, n_memory=1, modifier=0, width=width, height=height,
                       pitches=(pitch, 0, 0, 0), src_w=width << 16, src_h=height << 16, crtc_w=width, crtc_h=height,
                       rotation=1, alpha=0xffff)
    message = wire.Frame(type=wire.FRAME, output=number, sequence=1, time=wire.boottime(), identity=1, width=width,
                         height=height, memory=wire.MEMORY_MEMFD, n_fds=1, n_planes=1)
    message.planes[0] = plane
    return message, pixels.tobytes()


class Capd:
    """Answers on frame.sock from a thread. pictures: output id → array, Scene, reason (int), FrameNone, or a function
    that gives one of them each time."""

    def __init__(self, path, outputs=None, silent_of_outputs=False):
        self.outputs = [output()] if outputs is None else outputs
        self.pictures = {o.id: numpy.zeros((o.height, o.width, 4), numpy.uint8) for o in self.outputs}
        self.left_out = 0
        self.asleep = 0  # bits of displays that are plugged in and not among the outputs
        self.change = lambda message: None  # of a FRAME before it is sent
        self.change_verdict = lambda message: None  # of a CONFIRMED, likewise
        self.seals = SEALS
        self.memory = lambda data: memfd(data, self.seals)  # a descriptor of a picture's bytes
        self.verdicts = []  # of the next frames that uploadd asks to confirm; those after are whole
        self.identity = 1  # of what is on the planes: of all outputs
        self.asked = self.asked_for_flips = self.confirmed = 0
        self.connections = 0
        self.silent = False
        self.silent_of_outputs = silent_of_outputs
        self._listener = wire.Listener(path)
        self._stopping = False
        self._connection = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._stopping = True  # the thread looks at least every 0.1 s, and closes its own connection
        self._thread.join(10)
        self._listener.close()

    def _run(self):
        while not self._stopping:
            try:
                self._connection = self._listener.accept(timeout=0.1)
            except TimeoutError:
                continue
            self.connections += 1
            try:
                while not self._stopping:
                    try:
                        self._answer(self._connection.receive(0.1))
                    except TimeoutError:
                        pass
            except (EOFError, OSError):
                pass
            self._connection.close()
            self._connection = None

    def tell_outputs(self):
        answer = wire.Outputs(wire.OUTPUTS, len(self.outputs), self.left_out, self.asleep)
        for i, o in enumerate(self.outputs):
            answer.outputs[i] = o
        self._connection.send(answer)

    def _answer(self, message):
        if message.type == wire.OUTPUTS_GET:
            if not self.silent_of_outputs:
                self.tell_outputs()
        elif message.type == wire.NEXT and not self.silent:
            self.asked += 1
            self.asked_for_flips += message.last_identity != 0
            if message.last_identity == self.identity:
                self._connection.send(wire.FrameNone(wire.NONE, message.output, wire.NO_FLIP))
            else:
                self._frame(message.output)
        elif message.type == wire.CONFIRM:
            self.confirmed += 1
            whole = self.verdicts.pop(0) if self.verdicts else wire.WHOLE
            answer = wire.FrameConfirmed(wire.CONFIRMED, message.output, message.sequence, whole)
            self.change_verdict(answer)
            self._connection.send(answer)

    def _frame(self, number):
        picture = self.pictures[number]
        if callable(picture):
            picture = picture()
        if isinstance(picture, int):
            picture = wire.FrameNone(wire.NONE, number, picture)
        if isinstance(picture, wire.FrameNone):
            self._connection.send(picture)
            return
        if isinstance(picture, numpy.ndarray):
            message, data = frame_of(number, picture)
            memories = [data]
        else:
            message, memories = picture.message(number), picture.memories
        message.identity = self.identity
        self.change(message)
        fds = [self.memory(data) for data in memories]
        try:
            self._connection.send(message, fds if len(fds) > 1 else fds * max(message.n_fds, 1))
        finally:
            for fd in fds:
                os.close(fd)


class Uploadd:
    """The real program. hosts: the pinned ones."""

    def __init__(self, program, directory, ca_file, hosts=("localhost",), config=None):
        self.directory = directory
        self.frame_socket = directory / "frame.sock"
        self.broker_socket = directory / "broker.sock"
        self.config = directory / "agent.conf"
        self.config.write_text(config or f"[Bucket]\nHosts={' '.join(hosts)}\nCAFile={ca_file}\n")
        self.log_file = directory / "uploadd.log"
        self._program = program
        self.process = None

    def start(self, **environment):
        # A sanitizer's leak check wants to trace the process: the sandbox kills it for that.
        environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0", "STREAMSIGHT_LOG_LEVEL": "7"} | environment
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [self._program, f"--config={self.config}", f"--frame-socket={self.frame_socket}",
                 f"--broker-socket={self.broker_socket}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment)
        return self

    def watch(self, seconds):
        """Starts it with systemd's watchdog (sd_watchdog_enabled(3)); fed() listens."""
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self.directory / "notify"))
        return self.start(NOTIFY_SOCKET=str(self.directory / "notify"), WATCHDOG_USEC=str(int(seconds * 1e6)))

    def fed(self, seconds):
        """Whether it feeds its watchdog within so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._notify.settimeout(left)
            try:
                if b"WATCHDOG=1" in self._notify.recv(4096):
                    return True
            except TimeoutError:
                pass
        return False

    def log(self):
        return self.log_file.read_text(errors="replace")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """The exit status; -SIGSYS would mean that the sandbox killed it."""
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait(10)


class Broker:
    """brokerd's end of broker.sock: greets, and sends what a test wants."""

    def __init__(self, listener):
        self.connection = listener.accept()
        self.connection.wait(wire.HELLO)

    def record(self, recording=None, *, seconds=60, size=8 << 20, interval=0.02, quality=85, outputs=~0,
               bytes_per_minute=0, cpu_ms_per_second=0, hold=0):
        recording = recording or uuid.uuid4()
        device = uuid.UUID("11111111-1111-4111-8111-111111111111")
        self.connection.send(wire.Record(wire.RECORD, quality, (wire.U8 * 16)(*recording.bytes),
                                         (wire.U8 * 16)(*device.bytes), int(interval * 1e9),
                                         outputs & 0xffffffffffffffff, seconds, size, bytes_per_minute, cpu_ms_per_second,
                                         hold))
        return recording

    def stop(self, recording):
        self.connection.send(wire.Recording(wire.STOP, 0, (wire.U8 * 16)(*recording.bytes)))

    def hold(self, why):
        """0: none, 1: paused, 2: locked."""
        self.connection.send(wire.Hold(wire.HOLD, why))

    def flush(self):
        self.connection.send(wire.Plain(wire.FLUSH))

    def release(self, segment):
        self.connection.send(wire.Segment(wire.RELEASE, segment.sequence, segment.recording))

    def ready(self, timeout=15):
        return self.connection.wait(wire.SEGMENT_READY, timeout)

    def stats(self, matching, timeout=15):
        return self.connection.wait(wire.STATS, timeout, matching)

    def upload(self, segment, url, *, headers=None, address="127.0.0.1"):
        message = wire.Upload(type=wire.UPLOAD, sequence=segment.sequence, recording=segment.recording,
                              url=url.encode())
        given = {
            "content-type": "application/vnd.streamsight.segment",
            "content-md5": base64.b64encode(bytes(segment.md5)).decode(),
            "x-amz-content-sha256": bytes(segment.sha256).hex(),
            "x-amz-checksum-sha256": base64.b64encode(bytes(segment.sha256)).decode(),
            "if-none-match": "*",
        } if headers is None else headers
        message.n_headers = len(given)
        for i, (name, value) in enumerate(given.items()):
            message.headers[i] = wire.Header(name.encode(), value.encode())
        if address:
            message.n_addresses = 1
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            packed = socket.inet_pton(family, address)
            message.addresses[0].family = family
            ctypes.memmove(message.addresses[0].address, packed, len(packed))
        self.connection.send(message)

    def uploaded(self, segment, timeout=15):
        """Waits for the outcome: None if it is in the bucket, or the FAILED message."""
        while True:
            message = self.connection.receive(timeout)
            if message.type in (wire.UPLOADED, wire.FAILED):
                assert message.sequence == segment.sequence
                return message if message.type == wire.FAILED else None
            self.connection.seen.append(message)


def check_ready(segment, body):
    """The announcement agrees with what arrived."""
    assert segment.size == len(body)
    assert bytes(segment.sha256) == hashlib.sha256(body).digest()
    assert bytes(segment.md5) == hashlib.md5(body, usedforsecurity=False).digest()
