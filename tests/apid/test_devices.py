"""Enrolment, tokens and the policy."""

import base64
import concurrent.futures
import hashlib
import json
import secrets
import time
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.process import ServiceError

from .client import ASSERTION_TYPE, Device, b64url, check_problem, code_of, jwk, jws

INVALID_CODE = 403, "enrolment_code_invalid"


# --- enrolment ---------------------------------------------------------------------------------------------------------

def test_enrol(apid, api, company, sql):
    device = Device(api)
    code = apid.enrolment_code(company)
    answer = api("POST", "/v1/devices/enroll", device.enrolment(code))
    assert answer.status_code == 201
    assert answer.json() == {"device_id": answer.json()["device_id"], "company_id": company, "company": "Example Corp"}
    assert str(uuid.UUID(answer.json()["device_id"])) == answer.json()["device_id"]
    assert sql(f"SELECT action FROM streamsight.audit WHERE subject_id = '{answer.json()['device_id']}'") == "device.enroll"
    # Of the code only a hash is kept.
    assert sql(f"SELECT count(*) FROM streamsight.enrolment_code c WHERE c::text ILIKE '%{code[:9]}%'") == "0"


def test_code_may_be_written_as_people_write(apid, api, company):
    code = apid.enrolment_code(company)
    assert Device(api).enroll(" " + code.lower().replace("-", " ") + " ").id


def test_wrong_used_and_expired_code_get_one_answer(apid, api, company, sql):
    wrong = api("POST", "/v1/devices/enroll", Device(api).enrolment("ABCD-EFGH-JKMN-PQRS-TUVW"))
    code = apid.enrolment_code(company)
    Device(api).enroll(code)
    used = api("POST", "/v1/devices/enroll", Device(api).enrolment(code))
    short = apid.enrolment_code(company, ttl=1)
    time.sleep(1.1)
    expired = api("POST", "/v1/devices/enroll", Device(api).enrolment(short))
    assert [code_of(answer) for answer in (wrong, used, expired)] == [INVALID_CODE] * 3
    assert wrong.json() == used.json() == expired.json()
    for word in ("wrong", "used", "expired", "administrator"):
        assert word in wrong.json()["detail"]


def test_same_key_and_code_again_is_the_same_device(apid, api, company):
    """The first answer may have been lost."""
    device, code = Device(api), apid.enrolment_code(company)
    first = device.enroll(code).id
    assert device.enroll(code).id == first


def test_known_key_with_another_code(apid, api, company):
    device = Device(api).enroll(apid.enrolment_code(company))
    code = apid.enrolment_code(company)
    assert code_of(api("POST", "/v1/devices/enroll", device.enrolment(code))) == (409, "device_key_known")
    Device(api).enroll(code)  # which is not used up


def test_one_code_enrols_one_device_of_many_at_once(apid, api, company):
    code = apid.enrolment_code(company)
    bodies = [Device(api).enrolment(code) for _ in range(16)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: api("POST", "/v1/devices/enroll", body), bodies))
    assert sorted(answer.status_code for answer in answers) == [201] + [403] * 15


@pytest.mark.parametrize("change", ["other key", "other code", "other server", "not a JWS", "old", "early", "none", "HS256"])
def test_wrong_proof(apid, api, company, change):
    device, code = Device(api), apid.enrolment_code(company)
    good = device.enrolment(code)
    claims = json.loads(base64.urlsafe_b64decode(good["proof"].split(".")[1] + "=="))
    now = int(time.time())
    proof = {
        "other key": lambda: jws(Device(api).key, claims),
        "other code": lambda: Device(api).enrolment("ABCD-EFGH-JKMN-PQRS-TUVW")["proof"],
        "other server": lambda: jws(device.key, claims | {"aud": "https://api.example.org"}),
        "not a JWS": lambda: "proof",
        "old": lambda: jws(device.key, claims | {"iat": now - 61}),
        "early": lambda: jws(device.key, claims | {"iat": now + 90}),
        "none": lambda: jws(device.key, claims, {"alg": "none"}),
        "HS256": lambda: jws(device.key, claims, {"alg": "HS256"}),
    }[change]()
    answer = api("POST", "/v1/devices/enroll", good | {"proof": proof})
    assert code_of(answer) == ((401, "assertion_time") if change in ("old", "early") else (403, "proof_invalid"))
    device.enroll(code)  # a failed try does not use the code up


@pytest.mark.parametrize("change", [
    {"code": None}, {"code": ""}, {"code": "X" * 65}, {"code": 1}, {"hostname": ""}, {"hostname": "a\nb"},
    {"hostname": "x" * 256}, {"hostname": {}}, {"public_key": None}, {"public_key": "key"}, {"public_key": {}},
    {"public_key": {"kty": "RSA"}}, {"proof": None}, {"proof": "x" * 9000}])
def test_bad_enrolment(api, change):
    answer = api("POST", "/v1/devices/enroll", Device(api).enrolment("ABCD-EFGH-JKMN-PQRS-TUVW") | change)
    assert code_of(answer) == (422, "field_invalid")
    assert f'"{next(iter(change))}"' in answer.json()["detail"]


def test_key_must_be_a_public_point_on_the_curve(api):
    device = Device(api)
    good = jwk(device.key)
    wrong_curve = ec.generate_private_key(ec.SECP256K1())
    for bad in (good | {"y": good["x"]}, good | {"d": good["x"]}, good | {"crv": "P-384"}, jwk(wrong_curve),
                good | {"x": good["x"] + "="}):
        answer = api("POST", "/v1/devices/enroll", device.enrolment("ABCD-EFGH-JKMN-PQRS-TUVW", public_key=bad))
        assert code_of(answer) == (422, "field_invalid"), bad


# --- tokens --------------------------------------------------------------------------------------------------------------

def test_token(device, sql):
    answer = device.request_token()
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["token_type"] == "Bearer" and body["expires_in"] == 600
    assert sql(f"SELECT count(*) FROM streamsight.device_token t WHERE t::text LIKE '%{body['access_token']}%'") == "0"
    assert sql("SELECT extract(epoch FROM max(expires_at) - now())::int BETWEEN 590 AND 600 "
               f"FROM streamsight.device_token WHERE device_id = '{device.id}'") == "t"


def test_replayed_assertion(device):
    assertion = jws(device.key, device.claims())
    assert device.request_token(assertion).status_code == 200
    answer = device.request_token(assertion)
    assert code_of(answer) == (401, "assertion_replayed") and answer.json()["error"] == "invalid_client"
    # The same jti under another signature is as used.
    claims = device.claims()
    assert device.request_token(jws(device.key, claims)).status_code == 200
    assert code_of(device.request_token(jws(device.key, claims | {"exp": claims["exp"] - 1}))) == (401, "assertion_replayed")


def test_replayed_assertion_at_once(device):
    assertion = jws(device.key, device.claims())
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: device.request_token(assertion).status_code, range(16)))
    assert sorted(answers) == [200] + [401] * 15


@pytest.mark.parametrize("shift, lifetime", [(-200, 55), (200, 55), (0, 61), (0, -1), (-10 ** 9, 55)])
def test_assertion_at_the_wrong_time(device, shift, lifetime):
    now = int(time.time()) + shift
    answer = device.request_token(jws(device.key, device.claims(iat=now, exp=now + lifetime)))
    assert code_of(answer) == (401, "assertion_time") and answer.json()["error"] == "invalid_client"
    assert time.strftime("%Y-%m-%dT%H:", time.gmtime()) in answer.json()["detail"]  # the server's time


@pytest.mark.parametrize("shift", [-50, 50])
def test_clocks_may_differ_a_little(device, shift):
    now = int(time.time()) + shift
    assert device.request_token(jws(device.key, device.claims(iat=now, exp=now + 55))).status_code == 200


@pytest.mark.parametrize("claims", [
    {"iss": str(uuid.uuid4())}, {"sub": "x"}, {"aud": "https://api.example.org/v1/devices/token"}, {"aud": []},
    {"aud": None}, {"jti": "short"}, {"jti": None}, {"jti": "x" * 129}, {"iat": "now"}, {"exp": None}, {"iat": 2 ** 63}])
def test_bad_claims(device, claims):
    answer = device.request_token(jws(device.key, device.claims() | claims))
    assert answer.status_code == 401 and answer.json()["error"] == "invalid_client", answer.text
    assert answer.json()["code"] == "client_invalid"


def test_audience_for_several_servers_is_refused(device):
    mine = device.api.public_url + "/v1/devices/token"
    assert device.request_token(jws(device.key, device.claims(aud=[mine]))).status_code == 200
    assert device.request_token(jws(device.key, device.claims(aud=[mine, "https://api.example.org"]))).status_code == 401


def test_forged_assertions(device, new_device):
    unknown = str(uuid.uuid4())
    claims = device.claims()
    header = {"alg": "none"}
    unsigned = b64url(json.dumps(header).encode()) + "." + b64url(json.dumps(claims).encode()) + "."
    for assertion in (unsigned, unsigned + b64url(bytes(64)), jws(device.key, claims, header),
                      jws(device.key, claims, {"alg": "HS256"}),
                      jws(new_device().key, claims),  # another device's key
                      jws(device.key, device.claims(iss=unknown, sub=unknown)),
                      jws(device.key, claims)[:-4], jws(device.key, claims) + "=", "x", "x" * 9000):
        answer = device.request_token(assertion)
        assert code_of(answer) == (401, "client_invalid"), assertion
        assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("form, expected", [
    ({"grant_type": "password"}, "grant_unsupported"), ({"client_assertion_type": "urn:x"}, "grant_unsupported"),
    ({"grant_type": ""}, "grant_unsupported"), ({"client_assertion": None}, "body_invalid")])
def test_bad_grant(device, form, expected):
    assert code_of(device.request_token(**form)) == (400, expected)


def test_bad_form(api):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    good = f"grant_type=client_credentials&client_assertion_type={ASSERTION_TYPE}&client_assertion=x"
    for body in ("", "&&&", "=", good + "&grant_type=client_credentials", good.replace("=x", "=%zz"), good.replace("=x", "=%00"),
                 good.replace("=x", "=%"), good.encode() + b"\0"):
        assert code_of(api("POST", "/v1/devices/token", data=body, headers=form)) == (400, "body_invalid"), body
    assert code_of(api("POST", "/v1/devices/token", {"grant_type": "client_credentials"})) == (415, "body_type_unsupported")


# --- what a token is good for ---------------------------------------------------------------------------------------------

def test_missing_unknown_and_expired_token(api, device, viewer, sql):
    for token in (None, "x", "ssd_" + secrets.token_urlsafe(32), device.token[:-1], device.token + "A", viewer, "x" * 300):
        answer = api("GET", "/v1/devices/self/policy", token=token)
        assert code_of(answer) == (401, "token_invalid"), token
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    for header in ("Basic eDp5", "Bearer", "Bearer ", f"Bearer {device.token} x", device.token):
        answer = api("GET", "/v1/devices/self/policy", headers={"Authorization": header})
        assert code_of(answer) == (401, "token_invalid"), header
    sql(f"UPDATE streamsight.device_token SET expires_at = now() - interval '1 second' WHERE device_id = '{device.id}'")
    answer = device("GET", "/v1/devices/self/policy")
    assert code_of(answer) == (401, "token_expired")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_revocation_bites_at_once(apid, device):
    assert device("GET", "/v1/devices/self/policy").status_code == 200
    apid.admin("device", "revoke", device.id)
    assert code_of(device("GET", "/v1/devices/self/policy")) == (401, "device_revoked")
    assert code_of(device.request_token()) == (401, "device_revoked")
    assert code_of(device("PUT", f"/v1/recordings/{uuid.uuid4()}", device.recording())) == (401, "device_revoked")


def test_leaving(apid, new_device):
    device, other = new_device(), new_device()
    leave = lambda: device("POST", "/v1/devices/self/leave", {"proof": device.leave_proof()})
    assert leave().status_code == 204
    assert code_of(leave()) == (401, "device_revoked")
    assert code_of(device("GET", "/v1/devices/self/policy")) == (401, "device_revoked")
    assert other("GET", "/v1/devices/self/policy").status_code == 200


def test_a_stolen_token_takes_no_device_out_of_service(api, new_device):
    """The thief has no signature of the device's, or one that it made for something else or another token."""
    device, other = new_device(), new_device()
    now, hashed = int(time.time()), hashlib.sha256(device.token.encode()).hexdigest()
    for proof in (jws(other.key, {"aud": api.public_url, "leave": hashed, "iat": now}), jws(device.key, device.claims()), other.leave_proof(), "x",
                  jws(device.key, {"aud": api.public_url, "token_sha256": hashed, "iat": now}),
                  jws(device.key, {"aud": "https://other.example.org", "leave": hashed, "iat": now})):
        assert code_of(device("POST", "/v1/devices/self/leave", {"proof": proof})) == (403, "proof_invalid")
    assert code_of(device("POST", "/v1/devices/self/leave", {"proof": device.leave_proof(iat=now - 100)})) == (401, "assertion_time")
    assert code_of(device("POST", "/v1/devices/self/leave", {})) == (422, "field_invalid")
    assert code_of(device("DELETE", "/v1/devices/self")) == (404, "not_found")
    assert device("GET", "/v1/devices/self/policy").status_code == 200


def test_an_assertion_is_remembered_by_the_databases_clock(device, stack, apid):
    """For longer than apid takes it, whose clock may be behind."""
    issue = lambda: stack.postgres.sql(f"SELECT api.issue_device_token('{device.id}', 'a jti of 22 characters', now() - interval '10 min', "
                                       f"'ssd_{secrets.token_urlsafe(32)}', '600 s')", dsn=apid.database_dsn)
    issue()
    with pytest.raises(ServiceError, match="assertion_replayed"):
        issue()


def test_policy(apid, stack, new_device):
    company = apid.create_company("Policy Corp")
    device = new_device(company)
    answer = device("GET", "/v1/devices/self/policy")
    assert answer.json() == {
        "revision": 1, "company": "Policy Corp", "device_id": device.id, "employee": "", "recording": "automatic",
        "frames_per_second": 5, "jpeg_quality": 85, "segment_seconds": 60, "segment_bytes": 8388608, "bucket_host": ""}
    tag = answer.headers["ETag"]
    for value in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        unchanged = device("GET", "/v1/devices/self/policy", headers={"If-None-Match": value})
        assert unchanged.status_code == 304 and unchanged.headers["ETag"] == tag and not unchanged.content, value
    apid.admin("policy", "set", "--company", company, "--recording", "manual", "--frames-per-second", 2)
    changed = device("GET", "/v1/devices/self/policy", headers={"If-None-Match": tag})
    assert changed.status_code == 200 and changed.headers["ETag"] != tag
    assert changed.json() | {"revision": 2, "recording": "manual", "frames_per_second": 2} == changed.json()
    apid.admin("policy", "set", "--company", company, "--bytes-per-minute", 5000000, "--cpu-ms-per-second", 40)
    apid.admin("policy", "set", "--company", company, "--frames-per-second", 3)
    ceilings = device("GET", "/v1/devices/self/policy").json()
    assert (ceilings["bytes_per_minute"], ceilings["cpu_ms_per_second"], ceilings["frames_per_second"]) == (5000000, 40, 3)
    apid.set_bucket(company, stack.s3)
    bucket = device("GET", "/v1/devices/self/policy", headers={"If-None-Match": changed.headers["ETag"]})
    assert bucket.status_code == 200 and bucket.json()["bucket_host"] == f"{stack.s3.host}:{stack.s3.https_port}"
