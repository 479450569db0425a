"""streamsight-admin, as an operator types it."""

import json
import pathlib
import re
import subprocess
import urllib.parse
import uuid

import pytest

from services.apid import _ADMIN_CONF
from services.people import PASSWORD, User
from services.process import ServiceError

from .client import code_of

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "apid" / "schema"

# Nobody's; always the same, because the tests' names hold it
UNKNOWN = "5d0c1f6e-9b7a-4c3d-8e2f-1a0b9c8d7e6f"


def test_a_recording_without_a_statement(admin):
    assert admin("recording", "statement", UNKNOWN)[0::2] == (1, f"streamsight-admin: No device has stated the end of a recording {UNKNOWN}")
    assert admin("recording", "statement", "x")[0] == 1


@pytest.fixture
def admin(apid):
    """Runs it; returns (exit status, stdout, stderr)."""
    def run(*args, stdin="", config=None):
        done = subprocess.run([apid.admin_program, "--config", config or apid.admin_config_file, *map(str, args)], input=stdin,
                              capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout.strip(), done.stderr.strip()
    run.program, run.config = apid.admin_program, apid.admin_config_file
    return run


BUCKET = ["--endpoint", "https://s3.example.org:9000", "--region", "eu-central-1", "--bucket", "recordings", "--prefix", "a/b",
          "--access-key-id", "AKIAEXAMPLE"]


def test_migrate_again_is_harmless(admin, sql):
    before = sql("SELECT * FROM streamsight.migration ORDER BY number")
    assert admin("migrate") == (0, f"0 migrations applied; the schema is at {before.splitlines()[-1].split('|')[0]}", "")
    assert sql("SELECT * FROM streamsight.migration ORDER BY number") == before


def test_migrate_in_two_at_once_and_in_a_second_database(stack, apid, admin, tmp_path):
    stack.postgres.create_database("second")
    config = tmp_path / "admin.conf"
    config.write_text(_ADMIN_CONF.format(dsn=stack.postgres.owner_dsn("second"), key=tmp_path / "none"))
    assert admin("company", "create", "X", config=config)[0:2] == (1, "")
    assert "run streamsight-admin migrate" in admin("company", "create", "X", config=config)[2]
    commands = [subprocess.Popen([apid.admin_program, "--config", config, "migrate"], stdout=subprocess.PIPE) for _ in range(3)]
    outputs = sorted(command.communicate(timeout=30)[0].split()[0] for command in commands)
    known = stack.postgres.sql("SELECT count(*) FROM streamsight.migration", "second")
    assert outputs == [b"0", b"0", known.encode()]
    assert admin("company", "create", "X", config=config)[0] == 0


def test_migrate_refuses_what_it_does_not_know(stack, admin, tmp_path):
    stack.postgres.create_database("future")
    config = tmp_path / "admin.conf"
    config.write_text(_ADMIN_CONF.format(dsn=stack.postgres.owner_dsn("future"), key=tmp_path / "none"))
    assert admin("migrate", config=config)[0] == 0
    stack.postgres.sql("INSERT INTO streamsight.migration VALUES (99, '0099-future', 'x')", "future")
    status, _, error = admin("migrate", config=config)
    assert status == 1 and "newer than this program" in error
    stack.postgres.sql("DELETE FROM streamsight.migration WHERE number = 99; "
                       "UPDATE streamsight.migration SET sha256 = 'x' WHERE number = 3", "future")
    status, _, error = admin("migrate", config=config)
    assert status == 1 and "0003-row-security was applied with another content" in error


def test_a_failing_migration_changes_nothing(stack, admin, tmp_path):
    stack.postgres.create_database("broken")
    stack.postgres.sql("CREATE SCHEMA api; CREATE TABLE api.mine (a int)", "broken")
    config = tmp_path / "admin.conf"
    config.write_text(_ADMIN_CONF.format(dsn=stack.postgres.owner_dsn("broken"), key=tmp_path / "none"))
    status, _, error = admin("migrate", config=config)
    assert status == 1 and "0001-roles was not applied" in error
    assert stack.postgres.sql("SELECT count(*) FROM streamsight.migration", "broken") == "0"


FUNCTIONS = ("SELECT coalesce(string_agg(p.oid::regprocedure || md5(pg_get_functiondef(p.oid)) || p.proowner || p.proacl::text, ',' "
             "ORDER BY p.oid::regprocedure::text), '') FROM pg_proc p WHERE p.pronamespace IN ('api'::regnamespace, 'streamsight'::regnamespace)")


def test_migrate_makes_all_procedures_anew(stack, admin, tmp_path):
    """Whatever somebody, or an earlier version, has made of them: what they do, and who may call them."""
    stack.postgres.create_database("altered")
    sql = lambda text: stack.postgres.sql(text, "altered")
    config = tmp_path / "admin.conf"
    config.write_text(_ADMIN_CONF.format(dsn=stack.postgres.owner_dsn("altered"), key=tmp_path / "none"))
    assert admin("migrate", config=config)[0] == 0
    before = sql(FUNCTIONS)
    sql("CREATE OR REPLACE FUNCTION api.present_key(token text) RETURNS bytea LANGUAGE sql SECURITY DEFINER AS 'SELECT NULL::bytea';"
        "CREATE FUNCTION api.of_old(a int, VARIADIC b text[]) RETURNS void LANGUAGE sql AS '';"
        "CREATE FUNCTION streamsight.enter_device(token text, of_old int DEFAULT 0) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "GRANT EXECUTE ON FUNCTION streamsight.enter_company TO streamsight_apid;"
        "REVOKE EXECUTE ON FUNCTION api.enroll FROM streamsight_apid; COMMENT ON SCHEMA api IS 'x'")
    assert sql(FUNCTIONS) != before
    assert admin("migrate", config=config)[0] == 0
    assert sql(FUNCTIONS) == before
    assert re.fullmatch(r"[0-9.]+ [0-9a-f]{64}", sql("SELECT procedures FROM api.version()"))


def test_each_function_is_defined_once(sql):
    """With the procedures, or with the table that needs it."""
    names = re.compile(r"^CREATE (?:OR REPLACE )?FUNCTION ([\w.]+)", re.MULTILINE)
    procedures = [name for path in sorted(SCHEMA.glob("procedures/*.sql")) for name in names.findall(path.read_text())]
    tables = {name for path in SCHEMA.glob("*.sql") for name in names.findall(path.read_text())}
    assert len(procedures) > 100 and len(set(procedures)) == len(procedures)
    assert not tables & set(procedures) and not any(name.startswith("api.") for name in tables)
    known = sql("SELECT CASE WHEN p.pronamespace = 'api'::regnamespace THEN 'api.' ELSE '' END || p.proname FROM pg_proc p "
                "WHERE p.pronamespace IN ('api'::regnamespace, 'streamsight'::regnamespace) AND NOT EXISTS (SELECT FROM pg_depend d "
                "WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')").splitlines()
    assert sorted(known) == sorted(tables | set(procedures))


def test_company_bucket_and_lists(admin, sql, apid):
    status, company, _ = admin("company", "create", "Admin Corp äöü")
    assert status == 0 and str(uuid.UUID(company)) == company
    made = json.loads(admin("--json", "company", "create", "Json Corp")[1])
    assert made["name"] == "Json Corp" and uuid.UUID(made["id"])

    first = admin("bucket", "set", "--company", company, *BUCKET, stdin="first secret\n")[1]
    stored = sql(f"SELECT secret FROM streamsight.bucket WHERE id = '{first}'")
    assert b"first secret".hex() not in stored and len(stored) == 2 + 2 * (37 + len("first secret"))
    again = admin("bucket", "set", "--company", company, *BUCKET, stdin="second secret")[1]
    assert again == first and sql(f"SELECT secret FROM streamsight.bucket WHERE id = '{first}'") != stored
    other = admin("bucket", "set", "--company", company, *BUCKET, "--path-style", "--sse", "AES256", stdin="third\n")[1]
    assert other != first
    assert sql(f"SELECT id FROM streamsight.bucket WHERE company_id = '{company}' AND current") == other
    assert admin("bucket", "set", "--company", company, *BUCKET, stdin="fourth\n")[1] == first

    assert admin("device", "list", "--company", company)[1].split() == ["id", "company_id", "company", "hostname", "created_at",
                                                                        "state"]
    assert json.loads(admin("recording", "list", "--json", "--company", company)[1]) == []


def test_the_trail_says_what_a_command_did(admin, sql):
    company = admin("company", "create", "Told Corp")[1]
    place = admin("bucket", "set", "--company", company, *BUCKET, stdin="secret\n")[1]
    admin("policy", "set", "--company", company, "--recording", "off")
    admin("enrolment-code", "create", "--company", company)
    code, expires = sql(f"SELECT id, streamsight.rfc3339(expires_at) FROM streamsight.enrolment_code WHERE company_id = '{company}'").split("|")
    rows = [row.split("|") for row in sql(f"SELECT action, subject_id, detail FROM streamsight.audit WHERE company_id = '{company}' ORDER BY id").splitlines()]
    assert [(action, subject, json.loads(detail)) for action, subject, detail in rows] == [
        ("company.create", company, {}),
        ("bucket.set", place, {"endpoint": BUCKET[1], "bucket": "recordings", "prefix": "a/b", "access_key_id": "AKIAEXAMPLE"}),
        ("policy.set", company, {"revision": 2}), ("enrolment_code.create", code, {"expires_at": expires})]


def test_lists_show_what_there_is(admin, device):
    recording = device.open()
    device.offer(recording, 0, b"zero")
    device.complete(recording, 0, b"zero")
    devices = json.loads(admin("device", "list", "--company", device.company_id, "--json")[1])
    assert [d["state"] for d in devices if d["id"] == device.id] == ["active"]
    recordings = json.loads(admin("recording", "list", "--json")[1])
    found = [r for r in recordings if r["id"] == recording][0]
    assert (found["segments"], found["state"], found["device_id"]) == (1, "open", device.id)
    assert device.id in admin("recording", "list")[1]
    assert admin("device", "revoke", device.id)[0:2] == (0, device.id)
    devices = json.loads(admin("device", "list", "--json")[1])
    assert [d["state"] for d in devices if d["id"] == device.id] == ["revoked"]


def test_codes_and_tokens(admin, company, sql):
    code = admin("enrolment-code", "create", "--company", company, "--ttl", 60)[1]
    assert re.fullmatch(r"([A-HJKMNP-Z2-9]{4}-){4}[A-HJKMNP-Z2-9]{4}", code)
    assert json.loads(admin("--json", "enrolment-code", "create", "--company", company)[1]).keys() == {
        "code", "company_id", "expires_at"}


@pytest.mark.parametrize("args, saying", [
    ([], "No command given"), (["dance"], "Unknown command"), (["company"], "Unknown command"),
    (["company", "create"], "takes one argument"), (["company", "create", ""], "1 to 200 bytes"),
    (["company", "create", "a", "b"], "takes one argument"), (["company", "create", "a", "--ttl", "1"], "--ttl means nothing"),
    (["device", "revoke", "x"], "must be a UUID"), (["device", "revoke", UNKNOWN], "no device"),
    (["bucket", "set", "--company", UNKNOWN], "needs --endpoint"),
    (["bucket", "set", "--company", UNKNOWN, *BUCKET], "no company"),
    (["policy", "set", "--company", UNKNOWN], "no company"),
    (["policy", "set", "--company", "COMPANY", "--recording", "sometimes"], "automatic, manual or off"),
    (["policy", "set", "--company", "COMPANY", "--frames-per-second", "31"], "1 to 30"),
    (["policy", "set", "--company", "COMPANY", "--jpeg-quality", "0"], "1 to 100"),
    (["policy", "set", "--company", "COMPANY", "--segment-seconds", "x"], "1 to 60"),
    (["enrolment-code", "create"], "needs --company"), (["enrolment-code", "create", "--company", UNKNOWN], "no such company"),
    (["enrolment-code", "create", "--company", "COMPANY", "--ttl", "0"], "--ttl"),
    (["user", "create", "--company", "x", "--email", "a@b", "--role", "owner", "N"], "must be a UUID"), (["device", "list", "--company", "x"], "must be a UUID"),
    (["bucket", "set", "--company", "COMPANY", *BUCKET], "Secret access key must be one line"),
    (["bucket", "set", "--company", "COMPANY", *[a.replace("https", "http") for a in BUCKET]], "malformed"),
    (["bucket", "set", "--company", "COMPANY", *[a.replace("a/b", "/a") for a in BUCKET]], "malformed"),
    (["bucket", "set", "--company", "COMPANY", *[a.replace("9000", "0") for a in BUCKET]], "malformed"),
    (["bucket", "set", "--company", "COMPANY", *[a.replace("9000", "99999") for a in BUCKET]], "malformed"),
    (["bucket", "set", "--company", "COMPANY", *BUCKET, "--sse", "rot13"], "malformed")])
def test_errors(admin, company, args, saying):
    secret = "" if saying.startswith("Secret") else "secret\n"
    status, out, error = admin(*[company if a == "COMPANY" else a for a in args], stdin=secret)
    assert (status, out) == (1, "") and saying in error and error.startswith("streamsight-admin: "), error


def test_help_names_every_command(admin):
    status, text, _ = admin("--help")
    assert status == 0
    for command in ("migrate", "company create NAME", "bucket set --company", "policy set", "enrolment-code create",
                    "user create NAME", "user accept", "audit verify", "device list", "device revoke ID", "recording list", "--json", "--config"):
        assert command in text


def test_no_administration_by_another_role(stack, apid, admin, tmp_path):
    config = tmp_path / "admin.conf"
    config.write_text(_ADMIN_CONF.format(dsn=apid.database_dsn, key=tmp_path / "none"))
    status, _, error = admin("device", "list", config=config)
    assert status == 1 and "must name the role streamsight_admin" in error
    config.write_text(_ADMIN_CONF.format(dsn=apid.admin_dsn, key=tmp_path / "none"))
    status, _, error = admin("migrate", config=config)
    assert status == 1 and "superuser" in error
    status, _, error = admin("device", "list", config=tmp_path / "nowhere")
    assert status == 1 and "No such file" in error
    with pytest.raises(ServiceError):
        apid.admin("device", "list", "--unknown")


@pytest.mark.parametrize("statement", [
    "SELECT password_sha256 FROM streamsight.account", "SELECT totp_masked FROM streamsight.account",    "SELECT token_sha256 FROM streamsight.session", "SELECT * FROM streamsight.device_token", "SELECT salt FROM streamsight.company",
    "SELECT * FROM streamsight.recovery_code", "SELECT code_sha256 FROM streamsight.enrolment_code", "DELETE FROM streamsight.recording",
    "UPDATE streamsight.segment SET size = 1", "INSERT INTO streamsight.session DEFAULT VALUES", "UPDATE streamsight.audit SET action = 'x'",
    "DELETE FROM streamsight.audit", "UPDATE streamsight.audit_head SET id = 1", "UPDATE streamsight.account SET role = 'owner'",
    "UPDATE streamsight.account SET password_sha256 = sha256('x')", "UPDATE streamsight.account SET state = 'active'", "UPDATE streamsight.device SET public_key = '\\x00'",
    "CREATE TABLE streamsight.t (a int)", "CREATE ROLE r", "SET ROLE streamsight_owner", "SELECT api.version()",
    "INSERT INTO streamsight.recovery_code DEFAULT VALUES", "ALTER TABLE streamsight.audit DISABLE TRIGGER ALL",
    "COPY (SELECT 1) TO PROGRAM 'true'", "TRUNCATE streamsight.session"])
def test_the_administrators_role_can_do_no_more_than_its_commands(stack, apid, statement):
    with pytest.raises(ServiceError, match="permission denied|must be (owner|member|superuser)"):
        stack.postgres.sql(statement, dsn=apid.admin_dsn)


def test_a_user_joins_on_the_terminal(admin, company, api, sql):
    email = f"terminal.{uuid.uuid4()}@example.org"
    made = json.loads(admin("--json", "user", "create", "Terry", "--company", company, "--email", email, "--role", "owner")[1])
    assert "already" in admin("user", "create", "Terry", "--company", company, "--email", email, "--role", "owner")[2]
    assert "malformed" in admin("user", "create", "Terry", "--company", company, "--email", "x", "--role", "owner")[2]
    for invitation, password, saying in (("AAAA-BBBB", PASSWORD, "invitation is wrong"), (made["invitation"], "short", "at least 12")):
        status, _, error = admin("user", "accept", stdin=f"{invitation}\n{password}\n000000\n")
        assert status == 1 and saying in error
    # The secret is shown before the code is asked for.
    process = subprocess.Popen([admin.program, "--config", admin.config, "user", "accept"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    process.stdin.write(f"{made['invitation']}\n{PASSWORD}\n")
    process.stdin.flush()
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("otpauth://"):
            break
    user = User(api.url, email)
    user.secret = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(lines[-1].strip()).query))["secret"]
    assert sum("\u2588" in line for line in lines) > 20  # a QR code
    process.stdin.write(user.code() + "\n")
    process.stdin.close()
    rest = process.stdout.read().splitlines()
    assert process.wait(60) == 0
    user.recovery_codes = rest[1:]
    assert len(user.recovery_codes) == 10
    user.log_in()
    user.log_in(user.recovery_codes[0])
    assert email in admin("user", "list", "--company", company)[1]
    assert admin("user", "disable", made["id"])[1] == made["id"]
    assert code_of(api("GET", "/v1/auth/session", token=user.token)) == (401, "token_invalid")
    assert "no user" in admin("user", "invite", str(uuid.uuid4()))[2]


# --- the audit trail ------------------------------------------------------------------------------------------------------

@pytest.fixture
def trail(admin):
    """A company whose trail has some rows; its id."""
    company = admin("company", "create", "Audited Corp")[1]
    for _ in range(5):
        admin("enrolment-code", "create", "--company", company)
    return company


def test_audit_verify(admin, trail, sql):
    status, text, error = admin("audit", "verify", "--company", trail)
    company, end = text.split()
    rows, head = end.split(":")
    assert (status, company, rows, error) == (0, trail, "6", "")
    assert json.loads(admin("--json", "audit", "verify", "--company", trail)[1]) == {"company_id": trail, "rows": 6, "sha256": head}
    admin("enrolment-code", "create", "--company", trail)
    assert not admin("audit", "verify", "--company", trail)[1].endswith(head)
    # What was the end is a row's hash now.
    assert sql(f"SELECT encode(sha256, 'hex') FROM streamsight.audit WHERE company_id = '{trail}' AND id = 6") == head
    assert trail in admin("audit", "verify")[1]
    # Whoever has kept it sees that the chain is still that one.
    verify = lambda known, *more: admin("audit", "verify", "--known", known, *(more or ("--company", trail)))
    assert verify(end)[0] == 0
    for known, saying in ((f"6:{'0' * 64}", "another hash"), (f"5:{head}", "another hash"), (f"99:{head}", "missing"),
                          (f"0:{head}", "ROW:HASH"), (head, "ROW:HASH"), ("6:abc", "ROW:HASH")):
        status, _, error = verify(known)
        assert status == 1 and saying in error, (known, error)
    assert "--company" in verify(end, "--json")[2]


def test_a_chain_made_anew_is_not_the_known_one(admin, trail, sql):
    """What a superuser can do, and what a kept hash is for."""
    end = admin("audit", "verify", "--company", trail)[1].split()[1]
    sql(f"""BEGIN; ALTER TABLE streamsight.audit DISABLE TRIGGER append_only;
        CREATE TEMP TABLE kept AS SELECT * FROM streamsight.audit WHERE company_id = '{trail}' AND id <> 3 ORDER BY id;
        DELETE FROM streamsight.audit WHERE company_id = '{trail}'; DELETE FROM streamsight.audit_head WHERE company_id = '{trail}';
        INSERT INTO streamsight.audit (company_id, actor, actor_id, action, subject_id, address, detail)
            SELECT company_id, actor, actor_id, action, subject_id, address, detail FROM kept ORDER BY id;
        ALTER TABLE streamsight.audit ENABLE TRIGGER append_only; COMMIT""")
    assert admin("audit", "verify", "--company", trail)[0] == 0
    status, _, error = admin("audit", "verify", "--company", trail, "--known", end)
    assert status == 1 and "missing" in error


# --- ledgers --------------------------------------------------------------------------------------------------------------

def test_months_are_detached(stack, apid, tmp_path):
    """In a database of its own, with rows of a month ago, which lie where they did then."""
    name = f"ledgers_{uuid.uuid4().hex[:8]}"
    stack.postgres.create_database(name)
    config = tmp_path / "admin.conf"
    config.write_text(f"[Admin]\nConnectionString={apid.admin_dsn.replace('dbname=streamsight', f'dbname={name}').replace('admin-passfile', 'x')}\n"
                      f"[Migration]\nConnectionString={stack.postgres.owner_dsn(name)}\n")
    passfile = tmp_path / "passfile"
    passfile.touch(mode=0o600)
    known = apid.config_file.parent / "admin-passfile"
    passfile.write_text(known.read_text().replace(":streamsight:", f":{name}:"))
    config.write_text(config.read_text().replace(str(apid.config_file.parent / "x"), str(passfile)))

    def run(*args):
        done = subprocess.run([apid.admin_program, "--config", config, *args], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout
    sql = lambda text: stack.postgres.sql(text, name)
    run("migrate")
    companies = [run("company", "create", text).strip() for text in ("Alpha", "Beta")]
    for company in companies:
        for _ in range(3):
            run("enrolment-code", "create", "--company", company)
    # Two months ago: a recording with a segment, and the trail's first rows, which then make a whole of it again.
    a = companies[0]
    sql(f"""BEGIN; SET search_path = streamsight; SET ROLE streamsight_owner; SELECT make_partitions(now() - interval '2 months', now()); RESET ROLE;
        INSERT INTO device (company_id, id, hostname, public_key) VALUES ('{a}', '{a}', 'pc', decode(repeat('01', 65), 'hex'));
        INSERT INTO bucket (company_id, id, endpoint, region, bucket, prefix, path_style, access_key_id, secret)
            VALUES ('{a}', '{a}', 'https://s3.example.org', 'r', 'recordings', 'p', true, 'K', '\\x00');
        INSERT INTO recording (company_id, id, device_id, hostname, reason, outputs, started_at, created_at)
            VALUES ('{a}', '{a}', '{a}', 'pc', 'policy', '[]', now() - interval '2 months', now() - interval '2 months'),
                   ('{a}', gen_random_uuid(), '{a}', 'pc', 'policy', '[]', now(), now());
        INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256, md5, size, frames,
                             started_at, ended_at)
            SELECT company_id, id, created_at, 0, '{a}', 'key', sha256('x'), '\\x{"00" * 16}', 1, 1, now(), now() FROM recording;
        INSERT INTO live_recording SELECT company_id, id, device_id, created_at, 0, sha256('x') FROM recording;
        ALTER TABLE audit DISABLE TRIGGER append_only; ALTER TABLE audit DISABLE TRIGGER chain;
        DO $$ DECLARE a audit; head bytea; BEGIN
            FOR a IN DELETE FROM audit WHERE id <= 2 RETURNING * LOOP
                a.at := a.at - interval '2 months';
                INSERT INTO audit SELECT a.*;
            END LOOP;
            FOR a IN SELECT * FROM audit ORDER BY company_id, id LOOP
                head := CASE WHEN a.id = 1 THEN decode(repeat('00', 32), 'hex') ELSE head END;
                head := sha256(head || convert_to(audit_content(a), 'UTF8'));
                UPDATE audit SET sha256 = head WHERE company_id = a.company_id AND id = a.id;
                UPDATE audit_head SET sha256 = head WHERE company_id = a.company_id;
            END LOOP;
        END $$;
        ALTER TABLE audit ENABLE TRIGGER append_only; ALTER TABLE audit ENABLE TRIGGER chain; COMMIT""")
    before = run("audit", "verify")
    month = sql("SELECT to_char((now() - interval '2 months') AT TIME ZONE 'UTC', 'YYYY_MM')")
    today = sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')")
    row = {company: sql(f"SELECT '2:' || encode(sha256, 'hex') FROM streamsight.audit WHERE company_id = '{company}' AND id = 2") for company in companies}
    assert run("ledger", "detach", "--before", f"{month.replace('_', '-')}-28").split() == ["detached"]  # no month is over by then
    gone = run("ledger", "detach", "--before", today).split()
    assert {f"streamsight_detached.{ledger}_{month}" for ledger in ("segment", "recording", "viewing", "audit")} <= set(gone)
    # This month, though a day in the future is named, and the next ones stay.
    assert run("ledger", "detach", "--before", "2999-01-01").split() == ["detached"]
    assert sql("SELECT count(*) FROM streamsight.recording") == sql("SELECT count(*) FROM streamsight.segment") == "1"
    assert sql(f"SELECT count(*) FROM streamsight_detached.recording_{month}") == "1"
    # Nor does one go on in a month that is not there.
    assert sql("SELECT l.id FROM streamsight.live_recording l") == sql("SELECT r.id FROM streamsight.recording r")
    assert sql("SELECT count(*) FROM streamsight.audit WHERE id <= 2") == "0"
    # The rest of the trail is whole by itself, continues what was detached, and goes on.
    for company, end in (line.split() for line in before.splitlines()):
        assert run("audit", "verify", "--company", company, "--known", end)
    assert run("audit", "verify", "--company", a, "--known", row[a])
    # Once for each, as the other two times there was nothing to take out.
    assert sql("SELECT detail ->> 'before' FROM streamsight.audit WHERE action = 'ledger.detach' AND subject_id = company_id").split() == [today] * 2
    before = run("audit", "verify")
    for company in companies:
        run("enrolment-code", "create", "--company", company)
    assert run("audit", "verify") != before
    # What is saved and dropped is gone; it is nobody's to read.
    assert sql("SELECT count(*) FROM information_schema.table_privileges WHERE table_schema = 'streamsight_detached' AND grantee <> 'streamsight_owner'") == "0"
    sql("".join(f"DROP TABLE {table};" for table in gone[1:]))
    # A trail from which the first row here was removed as well is broken.
    sql("ALTER TABLE streamsight.audit DISABLE TRIGGER append_only; DELETE FROM streamsight.audit WHERE id = 3;")
    done = subprocess.run([apid.admin_program, "--config", config, "audit", "verify"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "row 3 is missing" in done.stderr


@pytest.mark.parametrize("tamper, saying", [
    ("UPDATE streamsight.audit SET action = 'x' WHERE company_id = '{}' AND id = 3", "row 3 of"),
    ("UPDATE streamsight.audit SET at = at + interval '1 us' WHERE company_id = '{}' AND id = 1", "row 1 of"),
    ("UPDATE streamsight.audit SET address = '192.0.2.9' WHERE company_id = '{}' AND id = 6", "row 6 of"),
    ("UPDATE streamsight.audit SET detail = '{{\"a\": 1}}' WHERE company_id = '{}' AND id = 6", "row 6 of"),
    ("DELETE FROM streamsight.audit WHERE company_id = '{}' AND id = 4", "row 4 is missing"),
    ("DELETE FROM streamsight.audit WHERE company_id = '{}' AND id = 6", "ends at row 5 and should at 6"),
    ("UPDATE streamsight.audit SET id = 99 WHERE company_id = '{0}' AND id = 2; UPDATE streamsight.audit SET id = 2 WHERE "
     "company_id = '{0}' AND id = 3; UPDATE streamsight.audit SET id = 3 WHERE company_id = '{0}' AND id = 99", "row 2 of")])
def test_a_trail_that_a_superuser_has_changed_is_broken(admin, trail, sql, tamper, saying):
    sql(f"BEGIN; ALTER TABLE streamsight.audit DISABLE TRIGGER append_only; {tamper.format(trail)}; "
        "ALTER TABLE streamsight.audit ENABLE TRIGGER append_only; COMMIT")
    status, _, error = admin("audit", "verify", "--company", trail)
    assert status == 1 and saying in error, error
