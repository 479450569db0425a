"""From a database that the first schema's apid has filled, to today's."""

import hashlib
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
    """A database as the first eight migrations made it, with two companies' rows in it."""
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
    assert migrated(f"SELECT api.finish_recording('a token', '{NEW}', 2, now(), 'stopped')") == "[]"
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
