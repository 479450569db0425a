"""What apid does when the database or Redis goes away in the middle, or stands still."""

import select
import signal
import socket
import time
import uuid

import pytest
import requests

from services.redis import Redis

from .client import code_of
from .proxy import Proxy


@pytest.fixture
def proxied(stack, apid, observed, tmp_path):
    """(Proxy, Api, Status) of an apid that reaches its database through the proxy."""
    proxy = Proxy(stack.postgres.port)
    passfile = tmp_path / "passfile"
    passfile.touch(mode=0o600)
    known = apid.config_file.parent / "passfile"
    passfile.write_text(known.read_text().replace(f":{stack.postgres.port}:", f":{proxy.port}:"))
    _, api, status = observed((f"port={stack.postgres.port}", f"port={proxy.port}"), (f"passfile={known}", f"passfile={passfile}"))
    yield proxy, api, status
    proxy.close()


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come back"
        time.sleep(0.05)


def lost(proxy, procedure, request):
    """The request, whose answer from the database gets lost after the commit."""
    before, proxy.cut_after = proxy.cuts, procedure
    answer = request()
    assert proxy.cuts == before + 1, "the procedure was not called"
    return answer


def test_what_may_have_been_done_is_not_done_again(proxied, apid, company, sql):
    proxy, api, _ = proxied
    owner = apid.user(company).log_in()
    ask = lambda method, path, body=None, **arguments: api(method, path, body, token=owner.token, **arguments)
    count = lambda table, more="true": int(sql(f"SELECT count(*) FROM streamsight.{table} WHERE company_id = '{company}' AND {more}"))
    name = f"Ada {uuid.uuid4()}"
    ask("GET", "/v1/employees")

    answer = lost(proxy, "create_employee", lambda: ask("POST", "/v1/employees", {"name": name}))
    assert code_of(answer) == (503, "outcome_unknown") and count("employee", f"name = '{name}'") == 1
    answer = lost(proxy, "create_enrolment_code", lambda: ask("POST", "/v1/enrolment-codes", {}))
    assert code_of(answer) == (503, "outcome_unknown")
    revision = ask("GET", "/v1/policies").json()["policies"][0]["revision"]
    answer = lost(proxy, "create_policy", lambda: ask("POST", "/v1/policies", {"revision": revision, "jpeg_quality": 60}))
    assert code_of(answer) == (503, "outcome_unknown")
    assert ask("GET", "/v1/policies").json()["policies"][0]["revision"] == revision + 1

    # With a key the database knows a repetition, so apid makes one and answers.
    other = f"Eve {uuid.uuid4()}"
    answer = lost(proxy, "create_employee", lambda: ask("POST", "/v1/employees", {"name": other},
                                                        headers={"Idempotency-Key": str(uuid.uuid4())}))
    assert answer.status_code == 201 and count("employee", f"name = '{other}'") == 1
    assert lost(proxy, "list_employees", lambda: ask("GET", "/v1/employees")).status_code == 200


def test_one_guess_counts_once(proxied, apid, company, sql):
    proxy, api, _ = proxied
    user = apid.user(company)
    user.url = api.url
    failures = lambda: sql("SELECT coalesce(max(failures), 0) FROM streamsight.login_failure "
                           f"WHERE email_sha256 = sha256('{user.email}')")
    user.begin(password="wrong wrong wrong")
    assert failures() == "1"
    answer = lost(proxy, "login_password", lambda: user.begin(password="wrong wrong wrong"))
    assert code_of(answer) == (503, "outcome_unknown") and failures() == "2"


def test_one_viewing_is_one(proxied, device, viewer, sql):
    proxy, api, _ = proxied
    recording = device.open()
    device.offer(recording, 0, b"zero"), device.complete(recording, 0, b"zero")
    segment = api("GET", f"/v1/recordings/{recording}/segments", token=viewer).json()["segments"][0]["id"]
    url = lambda: api("POST", f"/v1/segments/{segment}/url", token=viewer)
    assert url().status_code == 201
    assert code_of(lost(proxy, "view_segment", url)) == (503, "outcome_unknown")
    assert sql(f"SELECT count(*) FROM streamsight.viewing WHERE segment_id = '{segment}'") == "2"


def test_devices_repeat_unnoticed(proxied, device):
    """All that they send but for the assertion, which is good once."""
    proxy, api, _ = proxied
    device.api = api
    recording = device.open()
    for procedure, request, good in (
            ("open_recording", lambda: device("PUT", f"/v1/recordings/{recording}", device.recording()), 200),
            ("offer_signed_segments", lambda: device.offer(recording, 0, b"zero"), 201),
            ("complete_segment", lambda: device.complete(recording, 0, b"zero"), 204),
            ("finish_signed_recording", lambda: device.finish(recording, 1), 204)):
        assert lost(proxy, procedure, request).status_code == good, procedure
    assert code_of(lost(proxy, "issue_device_token", device.request_token)) == (503, "outcome_unknown")
    assert device.request_token().status_code == 200


def test_a_database_that_stands_still_is_not_asked_by_all(proxied, device):
    proxy, api, status = proxied
    policy = lambda: api("GET", "/v1/devices/self/policy", token=device.token)
    assert policy().status_code == 200
    proxy.still.set()
    try:
        assert code_of(policy()) == (503, "database_unavailable")
        # The next one is turned away at once: it is no failure of the database's. One that comes a second later is a try, and is.
        def turned_away():
            before = status.metric("apid_database_failures_total")
            assert code_of(policy()) == (503, "database_unavailable")
            return status.metric("apid_database_failures_total") == before >= 1
        assert any(turned_away() for _ in range(5))
    finally:
        proxy.still.clear()
    wait_for(lambda: policy().status_code == 200)


def test_a_redis_that_stands_still_stops_no_device(stack, apid, observed, company, device, tmp_path):
    redis = Redis(stack.run_dir / f"redis-{tmp_path.name}", stack.ca).start()
    shared = stack.redis
    process, api, status = observed((f"Redis={shared.host}:{shared.port}", f"Redis={redis.host}:{redis.port}"),
                                    (str(shared.password_file), str(redis.password_file)))
    user = apid.user(company)
    user.url = api.url
    user.log_in()
    bearer = lambda token: {"Authorization": f"Bearer {token}"}
    get = lambda path, token: requests.get(api.url + path, headers=bearer(token), timeout=60).status_code
    assert get("/v1/auth/session", user.token) == 200
    request = f"GET /v1/auth/session HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\nConnection: close\r\n\r\n".encode()
    people = [socket.create_connection(("127.0.0.1", int(api.url.rsplit(":", 1)[1])), timeout=60) for _ in range(16)]
    redis.process.signal(signal.SIGSTOP)
    try:
        for person in people:
            person.sendall(request)
        # All who ask about people are let in, and wait, for two seconds, where they keep no device waiting.
        wait_for(lambda: status.metric("apid_requests_under_way") == 16)
        assert get("/v1/devices/self/policy", device.token) == 200
        assert select.select(people, [], [], 0)[0] == []
        for person in people:
            with person, person.makefile("rb") as answer:
                assert answer.readline().startswith(b"HTTP/1.1 503 ")
    finally:
        redis.process.signal(signal.SIGCONT)
    wait_for(lambda: get("/v1/auth/session", user.token) == 200)
    assert process.running()
    redis.stop()
