"""What was ended stays ended: credentials that were taken away, and requests that come at the same moment."""

import concurrent.futures
import hashlib
import subprocess
import time
import uuid

import pytest

from services.people import PASSWORD, User

from .client import Device, code_of, session_token
from .test_login import forget  # noqa: F401, a fixture
from .test_management import Staff


@pytest.fixture(scope="module")
def staff(apid, api):
    return Staff(apid, api, apid.create_company("Ended Corp"))


@pytest.fixture
def robin(staff, apid):
    """A manager who has logged in once."""
    return apid.user(staff.company, "manager").log_in()


@pytest.fixture
def left(sql):
    """What there is yet by which an account could be entered."""
    def ask(user):
        return {name for name in ("session", "challenge", "invitation", "recovery_code")
                if sql(f"SELECT count(*) FROM streamsight.{name} WHERE account_id = '{user.id}'") != "0"} | set(sql(
            "SELECT CASE WHEN password_sha256 IS NOT NULL THEN 'password' END, CASE WHEN totp_masked IS NOT NULL THEN 'authenticator' END "
            f"FROM streamsight.account WHERE id = '{user.id}'").split("|")) - {""}
    return ask


@pytest.fixture
def transaction(stack):
    """Begins one as the database's superuser, to be committed later: what comes meanwhile comes at the same moment."""
    opened = []

    class Transaction:
        def __init__(self, text):
            self._psql = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", stack.postgres.owner_dsn("streamsight")],
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            opened.append(self._psql)
            self._psql.stdin.write(f"BEGIN; {text};\n\\echo done\n")
            self._psql.stdin.flush()
            for line in self._psql.stdout:
                if line == "done\n":
                    return
            raise AssertionError("the statement failed")

        def during(self, request):
            """Its answer, of which the end comes after the commit if it waits for something."""
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                answer = pool.submit(request)
                while not answer.done() and stack.postgres.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0":
                    time.sleep(0.02)
                self._psql.communicate("COMMIT;\n")
                assert self._psql.returncode == 0
                return answer.result()

    yield Transaction
    for psql in opened:
        psql.kill()
        psql.wait()


def invite_in_sql(staff, user):
    return f"SELECT api.invite_user('{session_token(staff.owner.user.token)}', '{user.id}', '{uuid.uuid4()}', NULL, NULL, NULL)"


# --- credentials --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["by the API", "by the command"])
def test_an_invitation_leaves_nothing_of_before(staff, apid, robin, left, how):
    """A stolen telephone with its password is worth nothing from then on, whatever is done with the account."""
    robin.begin()
    assert left(robin) == {"session", "challenge", "recovery_code", "password", "authenticator"}
    if how == "by the API":
        assert staff.admin("POST", f"/v1/users/{robin.id}/invitation").status_code == 201
    else:
        apid.admin("user", "invite", robin.id)
    assert left(robin) == {"invitation"}
    assert staff.admin("PATCH", f"/v1/users/{robin.id}", {"state": "disabled"}).json()["state"] == "disabled"
    assert left(robin) == set()
    assert code_of(staff.admin("PATCH", f"/v1/users/{robin.id}", {"state": "active"})) == (409, "user_invited")
    assert code_of(robin.begin()) == (401, "login_refused")


@pytest.mark.parametrize("how", ["by the API", "by the command"])
def test_an_invitation_only_begun_is_no_account(staff, apid, api, sql, left, how):
    """The authenticator was never confirmed."""
    guest = User(api.url)
    made = staff.owner("POST", "/v1/users", {"email": guest.email, "name": "G", "role": "manager"}).json()
    guest.id, guest.invitation = made["user"]["id"], made["invitation"]
    begun = guest.post("/v1/auth/invitation", {"invitation": guest.invitation, "password": PASSWORD}).json()
    guest.secret = begun["secret"]
    assert left(guest) == {"challenge", "invitation", "password", "authenticator"}
    if how == "by the API":
        staff.owner("PATCH", f"/v1/users/{guest.id}", {"state": "disabled"})
    else:
        apid.admin("user", "disable", guest.id)
    assert left(guest) == set()
    assert code_of(staff.owner("PATCH", f"/v1/users/{guest.id}", {"state": "active"})) == (409, "user_invited")
    confirmed = guest.post("/v1/auth/totp/confirm", {"challenge": begun["challenge"], "code": guest.code()})
    assert code_of(confirmed) == (401, "challenge_invalid")
    # It comes back by another invitation.
    guest.invitation = staff.owner("POST", f"/v1/users/{guest.id}/invitation").json()["invitation"]
    guest.accept().log_in()


def test_who_was_disabled_is_let_in_again_as_before(staff, robin, left):
    robin.begin()
    staff.admin("PATCH", f"/v1/users/{robin.id}", {"state": "disabled"})
    assert left(robin) == {"recovery_code", "password", "authenticator"}
    staff.admin("PATCH", f"/v1/users/{robin.id}", {"state": "active"})
    robin.log_in(robin.recovery_codes[0])


# --- at the same moment -------------------------------------------------------------------------------------------------------

def test_a_login_while_its_user_is_invited_anew(staff, robin, transaction, left):
    """The session would sleep as long as the user is invited, and live when they have joined."""
    challenge = robin.begin().json()["challenge"]
    code = robin.recovery_codes[0]
    with_code = lambda: robin.post("/v1/auth/totp", {"challenge": challenge, "code": code})
    assert code_of(transaction(invite_in_sql(staff, robin)).during(with_code)) == (401, "challenge_invalid")
    assert left(robin) == {"invitation"}


def test_an_invitation_while_another_takes_its_place(staff, robin, transaction, left):
    robin.invitation = staff.owner("POST", f"/v1/users/{robin.id}/invitation").json()["invitation"]
    accept = lambda: robin.post("/v1/auth/invitation", {"invitation": robin.invitation, "password": PASSWORD})
    begun = accept().json()
    assert code_of(transaction(invite_in_sql(staff, robin)).during(accept)) == (403, "invitation_invalid")
    assert left(robin) == {"invitation"}
    # The same for its second step.
    robin.invitation = staff.owner("POST", f"/v1/users/{robin.id}/invitation").json()["invitation"]
    begun = accept().json()
    robin.secret, robin._last_step = begun["secret"], 0
    confirm = lambda: robin.post("/v1/auth/totp/confirm", {"challenge": begun["challenge"], "code": robin.code()})
    assert code_of(transaction(invite_in_sql(staff, robin)).during(confirm)) == (401, "challenge_invalid")
    assert left(robin) == {"invitation"}


def test_whoever_joins_has_no_session_of_before(staff, robin, sql):
    robin.invitation = staff.owner("POST", f"/v1/users/{robin.id}/invitation").json()["invitation"]
    sql(f"INSERT INTO streamsight.session VALUES (sha256('{robin.id}'), '{staff.company}', '{robin.id}', now(), now() + interval '1 h')")
    robin.accept()
    assert sql(f"SELECT count(*) FROM streamsight.session WHERE account_id = '{robin.id}'") == "0"


def test_two_changes_of_a_password_at_once(robin, api, sql, transaction, forget):  # noqa: F811
    """The second was of a password that is none any more."""
    stored = sql(f"SELECT encode(c.salt || a.password_salt, 'hex') FROM streamsight.account a JOIN streamsight.company c ON c.id = a.company_id "
                 f"WHERE a.id = '{robin.id}'")
    derive = lambda password: hashlib.pbkdf2_hmac("sha512", password.encode(), bytes.fromhex(stored), 210000).hex()
    first = transaction(f"SELECT api.change_password('{session_token(robin.token)}', '\\x{derive(PASSWORD)}', '\\x{stored[64:]}', 210000, "
                        f"'\\x{derive('another fine password')}', NULL)")
    second = first.during(lambda: api("POST", "/v1/auth/password", {"password": PASSWORD, "new_password": "a third fine password"}, token=robin.token))
    assert code_of(second) == (403, "password_wrong")
    robin.password = "another fine password"
    robin.log_in(robin.recovery_codes[0])
    forget()


def test_a_login_begun_with_the_old_password(robin, api):
    challenge = robin.begin().json()["challenge"]
    changed = api("POST", "/v1/auth/password", {"password": PASSWORD, "new_password": "another fine password"}, token=robin.token)
    assert changed.status_code == 204
    answer = robin.post("/v1/auth/totp", {"challenge": challenge, "code": robin.recovery_codes[0]})
    assert code_of(answer) == (401, "challenge_invalid")


def test_a_password_is_hashed_anew_by_who_has_both(robin, api, second, sql):
    """Hashing anew counts once the code was right, and is noted; it undoes no change of the password."""
    kept = lambda: sql(f"SELECT password_iterations, password_sha256 FROM streamsight.account WHERE id = '{robin.id}'")
    noted = lambda: sql(f"SELECT count(*) FROM streamsight.audit WHERE actor_id = '{robin.id}' AND action = 'password.renew'")
    before, url = kept(), robin.url
    robin.url = second(None, ("[Sessions]", "[Login]\nPasswordIterations=220000\n\n[Sessions]"))[1].url
    challenge = robin.begin().json()["challenge"]
    assert kept() == before
    changed = api("POST", "/v1/auth/password", {"password": PASSWORD, "new_password": "another fine password"}, token=robin.token)
    assert changed.status_code == 204
    after = kept()
    assert code_of(robin.post("/v1/auth/totp", {"challenge": challenge, "code": robin.recovery_codes[0]})) == (401, "challenge_invalid")
    assert kept() == after and noted() == "0"
    robin.password = "another fine password"
    robin.log_in(robin.recovery_codes[0])
    assert kept().startswith("220000|") and noted() == "1"
    robin.url = url
    robin.log_in(robin.recovery_codes[1])


def test_the_databases_password_and_a_guessed_one_set_no_other(robin, stack, apid, sql):
    challenge = robin.begin().json()["challenge"]
    kept = lambda: sql(f"SELECT password_salt, password_iterations, password_sha256 FROM streamsight.account WHERE id = '{robin.id}'")
    before = kept()
    stack.postgres.sql(f"SELECT api.renew_password('{challenge}', '\\x{'01' * 32}', 210000, '\\x{'02' * 64}')", dsn=apid.database_dsn)
    assert kept() == before


def test_a_login_while_failures_are_forgotten(robin, sql, transaction, forget):  # noqa: F811
    assert code_of(robin.begin(password="wrong wrong wrong")) == (401, "login_refused")
    gone = transaction(f"SET LOCAL search_path = streamsight; SELECT forget_failures(sha256('{robin.email}'))")
    assert gone.during(robin.begin).status_code == 200


@pytest.mark.parametrize("method, path, body", [("PATCH", "", {"state": "disabled"}), ("POST", "/invitation", None), ("DELETE", "/sessions", None)])
def test_an_admin_and_a_user_who_becomes_an_owner(staff, robin, transaction, sql, method, path, body):
    promoted = transaction(f"SELECT api.change_user('{session_token(staff.owner.user.token)}', '{robin.id}', NULL, 'owner', NULL, NULL)")
    answer = promoted.during(lambda: staff.admin(method, f"/v1/users/{robin.id}{path}", body))
    assert code_of(answer) == (403, "role_insufficient")
    assert sql(f"SELECT role, state FROM streamsight.account WHERE id = '{robin.id}'") == "owner|active"


def test_logging_out_while_all_sessions_are_ended(staff, robin, api, transaction):
    """Neither waits for what the other holds."""
    ended = transaction(f"SELECT api.end_user_sessions('{session_token(staff.owner.user.token)}', '{robin.id}', NULL)")
    assert ended.during(lambda: api("POST", "/v1/auth/logout", token=robin.token)).status_code == 204


def test_a_code_is_withdrawn_while_it_is_used(staff, api, transaction):
    made = staff.owner("POST", "/v1/enrolment-codes", {}).json()
    withdrawn = transaction(f"SELECT api.withdraw_enrolment_code('{session_token(staff.owner.user.token)}', '{made['id']}', NULL)")
    body = Device(api).enrolment(made["code"])
    assert code_of(withdrawn.during(lambda: api("POST", "/v1/devices/enroll", body))) == (403, "enrolment_code_invalid")


# --- what has expired -----------------------------------------------------------------------------------------------------------

def test_what_has_expired_is_removed(staff, robin, apid, api, stack, sql):
    """Of all companies, by somebody who may see no row of them; what is good, or so new that its owner may ask for it, stays."""
    device = Device(api).enroll(staff.owner("POST", "/v1/enrolment-codes", {}, headers={"Idempotency-Key": "k"}).json()["code"]).log_in()
    device.open()
    robin.begin()
    robin.begin(password="wrong wrong wrong")
    staff.owner("POST", "/v1/users", {"email": f"{uuid.uuid4()}@x", "name": "X", "role": "auditor"})
    tables = {"device_token": "expires_at", "assertion_jti": "expires_at", "challenge": "expires_at", "session": "expires_at",
              "invitation": "expires_at", "idempotency": "created_at", "login_failure": "failed_at", "enrolment_code": "expires_at",
              "live_recording": "created_at"}
    count = lambda: {table: int(sql(f"SELECT count(*) FROM streamsight.{table}")) for table in tables}
    before = count()
    assert all(before.values()), before
    for table, at in tables.items():
        days = 30 if table in ("enrolment_code", "live_recording") else 1
        for age in (f"{days * 24 - 1} h", f"{days * 24 + 1} h"):
            # One more row like another, of which the key alone is new.
            key = "id" if table == "live_recording" else {"idempotency": "key_sha256", "assertion_jti": "jti_sha256", "login_failure": "email_sha256",
                                                          "enrolment_code": "code_sha256"}.get(table, "token_sha256")
            new = "gen_random_uuid()" if key == "id" else "sha256(gen_random_uuid()::text::bytea)"
            others = f"{at} = now() - interval '{age}'" + (", id = gen_random_uuid()" if table == "enrolment_code" else "")
            sql(f"CREATE TEMP TABLE t AS SELECT * FROM streamsight.{table} LIMIT 1; UPDATE t SET {key} = {new}, {others}; "
                f"INSERT INTO streamsight.{table} SELECT * FROM t")
    stack.postgres.sql("SELECT api.maintain()", dsn=apid.database_dsn)
    assert count() == {table: n + 1 for table, n in before.items()}
