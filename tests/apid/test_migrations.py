"""From a database of each schema that there was, with rows in every table, to today's."""

import hashlib
import json
import pathlib
import subprocess

import pytest

from services.apid import _ADMIN_CONF

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "apid" / "schema"
FILLED_AT = 8

A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
DEVICE_A, DEVICE_B = "aaaaaaaa-0000-4000-8000-00000000000d", "bbbbbbbb-0000-4000-8000-00000000000d"
BUCKET = "aaaaaaaa-0000-4000-8000-0000000000bb"
OLD, NEW = "aaaaaaaa-0000-4000-8000-000000000101", "aaaaaaaa-0000-4000-8000-000000000102"

FILL = f"""
INSERT INTO company (id, name) VALUES ('{A}', 'Alpha'), ('{B}', 'Beta');
INSERT INTO policy (company_id, revision, frames_per_second) VALUES ('{A}', 7, 3), ('{B}', 1, 5);
INSERT INTO bucket (company_id, id, endpoint, region, bucket, prefix, path_style, access_key_id, secret)
    VALUES ('{A}', '{BUCKET}', 'https://s3.example.org', 'r', 'recordings', 'p', true, 'K', '\\x00');
INSERT INTO device (company_id, id, hostname, employee, public_key)
    VALUES ('{A}', '{DEVICE_A}', 'pc-a', 'Ada', '\\x{"01" * 65}'), ('{B}', '{DEVICE_B}', 'pc-b', '', '\\x{"02" * 65}');
INSERT INTO device_token VALUES (sha256('a token'), '{A}', '{DEVICE_A}', now() + interval '5 min');
INSERT INTO enrolment_code (code_sha256, company_id, expires_at) VALUES (sha256('CODE'), '{B}', now() + interval '1 h');
INSERT INTO recording (company_id, id, device_id, hostname, reason, outputs, started_at, created_at, finished_at, ended_at, end_reason,
                       segments)
    VALUES ('{A}', '{OLD}', '{DEVICE_A}', 'pc-a', 'policy', '[]', now() - interval '100 d', now() - interval '100 d', now(), now(), 'x', 2),
           ('{A}', '{NEW}', '{DEVICE_A}', 'pc-a', 'manual', '[]', now(), now(), NULL, NULL, NULL, NULL);
INSERT INTO segment (company_id, recording_id, sequence, bucket_id, object_key, sha256, previous_sha256, md5, size, frames, started_at,
                     ended_at, completed_at)
    SELECT '{A}', r::uuid, n, '{BUCKET}', 'key/' || r || n, sha256(r::bytea || n::text::bytea), CASE WHEN n > 0 THEN sha256('x') END,
           '\\x{"00" * 16}', 1000 + n, 10, now(), now(), now()
    FROM unnest(array['{OLD}', '{NEW}']) AS r, generate_series(0, 1) AS n;
INSERT INTO audit (company_id, actor, action, subject_id, address)
    SELECT CASE WHEN n % 3 = 0 THEN '{B}'::uuid ELSE '{A}' END, 'administrator', 'something.' || n, NULL, '192.0.2.1'
    FROM generate_series(1, 20) AS n;
"""


@pytest.fixture(scope="module")
def filled(stack):
    """A database as it was before there were people, with two companies' rows in it."""
    name, postgres = "filled", stack.postgres
    postgres.create_database(name)
    run = lambda text: postgres.sql(text, name)
    run("CREATE SCHEMA streamsight; CREATE TABLE streamsight.migration (number integer PRIMARY KEY, name text NOT NULL, "
        "sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())")
    for path in sorted(SCHEMA.glob("*.sql")):
        if int(path.name[:4]) <= FILLED_AT:
            run(path.read_text())
            run(f"INSERT INTO streamsight.migration VALUES ({int(path.name[:4])}, '{path.stem}', "
                f"'{hashlib.sha256(path.read_bytes()).hexdigest()}')")
    run("SET search_path = streamsight;" + FILL)
    return name


@pytest.fixture(scope="module")
def migrated(filled, stack, tmp_path_factory):
    config = tmp_path_factory.mktemp("filled") / "admin.conf"
    config.write_text(_ADMIN_CONF.format(dsn=stack.postgres.owner_dsn(filled), key=config))
    subprocess.run([stack.apid.admin_program, "--config", config, "migrate"], check=True, timeout=60)
    return lambda text: stack.postgres.sql(text, filled)


def test_every_row_is_there_still(migrated):
    assert migrated("SELECT name FROM streamsight.company ORDER BY name").split() == ["Alpha", "Beta"]
    assert migrated(f"SELECT revision, frames_per_second FROM streamsight.policy WHERE company_id = '{A}'") == "7|3"
    assert migrated("SELECT d.hostname, e.name FROM streamsight.device d LEFT JOIN streamsight.employee e ON e.id = d.employee_id "
                    "ORDER BY 1").splitlines() == ["pc-a|Ada", "pc-b|"]
    assert migrated("SELECT r.id, r.reason, r.segments, e.name FROM streamsight.recording r JOIN streamsight.employee e "
                    "ON e.id = r.employee_id ORDER BY 1").splitlines() == [f"{OLD}|policy|2|Ada", f"{NEW}|manual||Ada"]
    assert migrated("SELECT count(*), sum(size), count(completed_at), count(DISTINCT object_key) FROM streamsight.segment") == \
        "4|4002|4|4"
    assert migrated("SELECT count(*) FROM streamsight.segment s JOIN streamsight.recording r ON r.company_id = s.company_id "
                    "AND r.id = s.recording_id AND r.created_at = s.recording_created_at") == "4"


def test_rows_lie_in_the_partition_of_their_month(migrated):
    for row in migrated("SELECT tableoid::regclass, to_char(created_at AT TIME ZONE 'UTC', 'YYYY_MM') FROM streamsight.recording "
                        "UNION ALL SELECT tableoid::regclass, to_char(recording_created_at AT TIME ZONE 'UTC', 'YYYY_MM') "
                        "FROM streamsight.segment").splitlines():
        name, month = row.split("|")
        assert name.endswith(month)
    assert int(migrated("SELECT count(DISTINCT tableoid) FROM streamsight.recording")) == 2


def test_what_was_good_still_is(migrated):
    """A device's token, its recordings and an enrolment code."""
    assert '"employee":"Ada"' in migrated("SELECT api.device_policy('a token')").replace(" ", "")
    assert migrated(f"SELECT streamsight.finish_recording('a token', '{NEW}', 2, now(), 'stopped')") == "[]"
    assert migrated(f"SELECT company FROM api.enroll('CODE', '\\x{'03' * 65}', 'pc', NULL)") == "Beta"


def test_the_audit_trail_became_a_chain(migrated):
    for company, rows in ((A, 14), (B, 6)):
        got = migrated("SELECT id, action, encode(sha256, 'hex'), streamsight.audit_content(a) FROM streamsight.audit a "
                       f"WHERE company_id = '{company}' AND action LIKE 'something.%' ORDER BY id").splitlines()
        assert [int(row.split("|")[0]) for row in got] == list(range(1, rows + 1))
        actions = [int(row.split("|")[1].split(".")[1]) for row in got]
        assert actions == sorted(actions)
        head = bytes(32)
        for row in got:
            digest, content = row.split("|", 3)[2:]
            head = hashlib.sha256(head + content.encode()).digest()
            assert head.hex() == digest


def test_next_months_are_made_ahead(migrated):
    months = migrated("SELECT relname FROM pg_class WHERE relname ~ '^recording_[0-9]{4}_[0-9]{2}$' ORDER BY 1").split()
    this = migrated("SELECT to_char(now() AT TIME ZONE 'UTC', '\"recording_\"YYYY_MM')")
    assert len(months) - months.index(this) >= 3
    assert migrated("SELECT api.maintain()") == "0"
    assert migrated("SELECT streamsight.make_partitions(now() + interval '10 years', now() + interval '10 years')") == "4"
    assert migrated("SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r' AND NOT (relrowsecurity AND "
                    "relforcerowsecurity)") == "0"


# --- from each version ----------------------------------------------------------------------------------------------------

VERSIONS = [int(path.name[:4]) for path in sorted(SCHEMA.glob("*.sql"))]
EMPTY = "cccccccc-0000-4000-8000-000000000003"  # all of its trail was detached
EMPLOYEE, OWNER, GUEST = (f"aaaaaaaa-0000-4000-8000-0000000000e{n}" for n in range(3))
KEY = "01" * 65

PEOPLE = f"""
INSERT INTO account (company_id, id, email, email_sha256, name, role, state, password_salt, password_iterations, password_sha256, totp_masked,
                     totp_nonce)
    VALUES ('{A}', '{OWNER}', 'o@example.org', sha256('o@example.org'), 'Olga', 'owner', 'active', sha256('s'), 210000, sha256('p'),
            '\\x{"05" * 20}', '\\x{"06" * 16}');
INSERT INTO session VALUES (sha256('a session'), '{A}', '{OWNER}', now(), now() + interval '1 h');
"""

# What to fill the tables of schemas from the first number to the second with; above all of FILL, cut where it changed.
PARTS = FILL.split("INSERT INTO ")[1:]
part = lambda table: "INSERT INTO " + next(text for text in PARTS if text.startswith(table + " "))
FILLS = (
    (2, None, part("company") + part("policy") + part("bucket")),
    (2, 8, part("device")),
    (9, None, f"INSERT INTO employee (company_id, id, name, reference) VALUES ('{A}', '{EMPLOYEE}', 'Ada', 'P1');"
              f"INSERT INTO device (company_id, id, hostname, employee_id, public_key) VALUES ('{A}', '{DEVICE_A}', 'pc-a', '{EMPLOYEE}', "
              f"'\\x{KEY}'), ('{B}', '{DEVICE_B}', 'pc-b', NULL, '\\x{'02' * 65}');"),
    (2, None, part("device_token") + part("enrolment_code") + part("audit") +
              f"INSERT INTO assertion_jti VALUES ('{A}', '{DEVICE_A}', sha256('j'), now() + interval '1 min');"),
    (2, 13, f"INSERT INTO viewer_token VALUES (sha256('v'), '{A}', '{A}', now(), now());"),
    (2, 9, part("recording") + part("segment")),
    (9, None, PEOPLE + f"""
        INSERT INTO account (company_id, id, email, email_sha256, name, role) VALUES
            ('{A}', '{GUEST}', 'g@example.org', sha256('g@example.org'), 'Gil', 'manager');
        INSERT INTO recovery_code VALUES ('{A}', '{OWNER}', sha256('r1'), NULL), ('{A}', '{OWNER}', sha256('r2'), now());
        INSERT INTO invitation VALUES (sha256('i'), '{A}', '{GUEST}', now(), now() + interval '1 d');
        INSERT INTO challenge VALUES (sha256('c'), '{A}', '{OWNER}', 'login', 2, now() + interval '1 min');
        INSERT INTO login_failure VALUES (sha256('f'), 3, now(), NULL);
        INSERT INTO assignment VALUES ('{A}', '{GUEST}', '{EMPLOYEE}', now());
        INSERT INTO idempotency VALUES ('{A}', '{OWNER}', sha256('k'), sha256('q'), '{{"id": 1}}', now());"""),
    (10, None, f"""
        SET ROLE streamsight_owner; SELECT make_partitions(now() - interval '100 d', now()); RESET ROLE;
        INSERT INTO recording (company_id, id, device_id, employee_id, hostname, reason, outputs, started_at, created_at, finished_at, ended_at,
                               end_reason, segments)
            SELECT '{A}', r::uuid, '{DEVICE_A}', '{EMPLOYEE}', 'pc-a', 'policy', '[]', t, t, f, f, CASE WHEN f IS NOT NULL THEN 'x' END,
                   CASE WHEN f IS NOT NULL THEN 2 END
            FROM (VALUES ('{OLD}', now() - interval '100 d', now()), ('{NEW}', now(), NULL)) AS v (r, t, f);
        INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256, previous_sha256, md5, size,
                             frames, started_at, ended_at, completed_at)
            SELECT '{A}', r.id, r.created_at, n, '{BUCKET}', 'key/' || r.id || n, sha256(r.id::text::bytea || n::text::bytea),
                   CASE WHEN n > 0 THEN sha256('x') END, '\\x{"00" * 16}', 1000 + n, 10, now(), now(), now()
            FROM recording r, generate_series(0, 1) AS n;
        INSERT INTO viewing (company_id, account_id, recording_id, segment_id, address)
            SELECT company_id, '{OWNER}', recording_id, id, '192.0.2.1' FROM segment;"""),
    (51, None, f"INSERT INTO device_key (company_id, device_id, public_key, until) VALUES ('{A}', '{DEVICE_A}', '\\x{'07' * 65}', now());"
               "INSERT INTO device_key (company_id, device_id, public_key) SELECT company_id, id, public_key FROM device ON CONFLICT DO NOTHING;"),
    (52, None, f"INSERT INTO company (id, name) VALUES ('{EMPTY}', 'Gamma');"
               f"INSERT INTO audit_head VALUES ('{EMPTY}', 3, sha256('h')); INSERT INTO audit_detached VALUES ('{EMPTY}', 3, sha256('h'));"),
    (60, 81, "UPDATE bucket SET sse_kms_key_id = 'alias/key';"),
    (63, None, f"INSERT INTO diagnostic VALUES ('{A}', '{DEVICE_A}', now(), '{{}}');"),
    (80, None, f"INSERT INTO live_recording SELECT company_id, id, device_id, created_at, 1, NULL FROM recording WHERE finished_at IS NULL;"),
)

# What a later migration took away on purpose, having moved it: (table, column) and the first schema without it.
GONE = {("viewer_token", None): 14, ("device", "employee"): 9}
# Audit rows were numbered anew when they became a chain; a key of a bucket that nothing was encrypted with is none.
CHANGED = {("audit", "id"): 11, ("bucket", "sse_kms_key_id"): 82}

# The procedures of devices and people, on what was there before.
USE = f"""
SELECT api.device_policy('a token') ->> 'employee';
SELECT api.finish_signed_recording('a token', '{NEW}', 2, now(), 'stopped', '{DEVICE_A}', '\\x{KEY}', 'f');
SELECT api.open_recording('a token', '{B}', now(), 'policy', 'pc-a', '[]');
SELECT (api.offer_signed_segment('a token', '{B}', 0, sha256('z'), NULL, '\\x{"00" * 16}', 10, now(), now(), 1, '{DEVICE_A}', '\\x{KEY}',
                                 's')).access_key_id;
SELECT api.complete_segment('a token', '{B}', 0, sha256('z'));
SELECT json_array_length(api.list_recordings('a session', NULL, NULL, NULL, NULL, NULL, NULL, 10) -> 'recordings');
SELECT json_array_length(api.list_segments('a session', '{OLD}', NULL, 10) -> 'segments');
SELECT (api.view_segment('a session', (SELECT id FROM streamsight.segment WHERE recording_id = '{OLD}' AND sequence = 1), NULL)).object_key;
SELECT json_array_length(api.list_devices('a session', NULL, NULL, NULL) -> 'devices');
SELECT api.list_employees('a session', NULL, NULL) -> 'employees' -> 0 ->> 'name';
SELECT api.list_policies('a session', NULL, NULL) -> 'policies' -> 0 ->> 'revision';
SELECT company FROM api.enroll('CODE', '\\x{"03" * 65}', 'pc', NULL);
SELECT api.maintain();
"""
USED = ["Ada", "[]", "t", "K", "", "3", "2", f"key/{OLD}1", "1", "Ada", "7", "Beta", "0"]


@pytest.fixture(scope="module")
def schemas(stack):
    """A database of each version, empty: schemas(number) is its name. To be asked for in their order."""
    made = []

    def at(version):
        for number in VERSIONS[len(made):VERSIONS.index(version) + 1]:
            path, = SCHEMA.glob(f"{number:04}-*.sql")
            name = f"schema_{number}"
            stack.postgres.sql(f"CREATE DATABASE {name}" + (f" TEMPLATE schema_{made[-1]}" if made else ""))
            begin = "" if made else ("CREATE SCHEMA streamsight; CREATE TABLE streamsight.migration (number integer PRIMARY KEY, name text NOT NULL, "
                                     "sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());")
            stack.postgres.sql(f"BEGIN; {begin} {path.read_text()} INSERT INTO streamsight.migration VALUES ({number}, '{path.stem}', "
                               f"'{hashlib.sha256(path.read_bytes()).hexdigest()}'); COMMIT", name)
            made.append(number)
        return f"schema_{version}"
    return at


def contents(sql):
    """Each table's rows."""
    tables = sql("SELECT relname FROM pg_class WHERE relnamespace = 'streamsight'::regnamespace AND relkind IN ('r', 'p') "
                 "AND NOT relispartition AND relname <> 'migration'").split()
    rows = sql(";".join(f"SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM streamsight.{table} t" for table in tables)).splitlines()
    return dict(zip(tables, map(json.loads, rows), strict=True))


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_nothing_is_lost_from_any_version(schemas, stack, tmp_path, version):
    name = f"filled_{version}"
    stack.postgres.sql(f"CREATE DATABASE {name} TEMPLATE {schemas(version)}")
    sql = lambda text: stack.postgres.sql(text, name)
    sql("SET search_path = streamsight;" + "".join(text for first, last, text in FILLS if first <= version <= (last or version)))
    before = contents(sql)
    assert all(before.values()), f"no rows in {[table for table, rows in before.items() if not rows]}"

    config = tmp_path / "admin.conf"
    config.write_text(_ADMIN_CONF.format(dsn=stack.postgres.owner_dsn(name), key=config))
    admin = lambda *command: subprocess.run([stack.apid.admin_program, "--config", config, *command], check=True, timeout=60, text=True,
                                            stdout=subprocess.PIPE).stdout
    admin("migrate")
    after = contents(sql)
    gone = lambda table, column: version < GONE.get((table, column), 0)
    for table, rows in before.items():
        if gone(table, None):
            continue
        assert len(after[table]) == len(rows), table
        for row in rows:
            kept = {column: value for column, value in row.items()
                    if not gone(table, column) and version >= CHANGED.get((table, column), 0)}
            assert any(all(column in found and found[column] == value for column, value in kept.items()) for found in after[table]), (table, row)
    if version < 9:
        sql("SET search_path = streamsight;" + PEOPLE)
    assert sql(USE).split("\n") == USED
    for company in (A, B):
        assert admin("audit", "verify", "--company", company).startswith(company)


def test_a_migration_does_not_queue_behind_a_dump(schemas, stack, tmp_path):
    """Whoever waits for a table that is being read keeps those waiting who only want to read it."""
    stack.postgres.sql(f"CREATE DATABASE dumped TEMPLATE {schemas(VERSIONS[-2])}")
    sql = lambda text: stack.postgres.sql(text, "dumped")
    config = tmp_path / "admin.conf"
    config.write_text(_ADMIN_CONF.format(dsn=stack.postgres.owner_dsn("dumped"), key=config))
    migrate = lambda: subprocess.run([stack.apid.admin_program, "--config", config, "migrate"], timeout=60, text=True, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT)
    tables = sql("SELECT string_agg(c.oid::regclass::text, ',') FROM pg_class c WHERE c.relnamespace = 'streamsight'::regnamespace AND c.relkind IN ('p', 'r')")
    with subprocess.Popen(["psql", "-XAtq", "-d", stack.postgres.owner_dsn("dumped")], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as dump:
        dump.stdin.write(f"BEGIN; LOCK TABLE {tables} IN ACCESS SHARE MODE; SELECT 'held';\n")
        dump.stdin.flush()
        assert dump.stdout.readline() == "held\n"
        refused = migrate()
        assert refused.returncode == 1 and "try again when it has ended" in refused.stdout and "the database is as it was" in refused.stdout, refused.stdout
        assert sql("SELECT max(number) FROM streamsight.migration") == str(VERSIONS[-2])
        dump.stdin.close()
    assert migrate().returncode == 0


ROLES = ("streamsight_owner", "streamsight_apid", "streamsight_admin")
RIGHTS = """
SELECT 'database', (aclexplode(d.datacl)).privilege_type, (aclexplode(d.datacl)).grantee::regrole FROM pg_database d WHERE d.datname = current_database() ORDER BY 2, 3;
SELECT n.nspname, n.nspacl FROM pg_namespace n WHERE n.nspname !~ '^pg_(temp|toast)' ORDER BY 1;
SELECT c.oid::regclass, c.relacl, c.relrowsecurity, c.relforcerowsecurity FROM pg_class c WHERE c.relnamespace = 'streamsight'::regnamespace ORDER BY c.relname;
SELECT a.attrelid::regclass, a.attname, a.attacl FROM pg_attribute a WHERE a.attacl IS NOT NULL ORDER BY a.attrelid::regclass::text, 2;
SELECT p.oid::regprocedure, p.proacl FROM pg_proc p WHERE p.proacl IS NOT NULL ORDER BY p.oid::regprocedure::text;
SELECT d.defaclobjtype, d.defaclacl FROM pg_default_acl d ORDER BY 1;
"""


def test_a_backup_that_is_restored_gives_nobody_more(stack, tmp_path):
    """As the operator's guide says: pg_dump, createdb, pg_restore, migrate."""
    postgres, config, backup = stack.postgres, tmp_path / "admin.conf", tmp_path / "backup"
    migrate = lambda name: (config.write_text(_ADMIN_CONF.format(dsn=postgres.owner_dsn(name), key=config)),
                            subprocess.run([stack.apid.admin_program, "--config", config, "migrate"], check=True, timeout=60))
    postgres.create_database("saved")
    migrate("saved")
    subprocess.run(["pg_dump", "--format=custom", "--file", backup, "-d", postgres.owner_dsn("saved")], check=True, timeout=60)
    postgres.create_database("restored")
    subprocess.run(["pg_restore", "--exit-on-error", "-d", postgres.owner_dsn("restored"), backup], check=True, timeout=60)
    migrate("restored")
    assert postgres.sql(RIGHTS, "restored") == postgres.sql(RIGHTS, "saved")
    rights = "SELECT rolname, p, has_database_privilege(rolname, current_database(), p) FROM pg_roles, unnest(array['CONNECT', 'TEMP', 'CREATE']) AS p " \
        f"WHERE rolname IN {ROLES} ORDER BY 1, 2"
    assert [line for line in postgres.sql(rights, "restored").split() if line.endswith("t")] == ["streamsight_admin|CONNECT|t", "streamsight_apid|CONNECT|t"]
