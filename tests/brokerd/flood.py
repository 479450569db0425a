"""What an ordinary user may put on the bus to harm who serves there, in D-Bus as it goes over the socket: no library sends it. Run as a
program, by that user: BUS LOAD. It says "sent" once the bus has all of it, and ends once all of it was answered."""

import os
import socket
import struct
import sys

NAME, PATH, INTERFACE = "org.streamsight.Agent1", "/org/streamsight/Agent1", "org.streamsight.Agent1"
PROPERTIES = "org.freedesktop.DBus.Properties"
CALL, RETURN, ERROR, SIGNAL = range(1, 5)
UNANSWERED = 1  # NO_REPLY_EXPECTED
LARGE = 30 << 20  # a bus takes 32 MiB


def pad(data, to=8):
    return data + b"\0" * (-len(data) % to)


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<I", len(data)) + data + b"\0"


class Client:
    """A connection to the bus, without a library's manners."""

    def __init__(self, bus):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(bus)
        self._socket.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\nBEGIN\r\n")
        while not self._socket.recv(4096).endswith(b"\r\n"):
            pass
        self._stream, self._serial, self.answered = self._socket.makefile("rb"), 0, 0
        self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", to="org.freedesktop.DBus")
        self.answers(1)

    def _send(self, type, fields, body, flags=0):
        self._serial += 1
        data = b""
        for code, kind, value in fields:
            if value:
                data = pad(data) + bytes([code, 1]) + kind + b"\0" + (bytes([len(value)]) + value.encode() + b"\0" if kind == b"g" else
                                                                      struct.pack("<I", value) if kind == b"u" else string(value))
        head = struct.pack("<cBBBIII", b"l", type, flags, 1, len(body), self._serial, len(data))
        self._socket.sendall(pad(head + data) + body)

    def call(self, path, interface, member, signature="", body=b"", to=NAME, flags=0):
        self._send(CALL, [(1, b"o", path), (2, b"s", interface), (3, b"s", member), (6, b"s", to), (8, b"g", signature)], body, flags)

    def signal(self, path, interface, member, to, signature="", body=b""):
        self._send(SIGNAL, [(1, b"o", path), (2, b"s", interface), (3, b"s", member), (6, b"s", to), (8, b"g", signature)], body)

    def reply(self, to, serial, signature="", body=b""):
        self._send(RETURN, [(5, b"u", serial), (6, b"s", to), (8, b"g", signature)], body)

    def read(self):
        """The next message: its type, what it answers or else its own serial, its sender, its body."""
        head = self._stream.read(16)
        _, type, _, _, length, serial, size = struct.unpack("<cBBBIII", head)
        data, sender, at = self._stream.read(size + -size % 8), None, 0
        while at < size:
            code, kind, at = data[at], data[at + 2:at + 3], at + 4
            if kind == b"g":
                at += data[at] + 2
            else:
                value, at = struct.unpack_from("<I", data, at)[0], at + 4
                if kind != b"u":
                    text, at = data[at:at + value].decode(), at + value + 1
                serial = value if code == 5 else serial
                sender = text if code == 7 else sender
            at += -at % 8
        return type, serial, sender, self._stream.read(length)

    def answers(self, n, to=None):
        """Waits until n calls were answered, or that one was."""
        while self.answered < n:
            type, serial, _, _ = self.read()
            self.answered += type in (RETURN, ERROR)
            if type in (RETURN, ERROR) and serial == to:
                break

    def sent(self):
        """The bus has everything that was sent before."""
        self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId", to="org.freedesktop.DBus")
        self.answers(self._serial, to=self._serial)


def _each(bus, connections, calls, *arguments, flags=0):
    clients = [Client(bus) for _ in range(connections)]
    for client in clients:
        for _ in range(calls):
            client.call(*arguments, flags=flags)
        client.sent()
    print("sent", flush=True)
    for client in clients:
        client.answers(2 if flags & UNANSWERED else calls + 2)
        client.call(PATH, "org.freedesktop.DBus.Peer", "Ping")
        client.answers(client.answered + 1)


def _large(bus, *arguments):
    _each(bus, 3, 4, *arguments)


LARGE_TEXT = string(b"A" * LARGE)
LOADS = {
    "codes": lambda bus: _large(bus, PATH, INTERFACE, "Enroll", "s", LARGE_TEXT),
    "levels": lambda bus: _large(bus, "/org/freedesktop/LogControl1", PROPERTIES, "Set", "ssv",
                                 pad(pad(string("org.freedesktop.LogControl1"), 4) + string("LogLevel") + b"\1s\0", 4) + LARGE_TEXT),
    "signatures": lambda bus: _large(bus, PATH, INTERFACE, "Start", "s", LARGE_TEXT),
    "interfaces": lambda bus: _large(bus, PATH, PROPERTIES, "GetAll", "s", LARGE_TEXT),
    "paths": lambda bus: _each(bus, 3, 4, "/a" * 32000, PROPERTIES, "GetAll", "s", string("a.b")),
    "calls": lambda bus: _each(bus, 2, 20000, PATH, INTERFACE, "Start", flags=UNANSWERED),
}


def deaf(bus):
    """Asks for much and reads nothing, until its standard input ends."""
    clients = [Client(bus) for _ in range(60)]
    for client in clients:
        for _ in range(120):  # a bus lets 128 wait
            client.call(PATH, "org.freedesktop.DBus.Introspectable", "Introspect")
    print("sent", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    (LOADS | {"deaf": deaf})[sys.argv[2]](sys.argv[1])
