"""Commands in the guest, over vm-agent's port (src/vm-port.h). Not to be used from several threads at once."""

import collections
import os
import select
import socket
import struct
import time

SYNC, EXEC, INPUT, KILL, OUTPUT, ERROR, EXIT = range(1, 8)
EXEC_INPUT, EXEC_MERGE = 1, 2
PAYLOAD_MAX = 32 * 1024
HEADER = struct.Struct("<III")

Result = collections.namedtuple("Result", "rc output")


class GuestError(Exception):
    """The guest did not answer in time, or the channel to it is broken."""


class CommandFailed(Exception):
    """A command in the guest ended with a status other than 0."""


class Process:
    """A command running in the guest."""

    def __init__(self, agent, channel, command):
        self._agent = agent
        self._channel = channel
        self._unread = b""
        self.command = command
        self.error = b""
        self.rc = None

    def write(self, data):
        """Gives it bytes (or text) on standard input."""
        if isinstance(data, str):
            data = data.encode()
        for i in range(0, len(data), PAYLOAD_MAX):
            self._agent.send(self._channel, INPUT, data[i:i + PAYLOAD_MAX])

    def close_input(self):
        self._agent.send(self._channel, INPUT)

    def kill(self, signal_number=15):
        """Signals the command's process group."""
        self._agent.send(self._channel, KILL, struct.pack("<I", signal_number))

    def _receive(self, kind, payload):
        if kind == OUTPUT:
            self._unread += payload
        elif kind == ERROR:
            self.error += payload
        elif kind == EXIT:
            self.rc, = struct.unpack("<I", payload)

    def read_line(self, timeout=60):
        """The next line of output as text, without its newline; None at the end."""
        end = time.monotonic() + timeout
        while b"\n" not in self._unread and self.rc is None:
            self._agent.receive(end, f"a line of output from '{self.command}'")
        line, newline, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace") if line or newline else None

    def wait(self, timeout=60):
        """Waits for its end. Returns Result(rc, output not read so far, as bytes)."""
        end = time.monotonic() + timeout
        while self.rc is None:
            self._agent.receive(end, f"the end of '{self.command}'")
        output, self._unread = self._unread, b""
        return Result(self.rc, output)


class Agent:
    """The host's end of the port."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._socket.setblocking(False)
        self._in = b""
        self._out = b""
        self._processes = {}
        self._next_channel = 1

    def close(self):
        self._socket.close()

    def sync(self, timeout):
        """Waits until the agent answers, and drops what was on its way before: at the start and after a loadvm."""
        self._processes.clear()
        self._in = self._out = b""
        end = time.monotonic() + timeout
        cookie = os.urandom(16)
        frame = HEADER.pack(0, SYNC, len(cookie)) + cookie
        self._out += frame
        while frame not in self._in:
            self._transfer(end, "vm-agent to answer")
        self._in = self._in.split(frame, 1)[1]

    def send(self, channel, kind, payload=b""):
        self._out += HEADER.pack(channel, kind, len(payload)) + payload
        while len(self._out) > 4 * PAYLOAD_MAX:
            self._transfer(time.monotonic() + 60, "vm-agent to take input")
            self._dispatch()

    def receive(self, end, what):
        """Transfers and handles something; GuestError when the time (of time.monotonic()) is over."""
        self._transfer(end, what)
        self._dispatch()

    def _transfer(self, end, what):
        left = end - time.monotonic()
        if left <= 0:
            raise GuestError(f"waited in vain for {what}")
        readable, writable, _ = select.select([self._socket], [self._socket] if self._out else [], [], left)
        try:
            if writable:
                self._out = self._out[self._socket.send(self._out[:1 << 20]):]
            if readable:
                data = self._socket.recv(1 << 20)
                if not data:
                    raise GuestError(f"QEMU has ended, while waiting for {what}")
                self._in += data
        except BlockingIOError:
            pass
        except OSError as e:
            raise GuestError(f"QEMU has ended ({e}), while waiting for {what}") from e

    def _dispatch(self):
        start = 0
        while len(self._in) - start >= HEADER.size:
            channel, kind, length = HEADER.unpack_from(self._in, start)
            if length > PAYLOAD_MAX:
                raise GuestError(f"vm-agent sent a frame of {length} bytes")
            if len(self._in) - start < HEADER.size + length:
                break
            start += HEADER.size
            process = self._processes.get(channel)
            if process:
                process._receive(kind, self._in[start:start + length])
                if kind == EXIT:
                    del self._processes[channel]
            start += length
        self._in = self._in[start:]

    def spawn(self, command, timeout=0, merge=True, stdin=True):
        """Starts a shell command; killed after `timeout` s of the guest's time (0: never), with status 124."""
        text = command.encode()
        if len(text) > PAYLOAD_MAX - 16:
            raise ValueError("the command is too long: put a script instead")
        channel = self._next_channel
        self._next_channel += 1
        process = self._processes[channel] = Process(self, channel, command)
        flags = (EXEC_INPUT if stdin else 0) | (EXEC_MERGE if merge else 0)
        self.send(channel, EXEC, struct.pack("<II", int(timeout * 1000), flags) + text)
        return process
