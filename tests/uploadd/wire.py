"""common/wire.h for the tests: the messages of frame.sock and broker.sock as ctypes structures, and the test's end of
a connection."""

import array
import ctypes
import os
import select
import socket
import time

VERSION = 1

U8, U16, U32, U64, I32, CHAR = (ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32,
                                ctypes.c_char)


def _message(name, *fields):
    return type(name, (ctypes.Structure,), {"_fields_": list(fields)})


Hello = _message("Hello", ("type", U32), ("version", U32))
Plain = _message("Plain", ("type", U32), ("reserved", U32))
Output = _message("Output", ("id", U32), ("width", U32), ("height", U32), ("refresh_mhz", U32), ("name", CHAR * 32),
                  ("driver", CHAR * 32))
Outputs = _message("Outputs", ("type", U32), ("n_outputs", U16), ("n_left_out", U16), ("asleep", U64),
                   ("outputs", Output * 16))
FrameNext = _message("FrameNext", ("type", U32), ("output", U32), ("last_identity", U64))
Plane = _message("Plane", ("plane_id", U32), ("type", U32), ("format", U32), ("n_memory", U32), ("modifier", U64),
                 ("width", U32), ("height", U32), ("pitches", U32 * 4), ("offsets", U32 * 4), ("fds", U32 * 4),
                 ("src_x", U32), ("src_y", U32), ("src_w", U32), ("src_h", U32), ("crtc_x", I32), ("crtc_y", I32),
                 ("crtc_w", U32), ("crtc_h", U32), ("rotation", U32), ("zpos", U32), ("alpha", U32),
                 ("blend_mode", U32), ("color_encoding", U32), ("color_range", U32), ("hotspot_x", I32),
                 ("hotspot_y", I32))
Hdr = _message("Hdr", ("eotf", U32), ("colorspace", U32), ("max_luminance", U32), ("min_luminance", U32),
               ("max_content", U32), ("max_average", U32))
Frame = _message("Frame", ("type", U32), ("output", U32), ("sequence", U64), ("time", U64), ("identity", U64),
                 ("width", U32), ("height", U32), ("memory", U32), ("n_fds", U32), ("n_planes", U32),
                 ("pointer_missing", U32), ("hdr", Hdr), ("planes", Plane * 12))
FrameConfirm = _message("FrameConfirm", ("type", U32), ("output", U32), ("sequence", U64))
FrameConfirmed = _message("FrameConfirmed", ("type", U32), ("output", U32), ("sequence", U64), ("whole", U32),
                          ("reserved", U32))
FrameNone = _message("FrameNone", ("type", U32), ("output", U32), ("reason", U32), ("format", U32),
                     ("modifier", U64), ("not_before", U64))
Record = _message("Record", ("type", U32), ("quality", U32), ("recording", U8 * 16), ("device", U8 * 16),
                  ("frame_interval", U64), ("outputs", U64), ("segment_seconds", U32), ("segment_bytes", U32),
                  ("bytes_per_minute", U64), ("cpu_ms_per_second", U32), ("hold", U32))
Session = _message("Session", ("type", U32), ("flags", U32), ("uid", U32), ("reserved", U32), ("id", CHAR * 32),
                   ("seat", CHAR * 32), ("user", CHAR * 64))
Hold = _message("Hold", ("type", U32), ("hold", U32))
Recording = _message("Recording", ("type", U32), ("n_segments", U32), ("recording", U8 * 16))
Segment = _message("Segment", ("type", U32), ("sequence", U32), ("recording", U8 * 16))
SegmentReady = _message("SegmentReady", ("type", U32), ("sequence", U32), ("recording", U8 * 16),
                        ("sha256", U8 * 32), ("previous_sha256", U8 * 32), ("md5", U8 * 16), ("size", U64),
                        ("start_realtime", U64), ("end_realtime", U64), ("n_frames", U32), ("final", U32))
Header = _message("Header", ("name", CHAR * 64), ("value", CHAR * 1024))
Address = _message("Address", ("family", U16), ("reserved", U16), ("scope_id", U32), ("address", U8 * 16))
Upload = _message("Upload", ("type", U32), ("sequence", U32), ("recording", U8 * 16), ("n_headers", U32),
                  ("n_addresses", U32), ("url", CHAR * 4096), ("headers", Header * 24), ("addresses", Address * 8))
Failed = _message("Failed", ("type", U32), ("sequence", U32), ("recording", U8 * 16), ("error", I32),
                  ("http_status", U32), ("text", CHAR * 256))
Stats = _message("Stats", ("type", U32), ("recording", U32), ("n_outputs", U32), ("reason", U32), ("format", U32),
                 ("pending_segments", U32), ("modifier", U64), ("pending_bytes", U64), ("frames", U64),
                 ("last_frame_realtime", U64), ("outputs", Output * 16), ("text", CHAR * 256))

HELLO = 0x1
OUTPUTS_GET, OUTPUTS, NEXT, FRAME, NONE, CONFIRM, CONFIRMED = range(0x101, 0x108)
RECORD, STOP, FLUSH, SEGMENT_READY, UPLOAD, UPLOADED, FAILED, RELEASE, FINISHED, STATS, SESSION, HOLD, RESTART = range(0x301, 0x30E)

NO_GRANT, TOO_SOON, OFF, UNFINISHED, UNPLUGGED, UNDECODABLE, NO_FLIP = range(1, 8)
MEMORY_DMABUF, MEMORY_MEMFD = 1, 2
WHOLE, AGAIN, TORN = 1, 2, 3

FROM_UPLOADD = {HELLO: Hello, OUTPUTS_GET: Plain, NEXT: FrameNext, CONFIRM: FrameConfirm, SEGMENT_READY: SegmentReady, UPLOADED: Segment,
                FAILED: Failed, FINISHED: Recording, STATS: Stats}


def boottime():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Listener:
    """A listening socket as systemd would make it."""

    def __init__(self, path):
        self.path = str(path)
        self._socket = None
        self.open()

    def open(self):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(self.path)
        self._socket.listen()

    def close(self):
        if self._socket:
            self._socket.close()
            os.unlink(self.path)
            self._socket = None

    def fileno(self):
        return self._socket.fileno()

    def accept(self, timeout=10, hello=True):
        """The next connection, greeted."""
        self._socket.settimeout(timeout)
        connection = Connection(self._socket.accept()[0])
        if hello:
            connection.send(Hello(HELLO, VERSION))
        return connection


class Connection:
    """Our end. Messages that nobody waited for are kept in self.seen."""

    def __init__(self, sock):
        self._socket = sock
        self.seen = []

    def close(self):
        self._socket.close()

    def fileno(self):
        return self._socket.fileno()

    def send(self, message, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._socket.sendmsg([bytes(message)], ancillary)

    def waiting(self, timeout=0):
        """Whether there is something to receive."""
        return bool(select.select([self._socket], [], [], timeout)[0])

    def receive(self, timeout=10):
        """The next message; EOFError if uploadd has hung up, TimeoutError if it says nothing."""
        if not self.waiting(timeout):
            raise TimeoutError("uploadd says nothing")
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError("uploadd has hung up")
        kind = FROM_UPLOADD[int.from_bytes(data[:4], "little")]
        assert len(data) == ctypes.sizeof(kind), f"{kind.__name__} of {len(data)} bytes"
        return kind.from_buffer_copy(data)

    def wait(self, wanted, timeout=15, matching=lambda message: True):
        """The next message of that type; others before it go to self.seen."""
        end = time.monotonic() + timeout
        while True:
            message = self.receive(max(end - time.monotonic(), 0.001))
            if message.type == wanted and matching(message):
                return message
            self.seen.append(message)

    def ended(self, timeout=10):
        """True once uploadd has hung up."""
        end = time.monotonic() + timeout
        try:
            while time.monotonic() < end:
                self.receive(max(end - time.monotonic(), 0.001))
        except EOFError:
            return True
        except TimeoutError:
            pass
        return False
