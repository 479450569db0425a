"""What managing is for: who sees what afterwards. Who may at all is test_openapi.py's."""

import concurrent.futures
import hashlib
import json
import time
import uuid

import pytest

from services.people import User

from .client import Device, b64url, code_of, jwk, jws, session_token


class Staff:
    """A company's users, by role, as callables that make requests."""

    def __init__(self, apid, api, company):
        self.company = company
        for role in ("owner", "admin", "manager", "auditor"):
            user = apid.user(company, role).log_in()
            setattr(self, role, self._caller(api, user))

    @staticmethod
    def _caller(api, user):
        def call(method, path, body=None, **arguments):
            return api(method, path, body, token=user.token, **arguments)
        call.user = user
        return call


@pytest.fixture(scope="module")
def staff(apid, api, stack):
    company = apid.create_company("Staffed Corp")
    apid.set_bucket(company, stack.s3)
    return Staff(apid, api, company)


@pytest.fixture
def worker(staff, api, apid):
    """An employee with a workstation, whose code was made for them: (employee id, Device)."""
    employee = staff.admin("POST", "/v1/employees", {"name": f"Worker {uuid.uuid4()}"}).json()["id"]
    code = staff.admin("POST", "/v1/enrolment-codes", {"employee_id": employee}).json()["code"]
    return employee, Device(api).enroll(code).log_in()


def seen(answer):
    assert answer.status_code == 200, answer.text
    return {recording["id"] for recording in answer.json()["recordings"]}


def test_managers_see_whom_they_are_assigned(staff, worker, api):
    employee, device = worker
    assert device("GET", "/v1/devices/self/policy").json()["employee"].startswith("Worker ")
    recording = device.open()
    device.offer(recording, 0, b"zero")
    device.complete(recording, 0, b"zero")
    segment = staff.owner("GET", f"/v1/recordings/{recording}/segments").json()["segments"][0]["id"]
    listed = staff.owner("GET", "/v1/recordings", params={"employee": employee}).json()["recordings"]
    assert [(r["id"], r["employee_id"]) for r in listed] == [(recording, employee)]

    manager = staff.manager.user
    shows = lambda: (recording in seen(staff.manager("GET", "/v1/recordings")),
                     staff.manager("GET", f"/v1/recordings/{recording}/segments").status_code,
                     staff.manager("POST", f"/v1/segments/{segment}/url").status_code,
                     staff.manager("GET", f"/v1/employees/{employee}").status_code,
                     employee in {e["id"] for e in staff.manager("GET", "/v1/employees").json()["employees"]})
    assert shows() == (False, 404, 404, 404, False)
    for _ in range(2):
        assert staff.admin("PUT", f"/v1/users/{manager.id}/employees/{employee}").status_code == 204
    assert shows() == (True, 200, 201, 200, True)
    assert [e["id"] for e in staff.auditor("GET", f"/v1/users/{manager.id}/employees").json()["employees"]] == [employee]
    assert staff.admin("DELETE", f"/v1/users/{manager.id}/employees/{employee}").status_code == 204
    assert shows() == (False, 404, 404, 404, False)
    views = staff.auditor("GET", "/v1/audit", params={"subject": segment}).json()["audit"]
    assert [(row["action"], row["actor_id"], row["detail"]["recording"]) for row in views] == [("segment.view", manager.id, recording)]


def test_a_recording_stays_whose_it_was(staff, worker):
    employee, device = worker
    before = device.open()
    other = staff.admin("POST", "/v1/employees", {"name": "Next"}).json()["id"]
    changed = staff.admin("PUT", f"/v1/devices/{device.id}/employee", {"employee_id": other}).json()
    assert (changed["employee_id"], changed["employee"]) == (other, "Next")
    after = device.open()
    assert seen(staff.owner("GET", "/v1/recordings", params={"employee": employee})) == {before}
    assert seen(staff.owner("GET", "/v1/recordings", params={"employee": other})) == {after}


def test_an_invited_user_joins(staff, api):
    email = f"joins.{uuid.uuid4()}@example.org"
    answer = staff.owner("POST", "/v1/users", {"email": email.upper(), "name": "Jo", "role": "manager"})
    assert answer.json()["user"] | {"id": 0, "created_at": 0} == {"id": 0, "created_at": 0, "email": email, "name": "Jo",
                                                               "role": "manager", "state": "invited"}
    user = User(api.url, email)
    user.invitation = answer.json()["invitation"]
    user.accept().log_in()
    trail = staff.auditor("GET", "/v1/audit", params={"subject": user.id}).json()["audit"]
    assert [row["action"] for row in trail] == ["login", "user.activate", "user.accept", "user.create"]
    assert code_of(staff.owner("POST", "/v1/users", {"email": email, "name": "Jo", "role": "manager"})) == (409, "user_exists")
    # Disabled, and out at once.
    changed = staff.admin("PATCH", f"/v1/users/{user.id}", {"state": "disabled"})
    assert changed.json()["state"] == "disabled"
    assert code_of(api("GET", "/v1/auth/session", token=user.token)) == (401, "token_invalid")
    assert code_of(user.begin()) == (401, "login_refused")
    assert staff.admin("PATCH", f"/v1/users/{user.id}", {"state": "active"}).json()["state"] == "active"
    user.log_in(user.recovery_codes[0])
    assert staff.admin("DELETE", f"/v1/users/{user.id}/sessions").status_code == 204
    assert code_of(api("GET", "/v1/auth/session", token=user.token)) == (401, "token_expired")


def test_an_admin_is_not_above_owners_and_admins(staff):
    for role in ("owner", "admin"):
        other = getattr(staff, role).user.id
        for method, path, body in (("POST", "/v1/users", {"email": f"{uuid.uuid4()}@x", "name": "X", "role": role}),
                                   ("PATCH", f"/v1/users/{other}", {"name": "X"}), ("POST", f"/v1/users/{other}/invitation", None),
                                   ("DELETE", f"/v1/users/{other}/sessions", None),
                                   ("PATCH", f"/v1/users/{staff.auditor.user.id}", {"role": role})):
            assert code_of(staff.admin(method, path, body)) == (403, "role_insufficient"), (role, method, path)


def test_the_last_owner_stays(staff):
    me = staff.owner.user.id
    for body in ({"role": "admin"}, {"state": "disabled"}):
        assert code_of(staff.owner("PATCH", f"/v1/users/{me}", body)) == (409, "last_owner")
    assert code_of(staff.owner("POST", f"/v1/users/{me}/invitation")) == (409, "last_owner")
    # Nor can somebody be let in who has not chosen password and authenticator.
    invited = staff.owner("POST", "/v1/users", {"email": f"{uuid.uuid4()}@x", "name": "X", "role": "owner"}).json()["user"]["id"]
    assert code_of(staff.owner("PATCH", f"/v1/users/{invited}", {"state": "active"})) == (409, "user_invited")
    assert code_of(staff.owner("PATCH", f"/v1/users/{me}", {"role": "admin"})) == (409, "last_owner")


@pytest.mark.parametrize("path, body, secret", [
    ("/v1/employees", lambda: {"name": "Twice"}, None), ("/v1/enrolment-codes", lambda: {"lifetime": 600}, "code"),
    ("/v1/users", lambda: {"email": f"{uuid.uuid4()}@x", "name": "X", "role": "auditor"}, "invitation")])
def test_a_repeated_request_makes_one(staff, sql, path, body, secret):
    body, key = body(), {"Idempotency-Key": str(uuid.uuid4())}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: staff.admin("POST", path, body, headers=key), range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert all(answer.json() == answers[0].json() for answer in answers)
    if secret:
        code = answers[0].json()[secret]
        assert len(code) > 20 and code not in sql("SELECT string_agg(answer::text, '') FROM streamsight.idempotency")
    assert code_of(staff.admin("POST", path, body | {"name": "Other", "lifetime": 601}, headers=key)) == (422, "idempotency_key_reused")
    other = staff.owner("POST", path, body | {"email": f"{uuid.uuid4()}@x"}, headers=key)  # keys are each user's own
    assert other.status_code == 201 and (not secret or other.json()[secret] != code)
    assert code_of(staff.admin("POST", path, body, headers={"Idempotency-Key": "x" * 201})) == (422, "field_invalid")


def test_a_key_gets_the_same_secret_for_a_day_alone(staff, api, sql):
    """A program that names its keys after what they are for, as in "invite-robin"."""
    user, other = (staff.owner("POST", "/v1/users", {"email": f"{uuid.uuid4()}@x", "name": "X", "role": "auditor"}).json()["user"]["id"] for _ in range(2))
    key = {"Idempotency-Key": f"invite-{uuid.uuid4()}"}
    invite = lambda of: staff.owner("POST", f"/v1/users/{of}/invitation", headers=key)
    invitation = lambda of: invite(of).json()["invitation"]
    good = lambda code: api("POST", "/v1/auth/invitation", {"invitation": code, "password": "x" * 12}).status_code == 200
    first = invitation(user)
    assert invitation(user) == first and good(first)
    assert code_of(invite(other)) == (422, "idempotency_key_reused")
    a_day_later = lambda: sql("UPDATE streamsight.idempotency SET created_at = created_at - interval '25 h'")
    a_day_later()
    second = invitation(user)
    assert second != first and good(second) and not good(first)
    a_day_later()
    third = invitation(other)
    assert good(third) and good(second) and third not in (first, second)


def test_policies_are_revisions(staff, worker):
    _, device = worker
    now = staff.admin("GET", "/v1/policies").json()["policies"][0]
    made = staff.admin("POST", "/v1/policies", {"revision": now["revision"], "frames_per_second": 7}).json()
    assert made | {"changed_at": 0} == now | {"revision": now["revision"] + 1, "frames_per_second": 7, "changed_at": 0,
                                              "changed_by": staff.admin.user.id}
    assert device("GET", "/v1/devices/self/policy").json()["frames_per_second"] == 7
    stale = staff.admin("POST", "/v1/policies", {"revision": now["revision"], "recording": "off"})
    assert code_of(stale) == (409, "policy_conflict")
    listed = staff.auditor("GET", "/v1/policies", params={"limit": 1}).json()
    assert listed["policies"] == [made] and listed["next"] == made["revision"]
    assert staff.auditor("GET", "/v1/policies", params={"after": listed["next"]}).json()["policies"][0] == now


def test_a_bucket_that_the_api_set_is_used(staff, stack, worker, http):
    _, device = worker
    s3 = stack.s3
    body = {"endpoint": s3.endpoint, "region": s3.region, "bucket": s3.bucket, "prefix": s3.prefix + "/moved", "path_style": True,
            "access_key_id": s3.tenant.access_key_id, "secret_access_key": s3.tenant.secret_access_key}
    answer = staff.admin("POST", "/v1/buckets", body)
    assert answer.status_code == 201 and answer.json()["current"] and s3.tenant.secret_access_key not in answer.text
    recording = device.open()
    order = device.offer(recording, 0, b"moved").json()
    assert "/moved/" in order["url"]
    assert http.put(order["url"], data=b"moved", headers=order["headers"]).status_code == 200
    noted = staff.auditor("GET", "/v1/audit", params={"action": "bucket.set"}).json()["audit"][0]
    assert (noted["subject_id"], noted["detail"]["access_key_id"]) == (answer.json()["id"], s3.tenant.access_key_id)
    again = staff.admin("POST", "/v1/buckets", body)
    assert again.json()["id"] == answer.json()["id"]
    assert [b["id"] for b in staff.owner("GET", "/v1/buckets").json()["buckets"] if b["current"]] == [again.json()["id"]]
    for change in ({"endpoint": "http://s3.example.org"}, {"endpoint": "https://s3.example.org:0"}, {"endpoint": "https://s3.example.org:0443"},
                   {"endpoint": "https://s3.example.org:65536"}, {"endpoint": "https://s3.example.org:999999"},
                   {"endpoint": "https://s3.example.org:"}, {"bucket": "UPPER"}, {"prefix": "/x"}, {"region": "a b"}):
        assert code_of(staff.admin("POST", "/v1/buckets", body | change)) == (422, "bucket_invalid")
    assert [b["id"] for b in staff.owner("GET", "/v1/buckets").json()["buckets"] if b["current"]] == [again.json()["id"]]


def test_ceilings_are_set_and_taken_away(staff, worker):
    device = worker[1]
    change = lambda **members: staff.admin("POST", "/v1/policies", members | {
        "revision": staff.admin("GET", "/v1/policies").json()["policies"][0]["revision"]})
    told = lambda: {name: value for name, value in device("GET", "/v1/devices/self/policy").json().items() if name.endswith(("minute", "per_second"))
                    and name != "frames_per_second"}
    made = change(bytes_per_minute=1000000, cpu_ms_per_second=1000)
    assert made.status_code == 201 and (made.json()["bytes_per_minute"], made.json()["cpu_ms_per_second"]) == (1000000, 1000)
    assert told() == {"bytes_per_minute": 1000000, "cpu_ms_per_second": 1000}
    change(bytes_per_minute=4000000000)
    assert told() == {"bytes_per_minute": 4000000000, "cpu_ms_per_second": 1000}
    change(bytes_per_minute=0, cpu_ms_per_second=0)
    assert told() == {}
    change(pause_seconds=60, record_locked=True)
    policy = device("GET", "/v1/devices/self/policy").json()
    assert (policy["pause_seconds"], policy["record_locked"]) == (60, True)
    change(pause_seconds=0, record_locked=False)
    for low in (1, 999999):
        assert code_of(change(bytes_per_minute=low)) == (422, "policy_invalid")
    for members in ({"bytes_per_minute": 4000000001}, {"cpu_ms_per_second": 1001}):
        assert code_of(change(**members)) == (422, "field_invalid")


def test_two_who_name_one_bucket_at_once_mean_one_row(staff, sql, api, apid, stack):
    body = {"endpoint": "https://s3.example.org", "region": "r", "bucket": f"b{uuid.uuid4().hex[:8]}", "path_style": False, "sse": "aws:kms",
            "sse_kms_key_id": "alias/one", "access_key_id": "K", "secret_access_key": "s"}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: staff.owner("POST", "/v1/buckets", body), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sql(f"SELECT count(*), count(*) FILTER (WHERE current) FROM streamsight.bucket WHERE bucket = '{body['bucket']}'") == "1|1"
    # Whatever comes between the two questions that apid asks the database.
    token = session_token(staff.owner.user.token)
    place = lambda name: stack.postgres.sql(f"SELECT api.bucket_id('{token}', 'https://s3.example.org', 'r', '{name}', NULL, true, NULL, NULL)",
                                            dsn=apid.database_dsn)
    assert place("new-one") == place("new-one") != place("new-two")
    # Another key of the key management service is another place: what was encrypted under the first stays readable.
    other = staff.owner("POST", "/v1/buckets", body | {"sse_kms_key_id": "alias/two"})
    assert other.json()["id"] != answers[0].json()["id"] and other.json()["sse_kms_key_id"] == "alias/two"
    for wrong in ("AES256", None):
        assert code_of(staff.owner("POST", "/v1/buckets", body | {"sse": wrong})) == (422, "bucket_invalid")
    apid.set_bucket(staff.company, stack.s3)


def test_statements_are_for_those_who_verify(staff, worker, api):
    employee, device = worker
    recording, bodies = device.open(), []
    for sequence in range(3):
        body = device.signed_segment(recording, sequence, b"%d" % sequence, b"%d" % (sequence - 1) if sequence else None)
        assert device("POST", f"/v1/recordings/{recording}/segments", body).status_code == 201
        device.complete(recording, sequence, b"%d" % sequence)
        bodies.append(body)
    path = f"/v1/recordings/{recording}/statements"
    first = staff.auditor("GET", path, params={"limit": 2}).json()
    assert first["recording"] is None and first["next"] == 1
    rest = staff.auditor("GET", path, params={"limit": 2, "after": first["next"]}).json()
    assert [s["statement"] for s in first["segments"] + rest["segments"]] == [body["statement"] for body in bodies] and rest["next"] is None
    assert first["segments"][0]["object_key"].endswith(f"{recording}/00000000-{bodies[0]['sha256']}.sss")
    device.finish(recording, 3)
    assert staff.owner("GET", path).json()["recording"].count(".") == 2
    assert code_of(staff.manager("GET", path)) == (404, "recording_unknown")  # not assigned


def test_a_revoked_device_is_out_at_once(staff, worker):
    _, device = worker
    assert staff.admin("POST", f"/v1/devices/{device.id}/revoke").json()["revoked_at"]
    assert code_of(device("GET", "/v1/devices/self/policy")) == (401, "device_revoked")
    assert code_of(device.request_token()) == (401, "device_revoked")


def test_what_a_device_reports_of_itself(staff, worker, sql):
    device, owner = worker[1], staff.owner
    path = f"/v1/devices/{device.id}/diagnostics"
    assert owner("GET", path).json() == {"reports": []}
    for number in range(52):
        assert device("POST", "/v1/devices/self/diagnostics", {"number": number}).status_code == 204
    reports = owner("GET", path).json()["reports"]
    assert [entry["report"]["number"] for entry in reports] == list(range(51, 1, -1))
    # The second is short here, and a million digits in the database.
    for report, expected in [({"a": "x" * 16384}, (413, "body_too_large")), ({"a": [1e308] * 2700}, (413, "body_too_large")),
                             ({"a": chr(0)}, (400, "body_invalid")), ([], (400, "body_invalid"))]:
        assert code_of(device("POST", "/v1/devices/self/diagnostics", report)) == expected
    assert sql(f"SELECT count(*) FROM streamsight.diagnostic WHERE device_id = '{device.id}'") == "50"


def test_a_withdrawn_code_enrols_nobody(staff, api):
    made = staff.admin("POST", "/v1/enrolment-codes", {}).json()
    assert staff.admin("DELETE", f"/v1/enrolment-codes/{made['id']}").status_code == 204
    device = Device(api)
    assert code_of(api("POST", "/v1/devices/enroll", device.enrolment(made["code"]))) == (403, "enrolment_code_invalid")


@pytest.mark.parametrize("path, name", [("/v1/employees", "employees"), ("/v1/devices", "devices"), ("/v1/users", "users"),
                                        ("/v1/enrolment-codes", "enrolment_codes"), ("/v1/audit", "audit")])
def test_pages_hold_each_once(staff, worker, path, name):
    everything = [row["id"] for row in staff.owner("GET", path, params={"limit": 1000}).json()[name]]
    assert len(set(everything)) == len(everything) >= 1
    found, cursor = [], None
    while True:
        page = staff.owner("GET", path, params={"limit": 2} | ({"after": cursor} if cursor else {})).json()
        assert len(page[name]) <= 2
        found += [row["id"] for row in page[name]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == everything


# --- a device's key -------------------------------------------------------------------------------------------------------

def rotation(device, key, **changes):
    claims = {"aud": device.api.public_url, "token_sha256": hashlib.sha256(device.token.encode()).hexdigest(), "iat": int(time.time())}
    return {"public_key": jwk(key), "proof": jws(key, claims | changes), "consent": consent(device.api, device.key, key)}


def consent(api, present, key, **changes):
    return jws(present, {"aud": api.public_url, "key": thumbprint(key), "iat": int(time.time())} | changes)


def thumbprint(key):
    """RFC 7638"""
    return b64url(hashlib.sha256(json.dumps(jwk(key), sort_keys=True, separators=(",", ":")).encode()).digest())


def test_a_device_changes_its_key(worker, sql):
    _, device = worker
    old, new = device.key, Device(device.api).key
    for _ in range(2):  # a lost answer costs a repetition
        assert device("POST", "/v1/devices/self/key", rotation(device, new)).status_code == 204
    assert code_of(device.request_token()) == (401, "client_invalid")
    device.key = new
    assert device.request_token().status_code == 200
    device.key = old
    rows = sql(f"SELECT detail ->> 'before', detail ->> 'key' FROM streamsight.audit WHERE action = 'device.change_key' AND subject_id = '{device.id}'")
    assert rows.splitlines() == [f"{thumbprint(old)}|{thumbprint(new)}"]


def test_a_stolen_token_takes_no_device_over(worker, api):
    """The thief makes a key and a proof with it; what they lack is the device's own signature for it."""
    _, device = worker
    thief, other = Device(api).key, Device(api).key
    for wrong in (jws(thief, {"aud": api.public_url, "key": thumbprint(thief), "iat": int(time.time())}),
                  consent(api, device.key, other), consent(api, device.key, thief, aud="https://other.example.org"),
                  rotation(device, thief)["proof"], jws(device.key, device.claims()), "x"):
        assert code_of(device("POST", "/v1/devices/self/key", rotation(device, thief) | {"consent": wrong})) == (403, "proof_invalid")
    old = consent(api, device.key, thief, iat=int(time.time()) - 600)
    assert code_of(device("POST", "/v1/devices/self/key", rotation(device, thief) | {"consent": old})) == (401, "assertion_time")
    body = rotation(device, thief)
    del body["consent"]
    assert code_of(device("POST", "/v1/devices/self/key", body)) == (422, "field_invalid")
    assert device.request_token().status_code == 200


def test_what_was_signed_before_is_taken_for_a_week(worker, api, sql):
    _, device = worker
    recording = device.open()
    before = device.signed_segment(recording, 0, b"zero")
    ended = {"segments": 1, "ended_at": "2030-01-31T10:05:00.000000Z", "reason": "stopped"}
    ended["statement"] = device.statement("recording", ended | {"device": device.id, "recording": recording})
    new = Device(api).key
    assert device("POST", "/v1/devices/self/key", rotation(device, new)).status_code == 204
    old, device.key = device.key, new
    device.log_in()
    offer = lambda body: device("POST", f"/v1/recordings/{recording}/segments", body)
    shift = lambda days: sql(f"UPDATE streamsight.device_key SET until = now() - interval '{days} days' WHERE device_id = '{device.id}' AND until IS NOT NULL")
    shift(8)
    assert code_of(offer(before)) == (422, "statement_invalid")
    shift(6)
    assert offer(before).status_code == 201
    assert device.complete(recording, 0, b"zero").status_code == 204
    assert device("POST", f"/v1/recordings/{recording}/finish", ended).status_code == 204
    # The old key is good for nothing else, and does not come back.
    device.key = old
    assert code_of(device.request_token()) == (401, "client_invalid")
    device.key = new
    assert code_of(device("POST", "/v1/devices/self/key", rotation(device, old))) == (409, "device_key_known")


def test_only_a_key_that_is_held(worker, staff, api):
    _, device = worker
    new = Device(api).key
    bad = [rotation(device, new, token_sha256="0" * 64), rotation(device, new, aud="https://other.example.org"),
           rotation(device, new) | {"public_key": jwk(device.key)}, rotation(device, new, code_sha256="x") | {"proof": "x"}]
    for body in bad:
        assert code_of(device("POST", "/v1/devices/self/key", body)) == (403, "proof_invalid")
    assert code_of(device("POST", "/v1/devices/self/key", rotation(device, new, iat=int(time.time()) - 600))) == (401, "assertion_time")
    other = Device(api).enroll(staff.admin("POST", "/v1/enrolment-codes", {}).json()["code"]).log_in()
    assert code_of(device("POST", "/v1/devices/self/key", rotation(device, other.key))) == (409, "device_key_known")
    assert device.request_token().status_code == 200
