"""The fault server does what its script says, and accepts nothing that S3 would refuse."""

import os
import socket
import ssl
import time

import pytest
import requests

from services.faultserver import Reply, Reset, Silence, redirect


def test_fault_server_follows_its_script(fault_server, http):
    body = os.urandom(300_000)

    def put(**options):
        return http.put(fault_server.url + "/b/k", data=body, allow_redirects=False, **options)

    fault_server.script(Reply(503, {"Retry-After": "1"}), Reply(412), redirect("https://elsewhere.example.org/"))
    answers = [put() for _ in range(4)]
    assert [a.status_code for a in answers] == [503, 412, 307, 200]
    assert answers[0].headers["Retry-After"] == "1" and answers[2].headers["Location"].startswith("https://elsewhere")
    assert all(r.complete and r.body == body for r in fault_server.requests)
    assert len({r.connection for r in fault_server.requests}) == 1  # kept alive

    fault_server.script(Reset(after=1000))
    with pytest.raises(requests.ConnectionError):
        put()
    assert len(fault_server.requests[0].body) == 1000 and not fault_server.requests[0].complete

    fault_server.script(Silence())
    with pytest.raises(requests.Timeout):
        put(timeout=0.3)

    fault_server.script(Reply(403, early=True))
    assert put().status_code == 403 and fault_server.requests[0].body == b""

    fault_server.script(Reply(200, body=b"<xml/>", cut=3))
    answer = put()
    assert answer.headers["Content-Length"] == "6" and answer.content == b"<xm"

    fault_server.script(Reply(read_rate=1_000_000))
    begin = time.monotonic()
    assert put().status_code == 200 and time.monotonic() - begin > 0.25
    assert not fault_server.violations


@pytest.mark.parametrize("headers, what", [
    ({"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "content-md5"),
    ({"x-amz-content-sha256": "0" * 64}, "x-amz-content-sha256"),
    ({"x-amz-checksum-sha256": "wrong"}, "x-amz-checksum-sha256"),
    ({"Host": "other.example.org"}, "Host"),
])
def test_fault_server_is_strict(fault_server, http, headers, what):
    answer = http.put(fault_server.url + "/b/k", data=b"segment", headers=headers)
    assert answer.status_code == 400 and what in fault_server.violations[0]


def test_fault_server_refuses_chunks(fault_server, http):
    answer = http.put(fault_server.url + "/b/k", data=iter([b"a", b"b"]))
    assert answer.status_code == 400 and "Transfer-Encoding" in fault_server.violations[0]


@pytest.mark.parametrize("head, what", [
    ("PUT /b/k HTTP/1.0\r\n\r\n", "not an HTTP/1.1 request"),
    ("PUT /b/k HTTP/1.1\r\nHost: HOST\r\n\r\n", "Content-Length"),
    ("PUT /b/k HTTP/1.1\r\nHost: HOST\r\nContent-Length: +7\r\n\r\n", "Content-Length"),
    ("PUT /b/k HTTP/1.1\r\nHost: HOST\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n", "repeated"),
    ("PUT /b/k HTTP/1.1\nHost: HOST\n\n", "CRLF"),
])
def test_fault_server_reads_the_letter_of_http(fault_server, ca, head, what):
    context = ssl.create_default_context(cafile=ca.cert_file)
    with socket.create_connection(("127.0.0.1", fault_server.port)) as s, \
            context.wrap_socket(s, server_hostname="localhost") as t:
        t.sendall(head.replace("HOST", f"localhost:{fault_server.port}").encode())
        assert t.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert what in fault_server.violations[0]
