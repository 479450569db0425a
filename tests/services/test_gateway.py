"""The shipped gateway: what it refuses, bounds and tells apid."""

import concurrent.futures
import http.client
import http.server
import json
import socket
import ssl
import threading
import time

import pytest
import requests

from services import names
from services.ca import CertificateAuthority
from services.faultserver import FaultServer
from services.gateway import Gateway, Passthrough


LARGE = 15 << 20  # more than the kernel keeps between two who speak TCP


class _Witness(http.server.BaseHTTPRequestHandler):
    """An upstream that says what reached it."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _say(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = bytes(LARGE) if self.path == "/v1/large" else json.dumps({"path": self.path, "headers": dict(self.headers.items())}).encode()
        self.send_response(409 if self.path == "/v1/conflict" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/v1/large":
            self.server.written.set()

    def do_GET(self):
        if self.path.endswith("/slow"):
            self.server.waiting.release()
            assert self.server.gate.wait(60)
        self._say()

    do_POST = _say

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def witness():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Witness) as upstream:
        upstream.gate, upstream.waiting, upstream.written = threading.Event(), threading.Semaphore(0), threading.Event()
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        yield upstream
        upstream.shutdown()


@pytest.fixture(scope="module")
def witnessed(ca, services, witness):
    """A gateway of its own before the witness, so that it can be flooded."""
    gateway = Gateway(services.run_dir / "gw-witness", ca, witness.server_port)
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def behind(ca, services, witness):
    """(the public zone's nginx, the private one's behind it), before the witness."""
    gateway = Gateway(services.run_dir / "gw-behind", ca, witness.server_port, behind="127.0.0.1").start()
    passthrough = Passthrough(services.run_dir / "gw-passthrough", gateway).start()
    yield passthrough, gateway
    passthrough.stop()
    gateway.stop()


@pytest.fixture
def client(ca):
    """Asks by a connection of its own from an address of this machine, or from wherever a proxy says: (status, headers that
    arrived)."""
    def ask(port, path="/v1/thing", method="GET", *, source="127.0.0.1", proxy=None, headers={}):
        context = ssl.create_default_context(cafile=ca.cert_file)
        with socket.create_connection(("127.0.0.1", port), 60, (source, 0)) as s:
            if proxy:
                family, end = ("TCP6", "::1") if ":" in proxy else ("TCP4", "127.0.0.1")
                s.sendall(f"PROXY {family} {proxy} {end} 1024 443\r\n".encode())
            with context.wrap_socket(s, server_hostname=names.API) as t:
                connection = http.client.HTTPConnection(names.API)
                connection.sock = t
                connection.request(method, path, headers=headers)
                answer = connection.getresponse()
                body = json.loads(answer.read())
                return answer.status, {k.lower(): v for k, v in body.get("headers", {}).items()}
    return ask


def tls(port, version, name=names.API):
    """The protocol a client that offers only this version gets. ssl.SSLError if it is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # else OpenSSL's own policy refuses before the server is asked
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port)) as s, context.wrap_socket(s, server_hostname=name) as t:
        return t.version()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_gateway_refuses_tls_before_1_2(gateway, ca):
    with FaultServer(ca.issue("old-tls"), tls_maximum=ssl.TLSVersion.TLSv1_1) as old:
        assert tls(old.port, ssl.TLSVersion.TLSv1_1) == "TLSv1.1"  # the client could
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
            tls(gateway.port, version)
    assert tls(gateway.port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert tls(gateway.port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def test_gateway_tells_the_truth_about_the_client(witnessed, http):
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "chosen", "X-Real-IP": "203.0.113.9",
            "Forwarded": "for=203.0.113.9", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "example.org"}
    answer = http.get(witnessed.url + "/v1/thing?token=secret", headers=lies)
    seen = {k.lower(): v for k, v in answer.json()["headers"].items()}
    assert seen["x-forwarded-for"] == "127.0.0.1" and seen["x-forwarded-proto"] == "https"
    assert len(seen["x-request-id"]) == 32 and answer.headers["X-Request-Id"] == seen["x-request-id"]
    assert not {"x-real-ip", "forwarded", "x-forwarded-host"} & seen.keys()
    end = time.monotonic() + 10  # nginx writes the line after it has answered
    while seen["x-request-id"] not in witnessed.access_log.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert "secret" not in witnessed.access_log.read_text()


def test_gateway_answers(witnessed, http):
    answer = http.get(witnessed.url + "/v1/thing")
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=63072000")
    assert answer.headers["Server"] == "nginx"
    assert "Retry-After" not in answer.headers
    conflict = http.get(witnessed.url + "/v1/conflict")
    assert conflict.status_code == 409 and conflict.json()["path"] == "/v1/conflict"  # apid's own errors pass
    missing = http.get(witnessed.url + "/elsewhere")
    assert missing.status_code == 404 and missing.json()["status"] == 404
    assert missing.headers["Content-Type"] == "application/problem+json"
    assert missing.headers["Strict-Transport-Security"]


def test_gateway_bounds_bodies(witnessed, http):
    fits = http.post(witnessed.url + "/v1/thing", data=b"x" * 65536)
    assert fits.status_code == 200
    large = http.post(witnessed.url + "/v1/thing", data=b"x" * 65537)
    assert large.status_code == 413 and large.json()["status"] == 413


def test_gateway_limits_rates(witnessed, http):
    statuses = []
    while 429 not in statuses and len(statuses) < 500:
        refused = http.post(witnessed.url + "/v1/devices/enroll", data=b"{}")
        statuses.append(refused.status_code)
    assert statuses[:50] == [200] * 50 and statuses[-1] == 429
    assert refused.headers["Retry-After"] == "5" and refused.json()["status"] == 429
    assert http.get(witnessed.url + "/v1/thing").status_code == 200  # the others are not held up


@pytest.mark.parametrize("headers", [lambda name: {"Authorization": f"Bearer {name}"}, lambda name: {"Cookie": f"a=b; __Host-streamsight={name}"}])
def test_gateway_limits_each_caller(witnessed, http, headers):
    """One device or session cannot use up what all behind its address share."""
    ask = lambda name: http.get(witnessed.url + "/v1/thing", headers=headers(f"{name}.{kind}")).status_code
    statuses, kind = [], [*headers("")][0]
    while 429 not in statuses and len(statuses) < 2000:
        statuses.append(ask("greedy"))
    assert statuses[:100] == [200] * 100 and statuses[-1] == 429
    assert ask("modest") == 200 and http.get(witnessed.url + "/v1/thing").status_code == 200


# As apid takes them, too.
SPELLINGS = {"Authorization": ["Bearer {}", "bearer {}", "BEARER  {}", "Bearer     {}"],
             "Cookie": ["__Host-streamsight={}", "a=b;__Host-streamsight={}", "__HOST-STREAMSIGHT={}", '__Host-streamsight="{}"',
                        "a=b,__Host-streamsight ={}"]}


@pytest.mark.parametrize("header", SPELLINGS)
def test_gateway_knows_a_caller_however_spelt(witnessed, http, header):
    statuses, spellings = [], SPELLINGS[header]
    while 429 not in statuses and len(statuses) < 1000:
        statuses.append(http.get(witnessed.url + "/v1/thing", headers={
            header: spellings[len(statuses) % len(spellings)].format(f"caller.{header}")}).status_code)
    assert statuses[:100] == [200] * 100 and statuses[-1] == 429


@pytest.mark.parametrize("header", SPELLINGS)
def test_apid_knows_them_so_too(stack, http, header):
    token = stack.apid.viewer_token(stack.apid.create_company("Spelt Corp"))
    for spelling in SPELLINGS[header]:
        answer = http.get(f"http://127.0.0.1:{stack.apid.port}/v1/employees", headers={header: spelling.format(token)})
        assert answer.status_code == 200, spelling


def test_gateway_knows_a_network_of_ipv6(behind, client):
    """Whoever has one address of it has all."""
    _, gateway = behind
    enroll = lambda proxy: client(gateway.port, "/v1/devices/enroll", "POST", proxy=proxy)[0]
    statuses = []
    while 429 not in statuses and len(statuses) < 200:
        statuses.append(enroll(f"2001:db8:1:2:{len(statuses) + 1:x}:a0a:0a0a:{len(statuses) + 1:x}"))
    assert statuses[:50] == [200] * 50 and statuses[-1] == 429
    assert enroll("2001:db8:1:3::1") == enroll("2001:db8:1:a0a::1") == 200
    # An IPv4 address as IPv6 writes it is that one.
    assert any(enroll("::ffff:192.0.2.1") == 429 for _ in range(200))
    assert any(enroll("192.0.2.1") == 429 for _ in range(40))  # a network of its own would have fifty
    assert enroll("::ffff:192.0.2.2") == enroll("192.0.2.3") == 200


def test_gateway_keeps_places_for_others_logins(behind, client, witness):
    _, gateway = behind
    login = lambda proxy: client(gateway.port, "/v1/auth/slow", proxy=proxy)[0]
    witness.gate.clear()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        greedy = [pool.submit(login, "192.0.2.7") for _ in range(6)]
        done, waiting = concurrent.futures.wait(greedy, 5)
        modest = pool.submit(login, "192.0.2.8")
        try:
            assert [answer.result() for answer in done] == [429] * 2
            assert not concurrent.futures.wait([modest], 1).done
        finally:
            witness.gate.set()
        assert [answer.result() for answer in waiting] == [200] * 4 and modest.result() == 200


def test_gateway_behind_another_knows_the_client(behind, client):
    """Its address, by which the limits and the audit trail know it, is what the first nginx says, and nobody else."""
    passthrough, gateway = behind
    who = lambda port, **arguments: client(port, **arguments)[1]["x-forwarded-for"]
    assert who(passthrough.port, source="127.0.0.5") == "127.0.0.5"
    assert who(passthrough.port, source="127.0.0.6", headers={"X-Forwarded-For": "203.0.113.9"}) == "127.0.0.6"
    assert who(gateway.port, source="127.0.0.1", proxy="203.0.113.9") == "203.0.113.9"  # as the first one does
    assert who(gateway.port, source="127.0.0.7", proxy="203.0.113.9") == "127.0.0.7"
    with pytest.raises(OSError):
        client(gateway.port)  # nobody has said who it is
    statuses = []
    while 429 not in statuses and len(statuses) < 200:
        statuses.append(client(passthrough.port, "/v1/devices/enroll", "POST", source="127.0.0.8")[0])
    assert statuses[:50] == [200] * 50 and statuses[-1] == 429
    assert client(passthrough.port, "/v1/devices/enroll", "POST", source="127.0.0.9")[0] == 200


def test_gateway_limits_each_callers_connections(witnessed, ca, witness):
    def ask(name, path):
        with names.session(ca) as session:
            return session.get(witnessed.url + path, headers={"Authorization": f"Bearer {name}"}, timeout=60).status_code
    witness.gate.clear()
    witness.waiting = threading.Semaphore(0)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        held = [pool.submit(ask, "patient", "/v1/slow") for _ in range(32)]
        try:
            assert all(witness.waiting.acquire(timeout=20) for _ in held)
            assert ask("patient", "/v1/thing") == 429 and ask("another", "/v1/thing") == 200
        finally:
            witness.gate.set()
        assert {answer.result() for answer in held} == {200}
    assert ask("patient", "/v1/thing") == 200


def test_gateway_takes_an_answer_whole_from_apid(witnessed, ca, witness):
    """However slowly it is read: apid has it in memory as long as it is not taken."""
    context = ssl.create_default_context(cafile=ca.cert_file)
    with socket.create_connection(("127.0.0.1", witnessed.port)) as s, context.wrap_socket(s, server_hostname=names.API) as t:
        t.sendall(b"GET /v1/large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert witness.written.wait(8)
        size = 0
        while data := t.recv(1 << 16):
            size += len(data)
    assert size > LARGE


WEAK = ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-NULL-SHA", "AECDH-AES128-SHA"]


@pytest.mark.parametrize("suite", WEAK + ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_gateway_refuses_weak_suites(gateway, suite):
    """Those for our kind of certificate that OpenSSL knows and TLS 1.2 allows: without AEAD, with a short tag, without encryption."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(suite + ":@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", gateway.port)) as s:
        if suite in WEAK:
            with pytest.raises(ssl.SSLError, match="(?i)handshake.failure"):
                context.wrap_socket(s, server_hostname=names.API)
        else:
            with context.wrap_socket(s, server_hostname=names.API) as t:
                assert t.cipher()[0] == suite


def drip(gateway, ca, begin, piece):
    """Sends one piece after the other until the gateway has had enough; what it says, and how many pieces it took."""
    context = ssl.create_default_context(cafile=ca.cert_file)
    context.set_alpn_protocols(["http/1.1"])
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as s, context.wrap_socket(s, server_hostname=names.API) as t:
        t.settimeout(1)
        t.sendall(begin)
        for n in range(60):
            try:
                t.sendall(piece)
                return t.recv(4096), n
            except TimeoutError:
                pass
            except OSError:
                return b"", n
        return None, 60


def test_gateway_cuts_slow_headers(witnessed, ca):
    answer, pieces = drip(witnessed, ca, b"GET /v1/thing HTTP/1.1\r\nHost: x\r\n", b"A: b\r\n")
    assert answer is not None and b"200" not in answer[:15] and pieces > 0


def test_gateway_cuts_slow_bodies(witnessed, ca):
    """One that pauses for longer than a network does. (apid hears of no request before it is whole.)"""
    begin = b"POST /v1/thing HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    answer, pieces = drip(witnessed, ca, begin, b"")
    assert answer is not None and b"200" not in answer[:15] and pieces > 0


def test_gateway_without_apid(ca, http, services):
    gateway = Gateway(services.run_dir / "gw-alone", ca, 1)  # tcpmux: nobody listens there
    gateway.start()
    try:
        answer = http.get(gateway.url + "/v1/thing")
        assert answer.status_code == 502 and answer.json()["status"] == 502
        assert answer.headers["Retry-After"] == "10"
    finally:
        gateway.stop()


def test_gateway_with_bad_certificates(ca, http, services, tmp_path):
    wrong = CertificateAuthority(tmp_path / "wrong").issue("api")
    for certificate, why in ((ca.issue("expired", expired=True), "expired"), (wrong, "unable to get local issuer|unknown"),
                             (ca.issue("other", ["DNS:other.example.org"]), "doesn't match|mismatch")):
        gateway = Gateway(services.run_dir / "gw-bad", ca, 1, certificate)
        gateway.start()
        try:
            with pytest.raises(requests.exceptions.SSLError, match=why):
                http.get(gateway.url + "/v1/thing")
        finally:
            gateway.stop()
