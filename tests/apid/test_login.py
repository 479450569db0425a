"""People: how they join, log in and out, and what is tried against that."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import uuid

import pytest
import requests

from services.people import PASSWORD, User, token_of, totp
from services.redis import Redis

from .client import b64url, code_of, once_it_asks, session_token


@pytest.fixture
def user(apid, company):
    return apid.user(company)


@pytest.fixture
def forget(sql):
    """Lets a user use codes of this half minute again, and forgets failed logins."""
    return lambda: sql("UPDATE streamsight.account SET totp_last_step = 0 WHERE totp_masked IS NOT NULL; "
                       "DELETE FROM streamsight.login_failure")


def test_joining_and_logging_in(apid, api, company, sql):
    user = User(api.url, email="Ada.Lovelace+x@Example.org").invite(apid, company, "manager")
    assert re.fullmatch(r"([A-HJKMNP-Z2-9]{4}-){5}[A-HJKMNP-Z2-9]{4}", user.invitation)
    answer = user.post("/v1/auth/invitation", {"invitation": user.invitation.lower(), "password": PASSWORD})
    body = answer.json()
    assert answer.status_code == 200 and body["email"] == "ada.lovelace+x@example.org"
    uri = urllib.parse.urlsplit(body["uri"])
    assert (uri.scheme, uri.netloc, urllib.parse.unquote(uri.path)) == ("otpauth", "totp", "/StreamSight:ada.lovelace+x@example.org")
    assert dict(urllib.parse.parse_qsl(uri.query)) == {"secret": body["secret"], "issuer": "StreamSight", "algorithm": "SHA1",
                                                      "digits": "6", "period": "30"}
    assert body["qr_svg"].startswith("<svg ") and len(base64.b32decode(body["secret"])) == 20
    # Not active yet: no login, whatever the password.
    assert code_of(user.begin()) == (401, "login_refused")
    # Asked again it starts over, and what was first is worth nothing.
    user.secret = body["secret"]
    again = user.post("/v1/auth/invitation", {"invitation": user.invitation, "password": PASSWORD}).json()
    assert again["secret"] != body["secret"]
    stale = user.post("/v1/auth/totp/confirm", {"challenge": body["challenge"], "code": user.code()})
    assert code_of(stale) == (401, "challenge_invalid")
    wrong = user.post("/v1/auth/totp/confirm", {"challenge": again["challenge"], "code": "000000" if user.code() != "000000" else "1"})
    assert code_of(wrong) == (401, "login_refused")
    user.secret, user._last_step = again["secret"], 0
    done = user.post("/v1/auth/totp/confirm", {"challenge": again["challenge"], "code": user.code()})
    codes = done.json()["recovery_codes"]
    assert done.status_code == 200 and len(set(codes)) == 10
    assert all(re.fullmatch(r"([A-HJKMNP-Z2-9]{4}-){3}[A-HJKMNP-Z2-9]{4}", code) for code in codes)
    # The invitation is used up.
    assert code_of(user.post("/v1/auth/invitation", {"invitation": user.invitation, "password": PASSWORD})) == (403, "invitation_invalid")

    answer = user.begin(email=user.email.upper())
    challenge = answer.json()["challenge"]
    answer = user.post("/v1/auth/totp", {"challenge": challenge, "code": user.code()})
    assert answer.status_code == 200 and answer.json()["user"]["role"] == "manager"
    name, *flags = answer.headers["Set-Cookie"].split("; ")
    assert name.startswith("__Host-streamsight=") and set(flags) - {f for f in flags if f.startswith("Max-Age=")} == {
        "Path=/", "HttpOnly", "Secure", "SameSite=Lax"}
    token = token_of(answer)
    assert token not in answer.text and session_token(token) not in answer.text
    who = api("GET", "/v1/auth/session", headers={"Cookie": f"__Host-streamsight={token}"}).json()
    assert who["user"]["email"] == "ada.lovelace+x@example.org" and who["company"]["id"] == company and who["recovery_codes"] == 10
    assert api("GET", "/v1/auth/session", token=token).json() == who
    # Neither password, secret nor token is in the database.
    dump = sql("SELECT a::text FROM streamsight.account a UNION ALL SELECT s::text FROM streamsight.session s "
               "UNION ALL SELECT r::text FROM streamsight.recovery_code r UNION ALL SELECT i::text FROM streamsight.invitation i")
    for secret in (PASSWORD, base64.b32decode(user.secret).hex(), session_token(token), codes[0].replace("-", "")):
        assert secret not in dump


def test_the_database_keeps_the_hash_it_says(api, company, user, sql):
    """PBKDF2-HMAC-SHA-512 of company's and account's salt, 210,000 times, and SHA-256 of that."""
    company_salt, salt, iterations, kept = sql(
        "SELECT encode(c.salt, 'hex'), encode(a.password_salt, 'hex'), a.password_iterations, encode(a.password_sha256, 'hex') "
        f"FROM streamsight.account a JOIN streamsight.company c ON c.id = a.company_id WHERE a.email = '{user.email}'").split("|")
    assert int(iterations) >= 210000
    derived = hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), bytes.fromhex(company_salt + salt), int(iterations))
    assert hashlib.sha256(derived).hexdigest() == kept


def test_codes_are_those_of_rfc_6238(sql):
    """The RFC's own vectors for SHA-1 (appendix B, of whose eight digits these are the last six), and oathtool's."""
    secret = b"12345678901234567890"
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
                          (2000000000, "279037"), (20000000000, "353130")):
        assert sql(f"SELECT streamsight.totp_code('\\x{secret.hex()}', {seconds // 30})") == code
    for n in range(20):
        secret = hashlib.sha1(bytes([n])).digest()
        step = 50000000 + n * 1000003
        oracle = subprocess.run(["oathtool", "--totp", f"--now=@{step * 30}", secret.hex()], check=True, text=True, capture_output=True)
        assert sql(f"SELECT streamsight.totp_code('\\x{secret.hex()}', {step})") == oracle.stdout.strip()
        assert totp(base64.b32encode(secret), step) == oracle.stdout.strip()


def test_a_refusal_does_not_tell_who_exists(user, sql):
    wrong, unknown = user.begin(password="not the password"), user.begin(email="nobody.at.all@example.org")
    assert code_of(wrong) == code_of(unknown) == (401, "login_refused")
    assert wrong.json() == unknown.json()
    ask = "SELECT salt, iterations FROM api.login_parameters('{}')"
    salts = [sql(ask.format(email)) for email in (user.email, "nobody@example.org", "someone@example.org")]
    assert len(set(salts)) == 3 and {len(salt) for salt in salts} == {len(salts[0])}
    assert sql(ask.format("nobody@example.org")) == sql(ask.format("NOBODY@example.org")) == salts[1]


@pytest.mark.parametrize("known", [True, False])
def test_failures_lock_for_longer_and_longer(user, sql, known, forget):
    email = user.email if known else f"unknown.{user.email}"
    row = f"streamsight.login_failure WHERE email_sha256 = sha256('{email}')"
    for _ in range(4):
        assert code_of(user.begin(email=email, password="wrong")) == (401, "login_refused")
    waits = []
    for _ in range(4):
        answer = user.begin(email=email, password="wrong")
        assert code_of(answer) == (429, "login_locked")
        waits.append(int(answer.headers["Retry-After"]))
        # While it is locked (for longer than this test may take) not even the right password is looked at.
        sql("UPDATE " + row.replace(" WHERE", " SET locked_until = now() + interval '1 h' WHERE"))
        assert code_of(user.begin(email=email)) == (429, "login_locked")
        sql(f"UPDATE {row.replace(' WHERE', ' SET locked_until = now() WHERE')}")
    assert waits == [5, 10, 20, 40]
    assert sql(f"SELECT failures FROM {row}") == "8"
    if known:
        user.log_in()
        assert sql(f"SELECT count(*) FROM {row}") == "0"
        assert int(sql("SELECT count(*) FROM streamsight.audit WHERE action = 'login.refused' AND actor_id = "
                       f"'{user.id}'")) == 8


def test_guesses_at_once_are_counted_one_by_one(user, sql):
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: code_of(User(user.url, user.email).begin(password=f"guess {n} is wrong")), range(12)))
    assert answers.count((401, "login_refused")) == 4 and answers.count((429, "login_locked")) == 8
    # Locks may end meanwhile where hashing is slow: without them it would be all twelve.
    assert 5 <= int(sql(f"SELECT failures FROM streamsight.login_failure WHERE email_sha256 = sha256('{user.email}')")) < 10


def test_a_code_is_good_once(user, forget):
    code = user.code()
    user.log_in(code)
    answer = user.post("/v1/auth/totp", {"challenge": user.begin().json()["challenge"], "code": code})
    assert code_of(answer) == (401, "login_refused")
    forget()


def test_old_and_early_codes(user, forget):
    now = int(time.time()) // 30
    challenge = user.begin().json()["challenge"]
    for step in (now - 3, now + 4):
        assert code_of(user.post("/v1/auth/totp", {"challenge": challenge, "code": totp(user.secret, step)})) == (401, "login_refused")
    forget()


def test_a_challenge_bears_five_wrong_codes(user, forget):
    challenge = user.begin().json()["challenge"]
    wrong = [user.post("/v1/auth/totp", {"challenge": challenge, "code": "12345"}) for _ in range(4)]
    assert {code_of(answer) for answer in wrong} == {(401, "login_refused")}
    assert code_of(user.post("/v1/auth/totp", {"challenge": challenge, "code": "12345"})) == (429, "login_locked")
    forget()
    assert code_of(user.post("/v1/auth/totp", {"challenge": challenge, "code": user.code()})) == (401, "challenge_invalid")
    forget()


def test_recovery_codes_are_good_once(user, api, forget):
    code = user.recovery_codes[3]
    user.log_in(code.lower())
    assert api("GET", "/v1/auth/session", token=user.token).json()["recovery_codes"] == 9
    answer = user.post("/v1/auth/totp", {"challenge": user.begin().json()["challenge"], "code": code})
    assert code_of(answer) == (401, "login_refused")
    forget()


def test_no_session_without_both(user, api):
    challenge = user.begin().json()["challenge"]
    for token in (challenge, b64url(b"{}") + "." + b64url(b"{}") + ".", "sss_" + "A" * 43):
        assert code_of(api("GET", "/v1/auth/session", token=token)) == (401, "token_invalid")
    assert code_of(api("POST", "/v1/auth/totp", {"challenge": "ssc_" + "A" * 43, "code": "123456"})) == (401, "challenge_invalid")


def test_logging_out(user, api, sql, forget):
    first = user.log_in().token
    forget()
    user._last_step = 0
    second, third = user.log_in(user.recovery_codes[0]).token, user.log_in(user.recovery_codes[1]).token
    answer = api("POST", "/v1/auth/logout", token=first)
    assert answer.status_code == 204 and "Max-Age=0" in answer.headers["Set-Cookie"]
    assert code_of(api("GET", "/v1/auth/session", token=first)) == (401, "token_expired")
    assert api("GET", "/v1/auth/session", token=second).status_code == 200
    assert api("POST", "/v1/auth/logout-everywhere", token=second).status_code == 204
    for token in (first, second, third):
        assert api("GET", "/v1/auth/session", token=token).status_code == 401
    assert sql(f"SELECT count(*) FROM streamsight.session WHERE account_id = '{user.id}'") == "0"


def test_password_change(user, api, forget):
    first, second = user.log_in(user.recovery_codes[0]).token, user.log_in(user.recovery_codes[1]).token
    change = lambda password, new, token=first: api("POST", "/v1/auth/password", {"password": password, "new_password": new}, token=token)
    assert code_of(change("wrong wrong wrong", "another fine password")) == (403, "password_wrong")
    assert code_of(change(PASSWORD, "too short")) == (422, "field_invalid")
    assert change(PASSWORD, "another fine password").status_code == 204
    assert api("GET", "/v1/auth/session", token=first).status_code == 200
    assert api("GET", "/v1/auth/session", token=second).status_code == 401
    assert code_of(user.begin()) == (401, "login_refused")
    user.password = "another fine password"
    user.log_in(user.recovery_codes[2])
    forget()


def test_other_recovery_codes(user, api, sql, forget):
    user.log_in(user.recovery_codes[0])
    renew = lambda password, code: api("POST", "/v1/auth/recovery-codes", {"password": password, "code": code}, token=user.token)
    left = lambda: api("GET", "/v1/auth/session", token=user.token).json()["recovery_codes"]
    failures = lambda: sql(f"SELECT coalesce(max(failures), 0) FROM streamsight.login_failure WHERE email_sha256 = sha256('{user.email}')")
    noted = lambda action: sql(f"SELECT count(*) FROM streamsight.audit WHERE actor_id = '{user.id}' AND action = 'recovery_codes.{action}'")
    before = user.recovery_codes
    forget()
    user._last_step = 0
    code = user.code()
    assert code_of(renew("wrong wrong wrong", code)) == (403, "factors_wrong")
    assert code_of(renew(PASSWORD, totp(user.secret, 1))) == (403, "factors_wrong")
    assert code_of(renew(PASSWORD, before[1])) == (403, "factors_wrong")  # no code of these: of the authenticator
    assert (left(), failures(), noted("refused"), noted("renew")) == (9, "3", "3", "0")
    answer = renew(PASSWORD, code)
    assert answer.status_code == 200 and (left(), failures(), noted("renew")) == (10, "0", "1")
    user.recovery_codes = answer.json()["recovery_codes"]
    assert len(set(user.recovery_codes) | set(before)) == 20
    assert code_of(renew(PASSWORD, code)) == (403, "factors_wrong")  # it was used
    challenge = user.begin().json()["challenge"]
    assert code_of(user.post("/v1/auth/totp", {"challenge": challenge, "code": before[1]})) == (401, "login_refused")
    user.log_in(user.recovery_codes[0])
    assert left() == 9
    # Guesses at it count like those of a login, and a right one waits, too.
    forget()
    for _ in range(4):
        assert code_of(renew("wrong wrong wrong", "123456")) == (403, "factors_wrong")
    assert code_of(renew("wrong wrong wrong", "123456")) == (429, "login_locked")
    sql(f"UPDATE streamsight.login_failure SET locked_until = now() + interval '1 h' WHERE email_sha256 = sha256('{user.email}')")
    user._last_step = 0
    answer = renew(PASSWORD, user.code())
    assert code_of(answer) == (429, "login_locked") and int(answer.headers["Retry-After"]) > 3000
    assert left() == 9
    forget()


def test_recovery_codes_are_renewed_once_with_a_code(user, apid, forget):
    forget()
    user._last_step = 0
    user.log_in(user.recovery_codes[0])
    code = user.code()
    ask = lambda _: requests.post(user.url + "/v1/auth/recovery-codes", json={"password": PASSWORD, "code": code}, timeout=60,
                                  headers={"Authorization": f"Bearer {user.token}"}).status_code
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))) == [200, 403, 403, 403]
    forget()


def test_a_new_invitation_ends_the_old_life(user, apid, api):
    user.log_in(user.recovery_codes[0])
    before, codes = user.token, user.recovery_codes
    user.invitation = apid.admin("user", "invite", user.id)
    assert code_of(api("GET", "/v1/auth/session", token=before)) == (401, "token_invalid")
    assert code_of(user.begin()) == (401, "login_refused")
    user._last_step = 0
    user.accept().log_in(user.recovery_codes[0])
    challenge = user.begin().json()["challenge"]
    assert code_of(user.post("/v1/auth/totp", {"challenge": challenge, "code": codes[1]})) == (401, "login_refused")
    assert apid.admin("user", "disable", user.id) == user.id
    assert code_of(api("GET", "/v1/auth/session", token=user.token)) == (401, "token_invalid")


# --- the session's token ------------------------------------------------------------------------------------------------

def forge(key, claims, header=None):
    kid = hashlib.sha256(key).hexdigest()[:16]
    signed = b64url(json.dumps(header or {"alg": "HS256", "kid": kid, "typ": "JWT"}, separators=(",", ":")).encode()) + "." + \
        b64url(json.dumps(claims).encode())
    return signed + "." + b64url(hmac.new(key, signed.encode(), hashlib.sha256).digest())


def test_forged_tokens(user, apid, api):
    jwt = user.log_in().token
    header, payload, mac = jwt.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    key = apid.session_keys.read_bytes()
    kid = hashlib.sha256(key).hexdigest()[:16]
    assert api("GET", "/v1/auth/session", token=forge(key, claims)).status_code == 200  # so forge() forges well
    for bad in (f"{header}.{payload}.", f"{header}.{payload}", f"{header}.{payload}.{mac[:-1]}", f"{header}.{payload}.{mac}x",
                f"{header}.{payload}.{mac[::-1]}", forge(bytes(32), claims), forge(key, claims, {"alg": "none"}),
                forge(key, claims, {"alg": "HS256", "kid": "0" * 16, "typ": "JWT"}), forge(bytes(32), claims, {"alg": "HS256", "kid": kid, "typ": "JWT"}),
                forge(key, claims | {"sid": claims["sid"][:-1]}), forge(key, claims | {"sub": "x"}), forge(key, []), forge(key, {}),
                f"{header}.{b64url(json.dumps(claims | {'exp': claims['exp'] + 1}).encode())}.{mac}", "..", "a.b.c", "x" * 5000):
        assert code_of(api("GET", "/v1/auth/session", token=bad)) == (401, "token_invalid"), bad
    assert code_of(api("GET", "/v1/auth/session", token=forge(key, claims | {"exp": int(time.time()) - 1}))) == (401, "token_expired")
    # Well signed, of a session that Redis does not know, or knows as somebody else's.
    assert code_of(api("GET", "/v1/auth/session", token=forge(key, claims | {"sid": "sss_" + "A" * 43}))) == (401, "token_expired")
    other = forge(key, claims | {"sub": "5d0c1f6e-9b7a-4c3d-8e2f-1a0b9c8d7e6f"})
    assert code_of(api("GET", "/v1/auth/session", token=other)) == (401, "token_expired")


def test_signing_keys_can_be_changed(user, apid, second, tmp_path):
    old, new = apid.session_keys.read_bytes(), bytes(range(32))
    jwt = user.log_in().token
    files = {}
    for name, keys in (("both", new + old), ("new", new)):
        files[name] = tmp_path / name
        files[name].touch(mode=0o600)
        files[name].write_bytes(keys)
    during = second(None, (f"KeyFile={apid.session_keys}", f"KeyFile={files['both']}"))[1]
    assert during("GET", "/v1/auth/session", token=jwt).status_code == 200
    user.url = during.url
    renewed = user.log_in(user.recovery_codes[0]).token
    after = second(None, (f"KeyFile={apid.session_keys}", f"KeyFile={files['new']}"))[1]
    assert code_of(after("GET", "/v1/auth/session", token=jwt)) == (401, "token_invalid")
    assert after("GET", "/v1/auth/session", token=renewed).status_code == 200


def test_absolute_expiry(user, api, sql):
    user.log_in()
    sql(f"UPDATE streamsight.session SET expires_at = now() - interval '1 s' WHERE account_id = '{user.id}'")
    assert code_of(api("GET", "/v1/auth/session", token=user.token)) == (401, "token_expired")


def test_idle_expiry(user, second):
    user.url = second(None, ("[Sessions]", "[Sessions]\nIdleSeconds=1"))[1].url
    user.log_in()
    time.sleep(2.5)
    assert user.http.get(user.url + "/v1/auth/session", headers={"Authorization": f"Bearer {user.token}"}).json()["code"] == "token_expired"


@pytest.mark.parametrize("headers, allowed", [
    ({}, False), ({"Origin": "PUBLIC"}, True), ({"Origin": "PUBLIC", "Sec-Fetch-Site": "same-origin"}, True),
    ({"Origin": "https://evil.example"}, False), ({"Origin": "null"}, False), ({"Origin": "PUBLIC.evil.example"}, False),
    ({"Origin": "PUBLIC", "Sec-Fetch-Site": "cross-site"}, False), ({"Origin": "PUBLIC", "Sec-Fetch-Site": "same-site"}, False)])
def test_another_sites_page_cannot_use_the_cookie(user, api, headers, allowed):
    user.log_in()
    headers = {name: value.replace("PUBLIC", api.public_url) for name, value in headers.items()}
    answer = api("POST", "/v1/auth/logout", headers=headers | {"Cookie": f"a=b; __Host-streamsight={user.token}"})
    assert answer.status_code == 204 if allowed else code_of(answer) == (403, "origin_refused")
    # Reading needs no origin: another site's page is not shown the answer.
    still = api("GET", "/v1/auth/session", headers={"Cookie": f"__Host-streamsight={user.token}"})
    assert still.status_code == (401 if allowed else 200)


def test_another_sites_page_cannot_log_in(user):
    for origin, status in (("https://evil.example", 403), ("null", 403)):
        answer = user.post("/v1/auth/login", {"email": user.email, "password": PASSWORD}, headers={"Origin": origin})
        assert code_of(answer) == (403, "origin_refused")
    answer = user.http.post(user.url + "/v1/auth/login", data=json.dumps({"email": user.email, "password": PASSWORD}),
                            headers={"Content-Type": "text/plain"})
    assert code_of(answer) == (415, "body_type_unsupported")


def test_a_browser_through_the_gateway(stack, http, user):
    """The cookie as a client with a cookie jar has it, over TLS."""
    url = stack.gateway.url
    send = lambda path, body=None: http.post(url + path, json=body, headers={"Origin": url, "Sec-Fetch-Site": "same-origin"}, timeout=60)
    challenge = send("/v1/auth/login", {"email": user.email, "password": PASSWORD}).json()["challenge"]
    answer = send("/v1/auth/totp", {"challenge": challenge, "code": user.code()})
    assert answer.status_code == 200 and [cookie.secure for cookie in http.cookies] == [True]
    assert http.get(url + "/v1/auth/session").json()["user"]["email"] == user.email
    assert send("/v1/auth/logout").status_code == 204 and not http.cookies
    assert http.get(url + "/v1/auth/session").status_code == 401


# --- Redis ---------------------------------------------------------------------------------------------------------------

@pytest.fixture
def own_redis(stack, tmp_path, second):
    """An apid with a Redis of its own, which tests may stop: (Redis, Api)."""
    started = []

    def start(**arguments):
        redis = Redis(stack.run_dir / f"redis-{tmp_path.name}-{len(started)}", stack.ca, **arguments).start()
        started.append(redis)
        shared = stack.redis
        _, api = second(None, (f"Redis={shared.host}:{shared.port}", f"Redis={redis.host}:{redis.port}"),
                        (str(shared.password_file), str(redis.password_file)))
        return redis, api

    yield start
    for redis in started:
        redis.stop()


def test_without_redis_nobody_gets_in_and_devices_go_on(own_redis, user, device):
    redis, api = own_redis()
    user.url = api.url
    user.log_in()
    assert api("GET", "/v1/auth/session", token=user.token).status_code == 200
    redis.stop()
    answer = api("GET", "/v1/auth/session", token=user.token)
    assert code_of(answer) == (503, "sessions_unavailable") and answer.headers["Retry-After"]
    challenge = user.begin().json()["challenge"]
    code = user.recovery_codes[0]
    assert code_of(user.post("/v1/auth/totp", {"challenge": challenge, "code": code})) == (503, "sessions_unavailable")
    assert api("GET", "/v1/devices/self/policy", token=device.token).status_code == 200
    redis.run()
    # What it knew is gone, so sessions are; nothing is used up.
    assert code_of(once_it_asks(lambda: api("GET", "/v1/auth/session", token=user.token))) == (401, "token_expired")
    assert user.post("/v1/auth/totp", {"challenge": challenge, "code": code}).status_code == 200


def test_a_redis_without_tls_1_3_is_refused(own_redis, user, tmp_path):
    redis, api = own_redis(protocols="TLSv1.2")
    # It speaks, but only the old version.
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{redis.port}", "-CAfile", str(redis.ca_file), "-tls1_2"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert "Cipher is ECDHE" in done.stdout
    assert code_of(api("GET", "/v1/auth/session", token=user.log_in().token)) == (503, "sessions_unavailable")
    assert "does not speak TLS 1.3" in (tmp_path / "apid.log").read_text()


def test_a_redis_of_another_authority_is_refused(stack, second, user, tmp_path):
    from services.ca import CertificateAuthority
    other = CertificateAuthority(tmp_path / "ca", "Another CA")
    _, api = second(None, (f"RedisCAFile={stack.redis.ca_file}", f"RedisCAFile={other.cert_file}"))
    assert code_of(api("GET", "/v1/auth/session", token=user.log_in().token)) == (503, "sessions_unavailable")
    assert "certificate" in (tmp_path / "apid.log").read_text()


def test_apids_redis_user_can_do_little(stack):
    password = stack.redis.password_file.read_text().strip()
    def redis_cli(*args):
        done = subprocess.run(["redis-cli", "--tls", "--cacert", stack.redis.ca_file, "-h", "localhost", "-p", str(stack.redis.port),
                               "--user", "apid", "--no-auth-warning", *args], env={"REDISCLI_AUTH": password, "PATH": "/usr/bin"},
                              capture_output=True, text=True, timeout=60)
        return done.stdout
    assert redis_cli("PING").strip() == "PONG"
    for command in (["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["GET", "streamsight:session:x"], ["SET", "other", "x"]):
        assert "NOPERM" in redis_cli(*command), command


# --- hashing -------------------------------------------------------------------------------------------------------------

def test_other_parameters_hash_anew_at_the_next_login(user, second, sql):
    kept = lambda: sql(f"SELECT password_iterations, password_salt FROM streamsight.account WHERE email = '{user.email}'").split("|")
    before = kept()
    url = user.url
    user.url = second(None, ("[Sessions]", "[Login]\nPasswordIterations=220000\n\n[Sessions]"))[1].url
    assert code_of(user.begin(password="wrong wrong wrong")) == (401, "login_refused")
    assert kept() == before
    user.log_in(user.recovery_codes[0])
    assert kept()[0] == "220000" and kept()[1] != before[1]
    user.url = url
    user.log_in(user.recovery_codes[1])


def test_every_wrong_password_costs_as_much(user, observed, apid, company, sql):
    """Where more iterations are configured than the oldest passwords were hashed with: an address without an account, an
    account hashed then, and one hashed since."""
    _, api, status = observed(("[Sessions]", "[Login]\nPasswordIterations=250000\n\n[Sessions]"))
    renewed = apid.user(company)
    for someone in (user, renewed):
        someone.url = api.url
    renewed.log_in(renewed.recovery_codes[0])
    kept = lambda someone: sql(f"SELECT password_iterations FROM streamsight.account WHERE email = '{someone.email}'")
    assert kept(user) == "210000" and kept(renewed) == "250000"

    def cost(email):
        before = status.metric("apid_password_iterations_total")
        assert code_of(user.begin(email=email, password="wrong wrong wrong")) == (401, "login_refused")
        return status.metric("apid_password_iterations_total") - before
    assert {cost(email) for email in (f"{uuid.uuid4()}@example.org", user.email, renewed.email)} == {250000}
    assert kept(user) == "210000"
    user.log_in(user.recovery_codes[0])
    assert kept(user) == "250000"


@pytest.mark.parametrize("change, saying", [
    (("[Sessions]", "[Login]\nPasswordIterations=209999\n\n[Sessions]"), "at least 210000"),
    (("RedisCAFile=", "RedisCAFile=/nonexistent"), "RedisCAFile="), (("Redis=localhost:", "Redis=localhost"), "host:port"),
    (("KeyFile=", "KeyFile=/nonexistent"), "cannot be read")])
def test_bad_configuration(apid, tmp_path, change, saying):
    config = tmp_path / "apid.conf"
    text = apid.config_file.read_text()
    config.write_text(text.replace("\n" + change[0] if change[0].startswith("KeyFile") else change[0],
                                   "\n" + change[1] if change[0].startswith("KeyFile") else change[1], 1))
    done = subprocess.run([apid.program, "--config", config], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and saying in done.stderr, done.stderr


def login_request():
    """Of an address of its own each time: one that is locked costs no hashing."""
    body = json.dumps({"email": f"{uuid.uuid4()}@example.org", "password": "x"}).encode()
    return (b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %i\r\n\r\n" % len(body)) + body


def test_a_flood_of_logins_stops_no_device(second, device):
    """A hundred logins at the same moment: some are turned away at once, the others wait, and devices are served."""
    process, api = second()
    process.signal(signal.SIGSTOP)
    sockets = []
    for _ in range(100):
        s = socket.create_connection(("127.0.0.1", int(api.url.rsplit(":", 1)[1])), timeout=120)
        s.sendall(login_request())
        sockets.append(s)
    process.signal(signal.SIGCONT)
    for _ in range(20):
        assert api("GET", "/v1/devices/self/policy", token=device.token).status_code == 200
    answers = []
    for s in sockets:
        with s, s.makefile("rb") as f:
            answers.append(f.read())
    busy = [a for a in answers if a.startswith(b"HTTP/1.1 503")]
    assert len(busy) >= 10 and all(b"Retry-After: 5" in a and b"login_busy" in a for a in busy)
    assert all(a.startswith((b"HTTP/1.1 401", b"HTTP/1.1 429", b"HTTP/1.1 503")) for a in answers)
    assert len(answers) > len(busy)


def test_sigterm_ends_the_logins_that_wait(second):
    """Whoever was let in is answered."""
    process, api = second()
    sockets = []
    for _ in range(5):
        s = socket.create_connection(("127.0.0.1", int(api.url.rsplit(":", 1)[1])), timeout=120)
        s.sendall(login_request())
        sockets.append(s)
    process.signal(signal.SIGTERM)
    for s in sockets:
        with s, s.makefile("rb") as f:
            assert f.readline().startswith(b"HTTP/1.1 401")
    assert process.stop() == 0
