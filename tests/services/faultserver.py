"""A strict HTTPS server that misbehaves by script, for tests of what an uploader does when things go wrong.

    with FaultServer(ca.issue("fault")) as server:
        server.script(Reply(503, {"Retry-After": "1"}), Reset(after=1000), Reply(200))
        ... upload to server.url + "/bucket/key" ...
        assert [r.complete for r in server.requests] == [True, False, True]
        assert not server.violations

Each request takes the next step of the script; after the last one the answer is 200. Requests that break HTTP or that
S3 would refuse (no exact length, a body that is not what its checksums say) get 400 and an entry in violations, and
use up no step.
"""

import base64
import dataclasses
import hashlib
import socket
import ssl
import struct
import threading
import time
import warnings

from .process import free_port

MAX_HEAD = 32 * 1024
MAX_BODY = 64 * 1024 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclasses.dataclass
class Reply:
    """Reads the request whole, then answers. early: answers without reading the body, and closes.

    delay: seconds before the answer. read_rate: the body is read at so many bytes a second. cut: so many bytes of
    the body are sent, fewer than Content-Length says, then the connection is closed.
    """
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""
    early: bool = False
    delay: float = 0
    read_rate: int = 0
    cut: int | None = None


@dataclasses.dataclass
class Reset:
    """Reads so many bytes of the body, then resets the TCP connection (RST)."""
    after: int = 0


@dataclasses.dataclass
class Silence:
    """Reads the request and never answers; the connection stays open for so many seconds."""
    seconds: float = 60


def redirect(location, status=307):
    return Reply(status, {"Location": location})


@dataclasses.dataclass
class Request:
    method: str
    target: str
    headers: dict  # lower-case names
    connection: int  # counts from 0: the same number means a connection kept alive
    body: bytes = b""
    complete: bool = False  # the whole body arrived


class _Violation(Exception):
    pass


class FaultServer:
    """host: the name in url. tls_maximum: to offer only old versions of TLS. address: where it listens."""

    def __init__(self, certificate, host="localhost", tls_maximum=None, address="127.0.0.1"):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.cert_file, certificate.key_file)
        if tls_maximum:
            self._context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():  # that they are deprecated is why they are offered
                warnings.simplefilter("ignore", DeprecationWarning)
                self._context.minimum_version = ssl.TLSVersion.TLSv1
                self._context.maximum_version = tls_maximum
        self.host = host
        self._address = address
        self.port = free_port()
        self.url = f"https://{host}:{self.port}"
        self.requests = []
        self.violations = []
        self.handshakes_failed = 0
        self._steps = []
        self._lock = threading.Lock()
        self._open = set()
        self._stopping = threading.Event()

    def __enter__(self):
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        self._listener = socket.create_server((self._address, self.port), family=family)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def script(self, *steps):
        """Replaces what is left of the script and forgets the requests so far."""
        with self._lock:
            self._steps = list(steps)
            self.requests = []
            self.violations = []

    def _accept(self):
        number = 0
        while not self._stopping.is_set():
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw, number), daemon=True).start()
            number += 1

    def _serve(self, raw, number):
        with self._lock:
            self._open.add(raw)
        try:
            raw.settimeout(120)
            try:
                connection = self._context.wrap_socket(raw, server_side=True)
            except OSError:
                self.handshakes_failed += 1
                return
            with self._lock:  # wrap_socket() has taken the descriptor over
                self._open.discard(raw)
                raw = connection
                self._open.add(raw)
            with connection, connection.makefile("rb") as stream:
                while self._one(connection, stream, number):
                    pass
        except OSError:
            pass  # the client went away: what it sent is in requests
        finally:
            raw.close()
            with self._lock:
                self._open.discard(raw)

    def _one(self, connection, stream, number):
        """One request. Returns whether the connection stays."""
        try:
            request, length = self._head(stream, number)
        except _Violation as e:
            self._violated(connection, str(e))
            return False
        if not request:
            return False
        with self._lock:
            step = self._steps.pop(0) if self._steps else Reply()
            self.requests.append(request)
        early = isinstance(step, Reply) and step.early
        if not early:
            if request.headers.get("expect", "").lower() == "100-continue":
                connection.sendall(CONTINUE)
            self._body(stream, request, length, step)
        if isinstance(step, Reset):
            # A linger time of 0 makes close() send RST (socket(7)).
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if not early:
            if not request.complete:
                return False
            wrong = self._checksums(request)
            if wrong:
                self._violated(connection, wrong)
                return False
        if isinstance(step, Silence):
            self._stopping.wait(step.seconds)
            return False
        self._stopping.wait(step.delay)
        return self._answer(connection, step)

    def _head(self, stream, number):
        lines, size = [], 0
        while True:
            line = stream.readline(MAX_HEAD)
            if not line and not lines:
                return None, 0
            size += len(line)
            if size > MAX_HEAD:
                raise _Violation("header over 32 KiB")
            if not line.endswith(b"\r\n"):
                raise _Violation("a header line does not end with CRLF")
            if line == b"\r\n":
                break
            lines.append(line[:-2].decode("latin-1"))
        parts = lines[0].split(" ")
        if len(parts) != 3 or parts[2] != "HTTP/1.1" or not parts[1].startswith("/"):
            raise _Violation(f"not an HTTP/1.1 request: {lines[0][:80]!r}")
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip() or name.lower() in headers:
                raise _Violation(f"malformed or repeated header: {name[:40]!r}")
            headers[name.lower()] = value.strip()
        if headers.get("host") != f"{self.host}:{self.port}":
            raise _Violation(f"Host is {headers.get('host')!r}")
        if "transfer-encoding" in headers:
            raise _Violation("Transfer-Encoding: S3 wants an exact Content-Length")
        length = headers.get("content-length", "0" if parts[0] in ("GET", "HEAD", "DELETE") else "")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY:
            raise _Violation(f"Content-Length is {length!r}")
        return Request(parts[0], parts[1], headers, number), int(length)

    def _body(self, stream, request, length, step):
        wanted = min(length, step.after) if isinstance(step, Reset) else length
        rate = step.read_rate if isinstance(step, Reply) else 0
        body = bytearray()
        try:
            while len(body) < wanted:
                piece = stream.read(min(wanted - len(body), max(rate // 10, 1) if rate else 65536))
                if not piece:
                    break
                body += piece
                if rate:
                    time.sleep(len(piece) / rate)
        finally:
            request.body = bytes(body)
            request.complete = len(body) == length

    @staticmethod
    def _checksums(request):
        """What S3 would refuse with BadDigest or XAmzContentSHA256Mismatch, or None."""
        sha256 = hashlib.sha256(request.body).digest()
        expected = {
            "content-md5": base64.b64encode(hashlib.md5(request.body, usedforsecurity=False).digest()).decode(),
            "x-amz-checksum-sha256": base64.b64encode(sha256).decode(),
            "x-amz-content-sha256": sha256.hex(),
        }
        for name, value in expected.items():
            given = request.headers.get(name, value)
            if given not in (value, "UNSIGNED-PAYLOAD"):
                return f"{name} is {given}, the body's is {value}"
        return None

    def _violated(self, connection, what):
        with self._lock:
            self.violations.append(what)
        self._answer(connection, Reply(400, body=what.encode(), early=True))

    @staticmethod
    def _answer(connection, reply):
        close = reply.early or reply.cut is not None
        headers = {"Content-Length": str(len(reply.body)), "Connection": "close" if close else "keep-alive",
                   **reply.headers}
        head = f"HTTP/1.1 {reply.status} {reply.status}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        connection.sendall(head.encode("latin-1") + b"\r\n" + reply.body[:reply.cut])
        if reply.early:
            # Closing with unread data would send RST, which can overtake the answer: end our half, read on for a while.
            connection.settimeout(2)
            socket.socket.shutdown(connection, socket.SHUT_WR)
            while connection.recv(65536):
                pass
        return not close
