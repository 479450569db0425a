"""/live, /ready and /metrics on their own address; the schema's version; and the name by which a request is found in the log."""

import re
import signal
import socket
import subprocess
import time
import uuid

import pytest
import requests

from services.apid import _ADMIN_CONF
from services.process import Process, free_port

from .client import code_of


def test_live_and_ready(observed):
    _, api, status = observed()
    assert status("/live").status_code == status("/ready").status_code == 200
    assert status("/").status_code == 404 and status("/live", "POST").status_code == 405
    # Not where the gateway leads.
    for path in ("/live", "/ready", "/metrics", "/v1/metrics"):
        assert code_of(api("GET", path)) == (404, "not_found")


def test_not_ready_without_redis(observed, stack):
    port = free_port()
    _, api, status = observed((f"Redis={stack.redis.host}:{stack.redis.port}", f"Redis={stack.redis.host}:{port}"))
    answer = status("/ready")
    assert answer.status_code == 503 and "Redis" in answer.text and status("/live").status_code == 200
    assert status.metric("apid_redis_failures_total") >= 1


def test_not_ready_while_draining(observed):
    process, api, status = observed()
    port = int(api.url.rsplit(":", 1)[1])
    # A request that is on its way keeps it from ending.
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        s.sendall(b"POST /v1/devices/enroll HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{")
        time.sleep(0.3)
        process.signal(signal.SIGTERM)
        end = time.monotonic() + 10
        while (answer := status("/ready")).status_code != 503:
            assert time.monotonic() < end, answer.text
            time.sleep(0.05)
        assert answer.text == "draining\n" and status("/live").status_code == 200 and status.metric("apid_draining") == 1
        s.sendall(b"}")
        assert s.recv(100).startswith(b"HTTP/1.1 422")
    assert process.stop() == 0


def parse(text):
    """OpenMetrics 1.0 as far as apid goes: {sample: value}, and every line is one of those that the format has."""
    assert text.endswith("# EOF\n")
    families, samples = {}, {}
    for line in text.splitlines()[:-1]:
        if line.startswith("#"):
            word, name, rest = re.fullmatch(r"# (HELP|TYPE|UNIT) (\w+) (.+)", line).groups()
            families.setdefault(name, {})[word] = rest
            current = name
            continue
        name, labels, value = re.fullmatch(r'(\w+)(\{(?:\w+="[^"\\\n]*",?)*\})? (-?[0-9.]+)', line).groups()
        suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}[families[current]["TYPE"]]
        assert name in [current + suffix for suffix in suffixes], line
        assert name + (labels or "") not in samples
        samples[name + (labels or "")] = float(value)
    return samples


def test_metrics(observed, device, viewer):
    _, api, status = observed()
    answer = status("/metrics")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    before = parse(answer.text)
    for _ in range(3):
        assert api("GET", "/v1/devices/self/policy", token=device.token).status_code == 200
    api("GET", "/v1/devices/self/policy", token="nonsense")
    api("GET", f"/v1/{uuid.uuid4()}")
    assert api("GET", "/v1/auth/session", token=viewer).status_code == 200
    now = parse(status("/metrics").text)
    grown = lambda sample: now[sample] - before.get(sample, 0)
    of = lambda method, route, code: f'apid_requests_total{{method="{method}",route="{route}",status="{code}"}}'
    assert grown(of("GET", "/v1/devices/self/policy", 200)) == 3 and grown(of("GET", "/v1/devices/self/policy", 401)) == 1
    assert grown(of("", "", 404)) == 1 and grown(of("GET", "/v1/auth/session", 200)) == 1
    assert grown("apid_request_duration_seconds_count") == grown('apid_request_duration_seconds_bucket{le="+Inf"}') == 6
    buckets = [value for name, value in now.items() if name.startswith("apid_request_duration_seconds_bucket")]
    assert buckets == sorted(buckets) and now["apid_request_duration_seconds_sum"] > 0
    for gauge in ("apid_users_waiting", "apid_logins_waiting", "apid_draining"):
        assert now[gauge] == 0
    end = time.monotonic() + 10
    while status.metric("apid_requests_under_way"):  # one ends after its answer has been read
        assert time.monotonic() < end
        time.sleep(0.05)
    assert device.token not in status("/metrics").text


@pytest.fixture
def schema(stack, apid, tmp_path):
    """A database of its own, and an apid for it: (sql, config, start), where start() returns when it listens, with its URL."""
    name = f"schema_{uuid.uuid4().hex[:8]}"
    stack.postgres.create_database(name)
    admin = tmp_path / "admin.conf"
    admin.write_text(_ADMIN_CONF.format(dsn=stack.postgres.owner_dsn(name), key=tmp_path))
    subprocess.run([apid.admin_program, "--config", admin, "migrate"], check=True, timeout=60, capture_output=True)
    passfile = tmp_path / "passfile"
    passfile.touch(mode=0o600)
    known = apid.config_file.parent / "passfile"
    passfile.write_text(known.read_text().replace(":streamsight:", f":{name}:"))
    config, port = tmp_path / "apid.conf", free_port()
    config.write_text(apid.config_file.read_text().replace("dbname=streamsight", f"dbname={name}")
                      .replace(f"passfile={known}", f"passfile={passfile}").replace(f":{apid.port}", f":{port}", 1))
    started = []

    def start():
        started.append(Process("apid", [apid.program, "--config", config], log=tmp_path / "apid.log"))
        started[-1].wait_for_port(port)
        return f"http://127.0.0.1:{port}"

    yield lambda text: stack.postgres.sql(text, name), config, start
    for process in started:
        process.stop()


NEWEST = "(SELECT max(number) FROM streamsight.migration)"


@pytest.mark.parametrize("change", [
    f"DELETE FROM streamsight.migration WHERE number = {NEWEST}", "COMMENT ON SCHEMA api IS '0.0.9 x'", "COMMENT ON SCHEMA api IS NULL",
    "DO $$ BEGIN EXECUTE format('COMMENT ON SCHEMA api IS %L', (SELECT split_part(procedures, ' ', 1) FROM api.version()) || ' fff'); END $$",
    "DROP FUNCTION api.version()"], ids=["migration", "version", "none", "digest", "ancient"])
def test_it_starts_on_no_old_schema(schema, apid, change):
    sql, config, _ = schema
    sql(change)
    done = subprocess.run([apid.program, "--config", config], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "run streamsight-admin migrate" in done.stderr


@pytest.mark.parametrize("change", [
    "INSERT INTO streamsight.migration (number, name, sha256) VALUES (9999, 'x', 'x')", "COMMENT ON SCHEMA api IS '9.0 x'"])
def test_a_newer_schema_is_no_reason_to_stand_still(schema, tmp_path, change):
    """Between migrating and installing."""
    sql, _, start = schema
    sql(change)
    start()
    assert "install the newer version" in (tmp_path / "apid.log").read_text()


def test_a_procedure_may_change_its_result(schema, tmp_path):
    """While it is called: PostgreSQL refuses what was prepared before. Nor does one that is not there cost a connection."""
    sql, _, start = schema
    url, session = start() + "/v1/health", requests.Session()  # of one connection, and so one thread
    status = lambda: session.get(url, timeout=10).status_code
    backends = lambda: sql("SELECT array_agg(pid ORDER BY pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'streamsight_apid'")
    assert status() == 200
    sql("DROP FUNCTION api.version(); CREATE FUNCTION api.version() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$;"
        "GRANT EXECUTE ON FUNCTION api.version() TO streamsight_apid")
    assert status() == 200
    end = time.monotonic() + 20
    while "," in (known := backends()):  # those that apid has closed are a moment longer at their end
        assert time.monotonic() < end, known
        time.sleep(0.05)
    sql("DROP FUNCTION api.version()")
    assert status() == status() == 500
    assert backends() == known


def test_an_error_carries_the_gateways_id(observed, apid, new_device, other_company, sql, tmp_path):
    """A bucket whose secret is not under this master key: the one error that a test can make."""
    _, api, _ = observed()
    device = new_device(other_company)
    device.api = api
    sql(f"UPDATE streamsight.bucket SET secret = '\\x01' || substr(secret, 2, 12) || secret WHERE company_id = '{other_company}'")
    recording, name = device.open(), uuid.uuid4().hex
    body = device.signed_segment(recording, 0, b"zero")
    path = f"/v1/recordings/{recording}/segments"
    assert code_of(device("POST", path, body, headers={"X-Request-Id": name})) == (500, "internal")
    lines = [line for line in (tmp_path / "apid.log").read_text().splitlines() if name in line]
    assert len(lines) == 2 and "cannot be decrypted" in lines[0] and path.split(recording)[1] in lines[1]
    # A client that talks to apid itself cannot write into the log.
    code_of(device("POST", path, body, headers={"X-Request-Id": "x" * 32}))
    assert "xxxx" not in (tmp_path / "apid.log").read_text()


@pytest.mark.parametrize("dsn, saying", [
    ("host=db.example.org dbname=x", "verify-full"), ("host=db.example.org sslmode=require", "verify-full"),
    ("host=localhost,db.example.org", "verify-full"), ("host=/run hostaddr=192.0.2.1", "verify-full"),
    ("host=127.db.example.org", "verify-full"), ("host=127.0.0.1.example.org", "verify-full"), ("host=::1,127.0.0.1x", "verify-full"),
    ("host=/run,127.0.0.1,192.0.2.1", "verify-full"), ("hostaddr=::2", "verify-full"),
    ("service=elsewhere", "verify-full"), ("postgresql://db.example.org/x?sslmode=verify-ca", "verify-full"),
    ("host=/run password=secret", "no password"), ("postgresql://apid:secret@localhost/x", "no password"), ("host='", "cannot be read")])
def test_the_way_to_the_database(apid, tmp_path, dsn, saying):
    config = tmp_path / "apid.conf"
    config.write_text(apid.config_file.read_text().replace(apid.database_dsn, dsn))
    done = subprocess.run([apid.program, "--config", config], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and saying in done.stderr and "secret" not in done.stderr, done.stderr
    config.write_text(f"[Admin]\nConnectionString={dsn}\n")
    done = subprocess.run([apid.admin_program, "--config", config, "user", "list"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and saying in done.stderr and "secret" not in done.stderr, done.stderr


def test_systemds_credential_wins_over_the_file(apid, tmp_path):
    """The file is for streamsight-admin, and closed to apid."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "master-key").touch(mode=0o600)
    config = tmp_path / "apid.conf"
    text = apid.config_file.read_text()
    config.write_text(text.replace("MasterKeyFile=", "MasterKeyFile=/nonexistent"))
    run = lambda: subprocess.run([apid.program, "--config", config], capture_output=True, text=True, timeout=60,
                                 env={"CREDENTIALS_DIRECTORY": str(folder), "PATH": "/usr/bin"})
    done = run()
    assert "exactly 32" in done.stderr
    (folder / "master-key").unlink()
    assert "/nonexistent" in run().stderr  # no such credential: the file
