"""HTTP itself, the life of the process, and the database going away under it."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from services.process import Process, free_port

from .client import Api, code_of, once_it_asks

# Nobody's; always the same, because the tests' names hold it
UNKNOWN = "5d0c1f6e-9b7a-4c3d-8e2f-1a0b9c8d7e6f"


def raw(api, data):
    """Sends bytes, reads until the server closes."""
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as s:
        answer = b""
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while chunk := s.recv(65536):
                answer += chunk
        except TimeoutError:
            raise
        except OSError:  # it had closed before it had read all
            pass
    return answer


def test_health(api):
    answer = api("GET", "/v1/health")
    assert answer.status_code == 200 and answer.json() == {"status": "ok"}


@pytest.mark.parametrize("path", [
    "/", "/v1", "/v1/", "/v1/health/", "//v1/health", "/v2/health", "/v1/recordings/x", "/v1/recordings/" + "0" * 36,
    f"/v1/recordings/{UNKNOWN}/", f"/v1/recordings/{UNKNOWN.upper()}/segments",
    f"/v1/recordings/{UNKNOWN}/segments/-1/complete", f"/v1/recordings/{UNKNOWN}/segments/01/complete",
    f"/v1/recordings/{UNKNOWN}/segments/100000000/complete", "/v1/{uuid}", "/v1/recordings/{uuid}/segments",
    pytest.param("/" + "x" * 5000, id="long"), "/v1/../etc/passwd"])
def test_unknown_path(api, path):
    assert code_of(api("GET", path)) == (404, "not_found")
    assert code_of(api("POST", path, {})) == (404, "not_found")


@pytest.mark.parametrize("method, path, allow", [
    ("POST", "/v1/health", "GET"), ("DELETE", f"/v1/recordings/{UNKNOWN}", "PUT"), ("GET", "/v1/devices/enroll", "POST"),
    ("PUT", f"/v1/recordings/{UNKNOWN}/segments", "POST, GET"), ("OPTIONS", "/v1/health", "GET"),
    ("BREW", "/v1/health", "GET")])
def test_wrong_method(api, method, path, allow):
    answer = api(method, path)
    assert code_of(answer) == (405, "method_not_allowed") and answer.headers["Allow"] == allow


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b"1", b'{"sequence": 0, "sequence": 1}', b"{} {}", b'{"sha256": "\xff"}', b'{"a": "\\u0000"}',
    pytest.param(b"[" * 60000, id="deep"), b'{"a": NaN}', b"\xef\xbb\xbf{}"])
def test_body_that_is_no_json_object(api, device, body):
    answer = api("POST", f"/v1/recordings/{UNKNOWN}/segments", token=device.token, data=body,
                 headers={"Content-Type": "application/json"})
    assert code_of(answer) == (400, "body_invalid")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/jsonx", "application/x-www-form-urlencoded", ""])
def test_body_of_another_type(api, device, kind):
    answer = api("POST", f"/v1/recordings/{UNKNOWN}/segments", token=device.token, data=b"{}",
                 headers={"Content-Type": kind} if kind is not None else {})
    assert code_of(answer) == (415, "body_type_unsupported")
    answer = api("POST", f"/v1/recordings/{UNKNOWN}/segments", token=device.token, data=b"{}",
                 headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert code_of(answer) == (422, "field_invalid")


def test_too_large_body(api, device):
    headers = {"Content-Type": "application/json"}
    path = f"/v1/recordings/{UNKNOWN}/segments"
    largest = b"{}" + b" " * (65536 - 2)
    assert code_of(api("POST", path, token=device.token, data=largest, headers=headers)) == (422, "field_invalid")
    assert code_of(api("POST", path, token=device.token, data=iter([largest, b" "]), headers=headers)) == (413, "body_too_large")
    for length in (b"65537", b"99999999999999999999999"):
        answer = raw(api, b"POST /v1/devices/enroll HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " + length + b"\r\n\r\n")
        assert answer.split(b"\r\n")[0].split()[1] in (b"413", b"400"), answer


GARBAGE = {
    "encoded NUL": b"GET /v1/health%00x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "version": b"GET / HTTP/9.9\r\n\r\n",
    "HTTP/0.9": b"GET /v1/health\r\n\r\n",
    "long line": b"x" * 100000,
    "no Host": b"GET /v1/health HTTP/1.1\r\n\r\n",
    "negative length": b"POST /v1/devices/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\nConnection: close\r\n\r\n",
    "bad chunk": b"POST /v1/devices/enroll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
    "many headers": b"GET /v1/health HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10000 + b"\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_survived(api, name):
    assert b" 200 " not in raw(api, GARBAGE[name])[:20]
    assert api("GET", "/v1/health").status_code == 200


def test_its_memory_is_closed(apid):
    status = pathlib.Path(f"/proc/{apid.process.pid}/status").read_text()
    assert pathlib.Path(f"/proc/{apid.process.pid}/mem").stat().st_uid == 0
    limits = pathlib.Path(f"/proc/{apid.process.pid}/limits").read_text()
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]
    assert "Name:\tapid" in status


def test_nothing_secret_is_logged_or_in_the_command_line(apid, stack, api, device, viewer):
    device.offer(device.open(), 0, b"zero")
    device.request_token("forged")
    text = apid.log.read_text() + pathlib.Path(f"/proc/{apid.process.pid}/cmdline").read_text() + \
        pathlib.Path(f"/proc/{apid.process.pid}/environ").read_text()
    for secret in (device.token, viewer, stack.s3.tenant.secret_access_key, "X-Amz-Signature", "ssd_", "sss_", "ssc_"):
        assert secret not in text


def test_sigterm_loses_no_request(second, device):
    """Whatever connected is answered, and clients that keep their connection are told to go."""
    process, api = second()
    port = int(api.url.rsplit(":", 1)[1])
    recording = device.open()
    lost, answered = [], []

    def client(keep_alive):
        connection = None
        while True:
            try:
                if not connection:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                    connection.connect()
            except (ConnectionRefusedError, ConnectionResetError):
                return
            try:
                connection.request("PUT", f"/v1/recordings/{recording}", device_body, {
                    "Authorization": f"Bearer {device.token}", "Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                answered.append(answer.status)
            except (OSError, http.client.HTTPException) as e:
                lost.append(repr(e))
                return
            if not keep_alive or answer.will_close:
                connection.close()
                connection = None

    device_body = json.dumps(device.recording())
    threads = [threading.Thread(target=client, args=(i % 2 == 0,)) for i in range(12)]
    for thread in threads:
        thread.start()
    begin = time.monotonic()
    while len(answered) <= 20 and time.monotonic() < begin + 30:
        time.sleep(0.01)
    before, begin = len(answered), time.monotonic()
    process.signal(signal.SIGTERM)
    for thread in threads:
        thread.join(30)
    assert process.stop() == 0
    assert not lost and before > 20 and set(answered) == {200}, (lost, before)
    assert time.monotonic() - begin < 6


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_sigterm_finds_connections_still_in_the_queue(second, tmp_path, family):
    """Clients whom the kernel let in while the process was busy."""
    path = str(tmp_path / "apid.sock")
    process, api = second(f"unix:{path}" if family == socket.AF_UNIX else None)
    if family == socket.AF_UNIX:
        process.wait_for_socket(path)
    process.signal(signal.SIGSTOP)
    sockets = []
    for _ in range(100):
        s = socket.socket(family)
        s.settimeout(20)
        s.connect(path if family == socket.AF_UNIX else ("127.0.0.1", int(api.url.rsplit(":", 1)[1])))
        s.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        sockets.append(s)
    process.signal(signal.SIGTERM)
    process.signal(signal.SIGCONT)
    answers = []
    for s in sockets:
        with s, s.makefile("rb") as f:
            answers.append(f.readline())
    assert set(answers) == {b"HTTP/1.1 200 OK\r\n"}
    assert process.stop() == 0


def test_sigterm_is_heard_on_kept_connections(second, apid, sql, company):
    """A login that comes on one while the last requests still keep their threads busy is refused: it asks no threads that have ended."""
    owner = apid.user(company).log_in()
    process, api = second(None, ("Workers=4\n", "Workers=4\nUserWorkers=1\n"))
    port = int(api.url.rsplit(":", 1)[1])

    def ask(connection, *request):
        connection.request(*request)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def keep():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        assert ask(connection, "GET", "/v1/health") == 200
        return connection

    held = "FROM pg_locks WHERE relation = 'streamsight.session'::regclass AND granted AND mode = 'AccessExclusiveLock'"
    login = "POST", "/v1/auth/login", json.dumps({"email": "nobody@example.org", "password": "x"}), {"Content-Type": "application/json"}
    kept = [keep() for _ in range(200)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        pool.submit(sql, "BEGIN; LOCK TABLE streamsight.session IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)")
        try:
            end = time.monotonic() + 30
            while sql(f"SELECT count(*) {held}") == "0":
                assert time.monotonic() < end
            # One after the other, each for longer than the server waits for what is under way; more than one, as machines are slow
            early = [pool.submit(ask, keep(), "GET", "/v1/employees", None, {"Authorization": f"Bearer {owner.token}"}) for _ in range(5)]
            process.signal(signal.SIGTERM)
            statuses = []
            while 503 not in statuses:
                time.sleep(0.1)
                statuses.append(ask(kept.pop(), *login))
            assert set(statuses) <= {401, 429, 503}
        finally:
            sql(f"SELECT pg_terminate_backend(pid) {held}")
        assert {answer.result() for answer in early} <= {200, 500}
    assert process.stop(60) == 0


def test_sigterm_ends_an_idle_server_at_once(second):
    process, api = second()
    assert api("GET", "/v1/health").status_code == 200  # leaves a connection open
    begin = time.monotonic()
    process.signal(signal.SIGTERM)
    assert process.stop() == 0
    assert time.monotonic() - begin < 6  # for one that is under way it waits eight


def test_unix_socket(second, tmp_path):
    path = tmp_path / "apid.sock"
    for _ in range(2):  # the second replaces what the first left
        process, _ = second(f"unix:{path}")
        process.wait_for_socket(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(path))
            s.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 200")
        assert process.stop() == 0


def test_the_database_comes_back(stack, second, device, sql):
    _, api = second()
    again = lambda: api("PUT", f"/v1/recordings/{recording}", device.recording(), token=device.token).status_code
    recording = device.open()
    assert again() == 200
    # Connections that were ended cost nobody a request.
    for _ in range(3):
        sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'streamsight_apid'")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: again(), range(8))) == {200}
    # No new ones: 503, and well again afterwards.
    sql("ALTER ROLE streamsight_apid NOLOGIN; "
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'streamsight_apid'")
    try:
        answer = api("GET", "/v1/health")
        assert code_of(answer) == (503, "database_unavailable") and answer.headers["Retry-After"]
    finally:
        sql("ALTER ROLE streamsight_apid LOGIN")
    assert once_it_asks(lambda: api("GET", "/v1/health")).status_code == 200


@pytest.mark.parametrize("change, saying", [
    (("Listen=127.0.0.1:", "Listen=0.0.0.0:"), "loopback"), (("Listen=127.0.0.1:", "Listen=[::]:"), "loopback"),
    (("Listen=127.0.0.1:", "Listen=somewhere:"), "loopback"), (("Listen=", "Lisen="), "not a known setting"),
    (("PublicURL=https", "PublicURL=http"), "PublicURL= must be https"), (("PublicURL=", "#"), "must set"),
    (("MasterKeyFile=", "MasterKeyFile=/nonexistent"), "cannot be read"), (("MasterKeyFile=", "#"), "There is no master key"),
    (("Workers=4", "Workers=65"), "out of range")])
def test_bad_configuration(apid, tmp_path, change, saying):
    config = tmp_path / "apid.conf"
    config.write_text(apid.config_file.read_text().replace(*change))
    done = subprocess.run([apid.program, "--config", config], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and saying in done.stderr, done.stderr


def test_master_key_must_be_private_and_whole(apid, tmp_path):
    key, config = tmp_path / "key", tmp_path / "apid.conf"
    lines = [line for line in apid.config_file.read_text().splitlines() if not line.startswith("MasterKeyFile")]
    config.write_text("\n".join(lines) + f"\nMasterKeyFile={key}\n")
    for data, mode, saying in ((os.urandom(32), 0o644, "others cannot read"), (os.urandom(31), 0o600, "exactly 32"),
                               (os.urandom(33), 0o600, "exactly 32")):
        key.write_bytes(data)
        key.chmod(mode)
        done = subprocess.run([apid.program, "--config", config], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1 and saying in done.stderr, done.stderr


def test_it_does_not_run_as_a_superuser_of_the_database(stack, apid, second, tmp_path):
    config = tmp_path / "apid.conf"
    config.write_text(apid.config_file.read_text().replace(apid.database_dsn, stack.postgres.owner_dsn("streamsight"))
                      .replace(f":{apid.port}", f":{(port := free_port())}", 1))
    process = Process("apid", [apid.program, "--config", config], log=tmp_path / "superuser.log")
    try:
        process.wait_for_port(port)

        class Superuser:
            public_url = apid.public_url
        Superuser.port = port
        assert code_of(Api(Superuser)("GET", "/v1/health")) == (503, "database_unavailable")
        assert "must log in as streamsight_apid" in (tmp_path / "superuser.log").read_text()
    finally:
        process.stop()
