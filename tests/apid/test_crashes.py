"""SIGKILL for apid, PostgreSQL and Redis while devices upload and somebody looks on: what was acknowledged is there, and once."""

import hashlib
import os
import signal
import threading
import time
import uuid

import pytest
import requests

from services.apid import Apid
from services.people import token_of
from services.postgres import Postgres
from services.redis import Redis

from .client import Api, Device
from .proxy import Proxy


@pytest.fixture
def servers(stack, tmp_path):
    """PostgreSQL, Redis, apid and the proxy through which it reaches PostgreSQL: this test's own."""
    run_dir = stack.run_dir / f"crashes-{uuid.uuid4().hex[:8]}"
    # Acknowledged means written: to the kernel at least, which outlives the process.
    postgres = Postgres(run_dir / "pg", settings="synchronous_commit = on\nfull_page_writes = on\n")
    redis = Redis(run_dir / "redis", stack.ca)
    run_dir.mkdir(mode=0o711)
    apid = Apid(run_dir / "apid", stack.apid.program.parent.parent, postgres, redis, public_url=stack.apid.public_url)
    try:
        postgres.start()
        redis.start()
        apid.start()
        apid.stop()
        proxy = Proxy(postgres.port)
        passfile = apid.config_file.parent / "passfile"
        for file in (apid.config_file, passfile):
            file.write_text(file.read_text().replace(str(postgres.port), str(proxy.port)))
        apid.run()
        yield postgres, redis, apid, proxy
        proxy.close()
    finally:
        for server in (apid, redis, postgres):
            server.stop()


def persist(api, method, path, body, token, good):
    """Makes a request until it is answered with success, as a device does. None: the session has ended."""
    while True:
        try:
            answer = api.http.request(method, api.url + path, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=60)
            if answer.status_code in good:
                return answer
            if answer.status_code == 401 and answer.json()["code"] == "token_expired":
                return None
            assert answer.status_code in (500, 503), answer.text
        except requests.ConnectionError:
            pass
        time.sleep(0.05)


def upload(apid, device, acknowledged, stop):
    """Recordings of three segments, one after the other; keeps what apid has acknowledged."""
    api = Api(apid)
    while not stop.is_set():
        recording, previous = str(uuid.uuid4()), None
        persist(api, "PUT", f"/v1/recordings/{recording}", device.recording(), device.token, {200, 201})
        for sequence in range(3):
            data = f"{recording}{sequence}".encode()
            path = f"/v1/recordings/{recording}/segments"
            persist(api, "POST", path, device.signed_segment(recording, sequence, data, previous), device.token, {201})
            persist(api, "POST", f"{path}/{sequence}/complete", {"sha256": hashlib.sha256(data).hexdigest()}, device.token, {204})
            acknowledged.append((recording, sequence))
            previous = data


def look(apid, user, acknowledged, viewed, stop):
    """Looks at what is complete; logs in again when a session has ended with Redis."""
    api = Api(apid)
    while not stop.is_set():
        if not acknowledged:
            time.sleep(0.05)
            continue
        listing = persist(api, "GET", f"/v1/recordings/{acknowledged[-1][0]}/segments", None, user.token, {200})
        url = listing and persist(api, "POST", f"/v1/segments/{listing.json()['segments'][0]['id']}/url", None, user.token, {201})
        if url:
            viewed.append(listing.json()["segments"][0]["id"])
        elif user.recovery_codes:
            try:
                log_in_again(user)
            except requests.ConnectionError:
                time.sleep(0.2)


def manage(apid, user, made, stop):
    """Makes employees and codes: with an Idempotency-Key as often as it takes; without one, once and come what may. Keeps what was said."""
    http, number = requests.Session(), 0
    http.trust_env = False
    while not stop.is_set():
        number += 1
        for path, body, key in (("/v1/employees", {"name": f"Keyed {number}"}, f"employee {number}"),
                                ("/v1/enrolment-codes", {"lifetime": 60 + number}, f"code {number}"),
                                ("/v1/employees", {"name": f"Single {number}"}, None)):
            while not stop.is_set():
                try:
                    answer = http.post(f"http://127.0.0.1:{apid.port}{path}", json=body, timeout=60,
                                       headers={"Authorization": f"Bearer {user.token}"} | ({"Idempotency-Key": key} if key else {}))
                    if answer.status_code == 201:
                        made.append((path, key, body, answer.json()["id"]))
                        break
                    if answer.status_code == 401:
                        log_in_again(user)
                    else:
                        assert answer.status_code in (500, 503), answer.text
                except requests.ConnectionError:
                    pass
                if not key:
                    break
                time.sleep(0.05)


def log_in_again(user):
    answer = user.begin()
    if answer.status_code == 200:
        answer = user.post("/v1/auth/totp", {"challenge": answer.json()["challenge"], "code": user.recovery_codes[0]})
        if answer.status_code in (200, 401):  # 401: it was used up by a login whose answer was lost
            user.recovery_codes.pop(0)
        if answer.status_code == 200:
            user.token = token_of(answer)
            return
    time.sleep(0.2)


def wait_for(acknowledged, more):
    end, goal = time.monotonic() + 120, len(acknowledged) + more
    while len(acknowledged) < goal:
        assert time.monotonic() < end, "it did not go on"
        time.sleep(0.05)


def test_kill(servers):
    postgres, redis, apid, _ = servers
    sql = lambda text: postgres.sql(text, "streamsight")
    company = apid.create_company("Crashing Corp")
    apid.admin("bucket", "set", "--company", company, "--endpoint", "https://s3.example.org", "--region", "r", "--bucket", "recordings",
               "--prefix", "p", "--access-key-id", "K", stdin="secret\n")
    devices = [Device(Api(apid)).enroll(apid.enrolment_code(company)).log_in() for _ in range(3)]
    user, manager = apid.user(company).log_in(), apid.user(company).log_in()
    stop, viewed, made, acknowledged = threading.Event(), [], [], [[] for _ in devices]
    threads = [threading.Thread(target=upload, args=(apid, *pair, stop)) for pair in zip(devices, acknowledged)]
    threads.append(threading.Thread(target=look, args=(apid, user, acknowledged[0], viewed, stop)))
    threads.append(threading.Thread(target=manage, args=(apid, manager, made, stop)))
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            wait_for(acknowledged[0], 3)
            apid.process.signal(signal.SIGKILL)
            apid.process.stop()
            apid.run()
            wait_for(acknowledged[1], 3)
            # A backend that dies takes all others and what is only in memory with it: PostgreSQL recovers from its log.
            # Of the newest: those of the apid that was killed may be at their end.
            backend = sql("SELECT pid FROM pg_stat_activity WHERE usename = 'streamsight_apid' ORDER BY backend_start DESC LIMIT 1")
            os.kill(int(backend), signal.SIGKILL)
            wait_for(acknowledged[2], 3)
            postgres.kill()
            postgres.run()
            wait_for(acknowledged[0], 3)
            wait_for(made, 3)
            redis.process.signal(signal.SIGKILL)
            redis.process.stop()
            wait_for(acknowledged[0], 3)  # devices need none
            redis.run()
        before, end = len(viewed), time.monotonic() + 120
        while len(viewed) < before + 2:
            assert time.monotonic() < end, "nobody can look on"
            time.sleep(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join(150)
    assert not any(thread.is_alive() for thread in threads)

    told = [pair for kept in acknowledged for pair in kept]
    complete = {tuple(line.split("|")) for line in sql(
        "SELECT recording_id, sequence FROM streamsight.segment WHERE completed_at IS NOT NULL").splitlines()}
    assert len(told) == len(set(told)) and {(recording, str(sequence)) for recording, sequence in told} <= complete
    # Nothing twice: what the keys of partitioned tables alone could not say.
    assert sql("SELECT count(*) - count(DISTINCT id) FROM streamsight.recording") == "0"
    assert sql("SELECT count(*) - count(DISTINCT (recording_id, sequence)) FROM streamsight.segment") == "0"
    # Of people's requests, too: with a key exactly one, without one never more than was asked for.
    for table, path in (("employee", "/v1/employees"), ("enrolment_code", "/v1/enrolment-codes")):
        there = set(sql(f"SELECT id FROM streamsight.{table}").split())
        said = [found for where, _, _, found in made if where == path]
        assert len(said) == len(set(said)) and set(said) <= there
    assert sql("SELECT count(*) - count(DISTINCT name) FROM streamsight.employee") == "0"
    assert sql("SELECT count(*) - count(DISTINCT expires_at - created_at) FROM streamsight.enrolment_code WHERE expires_at - created_at < "
               "interval '1 day'") == "0"
    assert {key is None for _, key, _, _ in made} == {True, False}
    # Whoever got a URL is in the trail, which is whole.
    for segment in set(viewed):
        rows = sql(f"SELECT count(*) FROM streamsight.audit WHERE action = 'segment.view' AND subject_id = '{segment}'")
        assert int(rows) >= viewed.count(segment)
    assert apid.admin("audit", "verify", "--company", company).startswith(company)


def kill_apid(postgres, apid):
    apid.process.signal(signal.SIGKILL)
    apid.process.stop()


def kill_postgres(postgres, apid):
    postgres.kill()


@pytest.mark.parametrize("kill", [kill_apid, kill_postgres])
def test_killed_between_commit_and_answer(servers, kill):
    """What was done, but was told to nobody, is done once if it had an Idempotency-Key; and twice without, or this test saw nothing."""
    postgres, _, apid, proxy = servers
    company = apid.create_company("Crashing Corp")
    owner, invited = apid.user(company).log_in(), apid.user(company, "auditor")
    invited.id = postgres.sql(f"SELECT id FROM streamsight.account WHERE email = '{invited.email}'", "streamsight")

    def ask(path, body, key):
        try:
            return requests.post(f"http://127.0.0.1:{apid.port}{path}", json=body, timeout=60, proxies={"http": ""},
                                 headers={"Authorization": f"Bearer {owner.token}"} | ({"Idempotency-Key": key} if key else {}))
        except requests.ConnectionError:
            return None

    def killed(procedure, *request):
        cuts, proxy.on_cut, proxy.cut_after = proxy.cuts, lambda: kill(postgres, apid), procedure
        answer, end = ask(*request), time.monotonic() + 60
        while proxy.cuts == cuts:
            assert time.monotonic() < end, "the procedure was not called"
            time.sleep(0.05)
        assert answer is None or answer.status_code == 503, answer.text
        for server in (postgres, apid):
            if not server.process.running():
                server.run()
        while (answer := ask(*request)) is None or answer.status_code == 503:
            assert time.monotonic() < end, "it did not come back"
            time.sleep(0.05)
        return answer

    count = lambda where: int(postgres.sql(f"SELECT count(*) FROM streamsight.{where}", "streamsight"))
    done = lambda action: count(f"audit WHERE company_id = '{company}' AND action = '{action}'")
    for procedure, path, body, action, secret in (
            ("create_employee", "/v1/employees", {"name": "Keyed"}, "employee.create", None),
            ("create_enrolment_code", "/v1/enrolment-codes", {}, "enrolment_code.create", "code"),
            ("create_user", "/v1/users", {"email": "keyed@example.org", "name": "Keyed", "role": "auditor"}, "user.create", "invitation"),
            ("invite_user", f"/v1/users/{invited.id}/invitation", None, "user.invite", "invitation")):
        before, key = done(action), str(uuid.uuid4())
        answer = killed(procedure, path, body, key)
        assert answer.status_code == 201 and done(action) == before + 1, procedure
        again = ask(path, body, key)
        assert (again.status_code, again.json()) == (201, answer.json()), procedure
        if secret:
            stored = "invitation WHERE token_sha256" if secret == "invitation" else "enrolment_code WHERE code_sha256"
            assert count(f"{stored} = sha256('{answer.json()[secret].replace('-', '')}')") == 1, procedure
    before = done("employee.create")
    assert killed("create_employee", "/v1/employees", {"name": "Single"}, None).status_code == 201
    assert done("employee.create") == before + 2
