"""Somebody who holds apid's own database password, and the second wall below the procedures."""

import secrets
import uuid

import pytest

from services.process import ServiceError

from .client import session_token


@pytest.fixture
def attack(stack, apid):
    """Runs SQL as apid's role; returns psql's output or error message."""
    def run(text):
        try:
            return stack.postgres.sql(text, dsn=apid.database_dsn)
        except ServiceError as e:
            return str(e)
    return run


TABLES = ["company", "policy", "bucket", "device", "enrolment_code", "device_token", "assertion_jti", "recording",
          "segment", "viewing", "audit", "audit_head", "audit_detached", "device_key", "migration", "employee", "account", "recovery_code",
          "invitation", "challenge", "session", "login_failure", "decoy", "assignment", "idempotency", "diagnostic",
          "live_recording"]


def test_the_list_of_tables_is_complete(sql):
    found = sql("SELECT relname FROM pg_class WHERE relnamespace = 'streamsight'::regnamespace "
                "AND relkind IN ('r', 'p') AND NOT relispartition")
    assert sorted(found.split()) == sorted(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_no_table_can_be_touched(attack, sql, table):
    for statement in (f"SELECT * FROM streamsight.{table}", f"SELECT 1 FROM streamsight.{table} LIMIT 0",
                      f"DELETE FROM streamsight.{table}", f"TRUNCATE streamsight.{table}",
                      f"INSERT INTO streamsight.{table} DEFAULT VALUES", f"COPY streamsight.{table} TO STDOUT",
                      f"ALTER TABLE streamsight.{table} DISABLE ROW LEVEL SECURITY", f"DROP TABLE streamsight.{table}"):
        assert "permission denied for schema streamsight" in attack(statement), statement
    # And not only for want of the schema.
    assert sql("SELECT string_agg(p, ',') FROM unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',"
               f" 'TRIGGER']) AS p WHERE has_table_privilege('streamsight_apid', 'streamsight.{table}', p)") == ""
    assert sql("SELECT count(*) FROM pg_attribute WHERE attrelid = "
               f"'streamsight.{table}'::regclass AND has_column_privilege('streamsight_apid', attrelid, attnum, 'SELECT')") == "0"


def test_only_the_procedures_can_be_executed(sql):
    executable = sql("SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname "
                     "NOT IN ('pg_catalog', 'information_schema') AND has_function_privilege('streamsight_apid', p.oid, 'EXECUTE')")
    assert {line.split("(")[0] for line in executable.splitlines()} == {
        "api.version", "api.maintain", "api.enroll", "api.device_key", "api.issue_device_token", "api.device_policy", "api.open_recording",
        "api.finish_signed_recording", "api.offer_signed_segment", "api.offer_signed_segments", "api.complete_segment", "api.list_recordings", "api.list_segments",
        "api.view_segment", "api.login_parameters", "api.login_password", "api.renew_password", "api.present_key", "api.challenge_parameters", "api.login_totp", "api.session",
        "api.logout", "api.invitation_parameters", "api.accept_invitation", "api.confirm_totp", "api.password_parameters",
        "api.change_password", "api.factor_parameters", "api.renew_recovery_codes",
        "api.show_company", "api.change_company", "api.list_users", "api.show_user", "api.create_user", "api.change_user",
        "api.invite_user", "api.end_user_sessions", "api.list_employees", "api.show_employee", "api.create_employee",
        "api.change_employee", "api.list_assignments", "api.assign", "api.unassign", "api.list_devices", "api.show_device",
        "api.assign_device", "api.revoke_device", "api.change_device_key", "api.leave_device", "api.add_diagnostic", "api.list_diagnostics",
        "api.list_enrolment_codes",
        "api.create_enrolment_code", "api.withdraw_enrolment_code", "api.list_policies", "api.create_policy",
        "api.list_buckets", "api.bucket_id", "api.set_bucket", "api.list_audit", "api.list_statements"}
    # Each runs as the owner with a search path that nobody can put anything before.
    assert sql("SELECT string_agg(proname, ',') FROM pg_proc WHERE pronamespace = 'api'::regnamespace AND (NOT prosecdef OR "
               "proowner <> 'streamsight_owner'::regrole OR "
               "'search_path=pg_catalog, streamsight, pg_temp' <> ALL (proconfig))") == ""
    for role in ("streamsight_apid", "streamsight_owner"):
        assert sql(f"SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls FROM pg_roles "
                   f"WHERE rolname = '{role}'") == "f"


@pytest.mark.parametrize("statement", [
    "CREATE TABLE public.t (a int)", "CREATE TEMP TABLE t (a int)", "CREATE TABLE api.t (a int)", "CREATE SCHEMA s",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE FUNCTION api.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE DATABASE d", "CREATE ROLE r",
    "CREATE EXTENSION citext SCHEMA public", "CREATE TYPE public.t AS (a int)", "CREATE VIEW api.v AS SELECT 1", "SELECT lo_create(0)",
    "SELECT lo_creat(-1)", "SELECT lo_from_bytea(0, 'x')", "SET ROLE streamsight_owner", "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres", "ALTER ROLE streamsight_apid SUPERUSER", "GRANT streamsight_owner TO streamsight_apid",
    "COPY (SELECT 1) TO PROGRAM 'true'", "COPY (SELECT 1) TO '/tmp/streamsight-attack'", "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'", "SELECT * FROM pg_authid",
    "DROP FUNCTION api.version()", "ALTER FUNCTION api.version() SECURITY INVOKER", "SELECT streamsight.enter_company(NULL)",
    "DO $$BEGIN PERFORM streamsight.enter_company(NULL); END$$"])
def test_nothing_can_be_made_or_taken(attack, statement):
    answer = attack(statement)
    assert any(word in answer for word in ("permission denied", "must be", "must have admin option")), answer


@pytest.mark.parametrize("preset", [False, True])
def test_no_procedure_believes_a_forged_token(attack, sql, company, device, preset):
    """Also not if the session claims to be within a company already."""
    recording = device.open()
    device.offer(recording, 0, b"zero")
    segment = sql(f"SELECT id FROM streamsight.segment WHERE recording_id = '{recording}'")
    claim = (f"SET streamsight.company = '{company}'; SET streamsight.device = '{device.id}'; "
             f"SET streamsight.secret = '{'00' * 32}'; ") if preset else ""
    hashed = sql(f"SELECT encode(token_sha256, 'hex') FROM streamsight.device_token WHERE device_id = '{device.id}'")
    for token in ("", "ssd_" + secrets.token_urlsafe(32), hashed):
        for call in (f"device_policy('{token}')", f"open_recording('{token}', '{recording}', now(), 'policy', 'h', '[]')",
                     f"offer_signed_segment('{token}', '{recording}', 1, sha256('a'), sha256('b'), '\\x{'00' * 16}', 1, now(), now(), 1, "
                     f"'{device.id}', '\\x04', 's')",
                     f"complete_segment('{token}', '{recording}', 0, sha256('zero'))",
                     f"finish_signed_recording('{token}', '{recording}', 0, now(), 'x', '{device.id}', '\\x04', 's')",
                     f"list_recordings('{token}', NULL, NULL, NULL, NULL, NULL, NULL, 10)",
                     f"list_segments('{token}', '{recording}', NULL, 10)", f"view_segment('{token}', '{segment}', NULL)"):
            answer = attack(f"{claim}SELECT * FROM api.{call}")
            assert "token_invalid" in answer, (call, answer)
    assert "token_invalid" in attack(f"{claim}SELECT api.device_policy(NULL)")
    assert "enrolment_code_invalid" in attack(f"{claim}SELECT api.enroll('x', '\\x{'04' * 65}', 'h', NULL)")


def test_tokens_of_one_company_open_no_other(attack, device, new_device, other_company, apid):
    stranger = new_device(other_company)
    recording = device.open()
    answer = attack(f"SET streamsight.company = '{device.company_id}'; "
                    f"SELECT api.finish_signed_recording('{stranger.token}', '{recording}', 0, now(), 'x', '{stranger.id}', "
                    f"(SELECT k FROM api.device_key('{stranger.id}') AS k), 's')")
    assert "recording_unknown" in answer
    viewer = session_token(apid.viewer_token(other_company))
    # With a valid token of another company first, in the same transaction.
    assert "recording_unknown" in attack(f"BEGIN; SELECT api.list_recordings('{viewer}', NULL, NULL, NULL, NULL, NULL, NULL, 9); "
                                         f"SELECT api.list_segments('{viewer}', '{recording}', NULL, 9)")


def test_weak_or_long_lived_tokens_are_not_issued(attack, device):
    for token, lifetime in (("short", "600 s"), ("x" * 43, "601 s"), ("x" * 43, "1 year")):
        answer = attack(f"SELECT api.issue_device_token('{device.id}', '{uuid.uuid4()}', now(), '{token}', '{lifetime}')")
        assert "too weak or too long-lived" in answer


def test_rows_of_one_company_only_even_for_the_owner(sql, device, new_device, other_company):
    """Whatever a procedure's query asks for."""
    new_device(other_company)
    count = "SET ROLE streamsight_owner; {} SELECT count(*), count(DISTINCT company_id) FROM streamsight.device"
    assert sql(count.format("")) == "0|0"
    mine = sql(count.format(f"SET streamsight.company = '{device.company_id}';")).split("|")
    assert int(mine[0]) >= 1 and mine[1] == "1"
    with pytest.raises(ServiceError, match="row-level security"):
        sql(f"SET ROLE streamsight_owner; SET streamsight.company = '{device.company_id}'; INSERT INTO streamsight.audit "
            f"(company_id, actor, action) VALUES ('{other_company}', 'viewer', 'x')")
    assert sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'streamsight'::regnamespace "
               "AND relkind IN ('r', 'p') AND relname <> 'migration' AND NOT (relrowsecurity AND relforcerowsecurity)") == "0"


@pytest.mark.parametrize("statement", ["UPDATE streamsight.audit SET action = 'x'", "DELETE FROM streamsight.audit",
                                       "TRUNCATE streamsight.audit",
                                       "UPDATE streamsight.audit SET action = 'x' WHERE false"])
def test_the_audit_trail_only_grows(sql, statement):
    month = sql("SELECT to_char(now() AT TIME ZONE 'UTC', '\"audit_\"YYYY_MM')")
    for role in ("", "SET ROLE streamsight_owner; "):
        for table in ("audit", month):  # the whole's triggers are not the partition's
            with pytest.raises(ServiceError, match="append-only"):
                sql(role + statement.replace("streamsight.audit", f"streamsight.{table}"))


def test_indexes_begin_with_the_company(sql):
    """But for what is looked up by an unguessable value before the company is known, and segments' ids: see 0080-live-recordings.sql."""
    others = sql("SELECT i.indexrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
                 "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] "
                 "WHERE c.relnamespace = 'streamsight'::regnamespace AND NOT c.relispartition AND a.attname <> 'company_id'")
    assert set(others.split()) == {f"streamsight.{name}" for name in (
        "company_pkey", "device_id_key", "account_email_sha256_key", "invitation_pkey", "challenge_pkey", "session_pkey",
        "login_failure_pkey", "device_token_pkey", "enrolment_code_pkey", "migration_pkey", "segment_id")}


def signatures(sql, condition):
    """(name, types of its arguments) of the API's procedures."""
    for line in sql(f"SELECT proname, pg_get_function_identity_arguments(oid) FROM pg_proc WHERE pronamespace = 'api'::regnamespace AND {condition} "
                    "AND has_function_privilege('streamsight_apid', oid, 'EXECUTE')").splitlines():
        name, arguments = line.split("|")
        yield name, [argument.split(" ", 1)[1] for argument in arguments.split(", ") if argument and not argument.startswith("OUT ")]


def call(name, types, values):
    return f"api.{name}({', '.join(f'{value}::{kind}' for value, kind in zip(values + ['NULL'] * len(types), types))})"


def test_every_procedure_of_devices_wants_a_device(attack, sql, device, company, apid):
    """All there are, by their signatures: with no token, a forged one, its hash and a person's, and as if inside a company already."""
    procedures = list(signatures(sql, "prosrc LIKE '%enter_device(%'"))
    assert len(procedures) >= 6
    hashed = sql(f"SELECT encode(token_sha256, 'hex') FROM streamsight.device_token WHERE device_id = '{device.id}'")
    for token in ("''", f"'ssd_{secrets.token_urlsafe(32)}'", f"'{hashed}'", f"'{session_token(apid.viewer_token(company))}'", "NULL"):
        script = [f"SET streamsight.company = '{device.company_id}'; SET streamsight.device = '{device.id}'; SET streamsight.secret = '{hashed}';"]
        for name, types in procedures:
            script.append(f"DO $$BEGIN PERFORM {call(name, types, [token])}; RAISE EXCEPTION 'let in'; EXCEPTION WHEN OTHERS THEN "
                          f"IF SQLERRM <> 'token_invalid' THEN RAISE EXCEPTION '{name}: %', SQLERRM; END IF; END$$;")
        assert attack("\n".join(script)) == "", token


def test_a_foreign_token_opens_no_row_by_any_procedure(attack, sql, device, new_device, other_company, apid):
    """Good tokens of another company's owner and device, on every procedure that takes one, naming what is ours: nothing of ours is
    shown or changed."""
    stranger, owner = new_device(other_company), session_token(apid.viewer_token(other_company))
    recording = device.open()
    device.offer(recording, 0, b"zero")
    ours = {device.id, recording, sql(f"SELECT id FROM streamsight.segment WHERE recording_id = '{recording}'")}
    rows = lambda: sql(";".join(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM streamsight.{table} t WHERE company_id = "
                                f"'{device.company_id}'" for table in ("device", "recording", "segment", "employee", "account", "bucket", "policy",
                                                                      "enrolment_code", "viewing", "audit")))
    before, tried = rows(), 0
    for token, condition in ((stranger.token, "prosrc LIKE '%enter_device(%'"), (owner, "prosrc LIKE '%enter_user(%'")):
        for name, types in signatures(sql, condition):
            if name in ("logout", "end_user_sessions"):
                continue
            for named in ours if "uuid" in types else [None]:
                values = [f"'{token}'"] + [f"'{named}'" if kind == "uuid" else "NULL" for kind in types[1:]]
                answer = attack(f"SELECT {call(name, types, values)}")
                tried += 1
                assert not any(one in answer for one in ours | {device.company_id}), (name, answer)
    assert tried > 40 and rows() == before


# --- logins ---------------------------------------------------------------------------------------------------------------

TOKEN = "ssx_" + "A" * 43


@pytest.fixture(scope="module")
def victim(apid, company):
    return apid.user(company).log_in()


def test_the_stored_hash_is_no_password(attack, sql, victim):
    """What a copy of the table would tell is not what the procedure takes."""
    stored = sql(f"SELECT encode(password_sha256, 'hex') FROM streamsight.account WHERE id = '{victim.id}'")
    for derived in (stored * 2, stored + "00" * 32, "00" * 64):
        answer = attack(f"SELECT outcome FROM api.login_password('{victim.email}', '\\x{derived}', '{TOKEN}', NULL)")
        assert answer == "refused"
    assert "too weak" in attack(f"SELECT api.login_password('{victim.email}', '\\x{stored}', '{TOKEN}', NULL)")
    sql("DELETE FROM streamsight.login_failure")


def test_guessing_is_as_slow_as_for_anybody(attack, sql, victim):
    guess = f"SELECT outcome, retry_after FROM api.login_password('{victim.email}', '\\x{'07' * 64}', '{TOKEN}', NULL)"
    assert [attack(guess) for _ in range(5)] == ["refused|0"] * 4 + ["refused|5"]
    sql("UPDATE streamsight.login_failure SET locked_until = now() + interval '1 h'")  # not to depend on being fast
    assert attack(guess).startswith("locked|")
    sql("DELETE FROM streamsight.login_failure")


def test_with_the_password_but_without_the_authenticator(attack, sql, victim):
    """A challenge that somebody else's right password has made: no session without a code, whatever pad is handed in."""
    challenge = victim.begin().json()["challenge"]
    account, nonce = attack(f"SELECT account_id, encode(totp_nonce, 'hex') FROM api.challenge_parameters('{challenge}', 'login')").split("|")
    assert account == victim.id and len(nonce) == 32
    for code, pad in (("000000", "00" * 20), ("", "00" * 20), ("'' OR true", "ff" * 20), ("000000", ""), (None, "00" * 20)):
        quoted = "NULL" if code is None else "'" + code + "'"
        answer = attack(f"SELECT outcome FROM api.login_totp('{challenge}', {quoted}, '\\x{pad}', '{TOKEN}', NULL)")
        assert "session" not in answer, answer
        sql("DELETE FROM streamsight.login_failure")
    assert sql(f"SELECT count(*) FROM streamsight.session WHERE token_sha256 = sha256('{TOKEN}')") == "0"
    # Nor can an authenticator be put in the place of the one that is there.
    assert "challenge_invalid" in attack(f"SELECT api.confirm_totp('{challenge}', '000000', '\\x{'00' * 20}', 'CODE', NULL)")
    assert "invitation_invalid" in attack(f"SELECT api.accept_invitation('{challenge}', '\\x{'00' * 32}', 210000, '\\x{'00' * 64}', "
                                          f"'\\x{'00' * 20}', '\\x{'00' * 16}', '{TOKEN}')")


def test_weak_tokens_open_no_session(attack, victim):
    challenge = victim.begin().json()["challenge"]
    assert "too weak" in attack(f"SELECT api.login_totp('{challenge}', '000000', '\\x00', 'short', NULL)")
    assert "too weak" in attack(f"SELECT api.login_password('{victim.email}', '\\x{'00' * 64}', 'short', NULL)")


def test_every_procedure_of_people_wants_a_session(attack, sql, victim, device):
    """All there are, by their signatures: with no token, a forged one, its hash, a device's and a challenge."""
    procedures = sql("SELECT proname, pg_get_function_identity_arguments(oid) FROM pg_proc WHERE pronamespace = 'api'::regnamespace "
                     "AND prosrc LIKE '%enter_user(%'").splitlines()
    assert len(procedures) >= 35
    hashed = sql(f"SELECT encode(token_sha256, 'hex') FROM streamsight.session WHERE account_id = '{victim.id}' LIMIT 1")
    challenge = victim.begin().json()["challenge"]
    for token in ("", "sss_" + secrets.token_urlsafe(32), hashed, device.token, challenge, None):
        script = [f"SET streamsight.company = '{device.company_id}'; SET streamsight.secret = '{hashed}';"]
        for procedure in procedures:
            name, arguments = procedure.split("|")
            types = [argument.split(" ", 1)[1] for argument in arguments.split(", ") if not argument.startswith("OUT ")]
            values = ["NULL" if token is None else f"'{token}'"] + ["NULL"] * (len(types) - 1)
            call = f"api.{name}({', '.join(f'{value}::{kind}' for value, kind in zip(values, types))})"
            script.append(f"DO $$BEGIN PERFORM {call}; RAISE EXCEPTION 'let in'; EXCEPTION WHEN OTHERS THEN "
                          f"IF SQLERRM <> 'token_invalid' THEN RAISE EXCEPTION '{name}: %', SQLERRM; END IF; END$$;")
        assert attack("\n".join(script)) == "", token
