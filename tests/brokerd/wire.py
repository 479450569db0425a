"""common/wire.h in Python, as far as brokerd speaks it: what a peer would send and what it receives."""

import os
import socket
import struct
import time

HELLO = 0x1
GRANT, REVOKE, STATUS = 0x201, 0x202, 0x204
RECORD, STOP, FLUSH, SEGMENT_READY, UPLOAD, UPLOADED, FAILED, RELEASE, FINISHED, STATS, SESSION, HOLD, RESTART = range(0x301, 0x30E)

_FORMATS = {
    HELLO: ("=II", ("version",)),
    GRANT: ("=IIQQQ", ("reserved", "outputs", "min_interval", "expires")),
    REVOKE: ("=II", ("reserved",)),
    STATUS: ("=IIIIQQQ", ("n_cards", "n_outputs", "last_reason", "grant_expires", "frames", "refusals")),
    RECORD: ("=II16s16sQQIIQII", ("quality", "recording", "device", "frame_interval", "outputs", "segment_seconds",
                                  "segment_bytes", "bytes_per_minute", "cpu_ms_per_second", "hold")),
    SESSION: ("=IIII32s32s64s", ("flags", "uid", "reserved", "id", "seat", "user")),
    HOLD: ("=II", ("hold",)),
    RESTART: ("=II", ("reserved",)),
    STOP: ("=II16s", ("n_segments", "recording")),
    FLUSH: ("=II", ("reserved",)),
    SEGMENT_READY: ("=II16s32s32s16sQQQII", ("sequence", "recording", "sha256", "previous_sha256", "md5", "size",
                                             "start_realtime", "end_realtime", "n_frames", "final")),
    UPLOADED: ("=II16s", ("sequence", "recording")),
    FAILED: ("=II16siI256s", ("sequence", "recording", "error", "http_status", "text")),
    RELEASE: ("=II16s", ("sequence", "recording")),
    FINISHED: ("=II16s", ("n_segments", "recording")),
}
_HEADER, _ADDRESS, _OUTPUT = struct.Struct("=64s1024s"), struct.Struct("=HHI16s"), struct.Struct("=IIII32s32s")
_UPLOAD = struct.Struct("=II16sII4096s")
_SENT = struct.Struct("=qq")  # struct timespec
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h
_STATS = struct.Struct("=IIIIIIQQQQ")


def text(raw):
    return raw.split(b"\0", 1)[0].decode()


def pack(kind, **values):
    form, names = _FORMATS[kind]
    return struct.pack(form, kind, *(values.get(name, 0) for name in names))


def pack_stats(*, recording=0, outputs=(), pending_segments=0, pending_bytes=0, text=""):
    listed = [_OUTPUT.pack(i, width, height, 60000, name.encode(), b"test") for i, (name, width, height) in
              enumerate(outputs)]
    body = b"".join(listed).ljust(16 * _OUTPUT.size, b"\0")
    return _STATS.pack(STATS, recording, len(outputs), 0, 0, pending_segments, 0, pending_bytes, 0, 0) + body + \
        text.encode().ljust(256, b"\0")


class Message(dict):
    """A received message: its kind, and its fields as attributes; and sent, when it was (ns since the epoch)."""

    def __init__(self, data, sent=None):
        kind, = struct.unpack_from("=I", data)
        super().__init__(kind=kind, sent=sent)
        if kind == UPLOAD:
            _, sequence, recording, n_headers, n_addresses, url = _UPLOAD.unpack_from(data)
            at = _UPLOAD.size
            headers = [_HEADER.unpack_from(data, at + i * _HEADER.size) for i in range(n_headers)]
            at += 24 * _HEADER.size
            addresses = [_ADDRESS.unpack_from(data, at + i * _ADDRESS.size) for i in range(n_addresses)]
            assert len(data) == at + 8 * _ADDRESS.size
            self.update(sequence=sequence, recording=recording, url=text(url),
                        headers={text(name): text(value) for name, value in headers},
                        addresses=[socket.inet_ntop(family, raw[:4] if family == socket.AF_INET else raw)
                                   for family, _, _, raw in addresses])
        else:
            form, names = _FORMATS[kind]
            assert len(data) == struct.calcsize(form), f"message {kind:#x} has {len(data)} bytes"
            self.update(zip(names, struct.unpack(form, data)[1:]))

    __getattr__ = dict.__getitem__


class Peer:
    """One end of a connection, past HELLO."""

    def __init__(self, connected):
        self.socket = connected
        self.socket.settimeout(20)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.send(HELLO, version=1)
        assert self.receive().kind == HELLO

    @classmethod
    def connect(cls, path, another=False):
        """another: as a process of its own, which is what SO_PEERCRED shows."""
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if another:
            child = os.fork()
            if child == 0:
                connected.connect(str(path))
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        else:
            connected.connect(str(path))
        return cls(connected)

    def send(self, kind, **values):
        self.socket.send(pack(kind, **values))

    def receive(self, timeout=20):
        self.socket.settimeout(timeout)
        data, ancillary, *_ = self.socket.recvmsg(1 << 17, socket.CMSG_SPACE(_SENT.size))
        if not data:
            raise EOFError("the connection was closed")
        # None: sent before the connection asked for the time
        times = [_SENT.unpack(value) for _, kind, value in ancillary if kind == _SO_TIMESTAMPNS]
        return Message(data, times[0][0] * 10**9 + times[0][1] if times else None)

    def expect(self, kind, timeout=20):
        """The next message of this kind; what comes before it is dropped."""
        end = time.monotonic() + timeout
        while True:
            message = self.receive(max(0.001, end - time.monotonic()))
            if message.kind == kind:
                return message

    def silent(self, seconds):
        """Whether nothing is asked of the peer for so long; who is at the seat it is told anyway."""
        end = time.monotonic() + seconds
        try:
            while self.receive(max(0.001, end - time.monotonic())).kind == SESSION:
                pass
        except TimeoutError:
            return True
        return False

    def closed(self, timeout=10):
        """Whether the other end ends the connection in time."""
        try:
            while True:
                self.receive(timeout)
        except (EOFError, ConnectionResetError):
            return True
        except TimeoutError:
            return False

    def close(self):
        self.socket.close()
