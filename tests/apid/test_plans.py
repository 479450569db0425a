"""Which way PostgreSQL finds things: on a ledger whose months it has seen empty, and on a large one."""

import re
import subprocess

import pytest

from services.apid import _ADMIN_CONF

A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
DEVICE, OWNER, BUCKET = (f"aaaaaaaa-0000-4000-8000-0000000000{n}" for n in ("0d", "0e", "bb"))

COMPANIES = f"""
INSERT INTO company (id, name) VALUES ('{A}', 'Alpha'), ('{B}', 'Beta');
INSERT INTO bucket (company_id, id, endpoint, region, bucket, prefix, path_style, access_key_id, secret)
    VALUES ('{A}', '{BUCKET}', 'https://s3.example.org', 'r', 'recordings', 'p', true, 'K', '\\x00');
INSERT INTO device (company_id, id, hostname, public_key) VALUES ('{A}', '{DEVICE}', 'pc-a', '\\x{"01" * 65}'), ('{B}', '{B}', 'pc-b', '\\x{"02" * 65}');
INSERT INTO device_token VALUES (sha256('t'), '{A}', '{DEVICE}', now() + interval '1 h');
INSERT INTO account (company_id, id, email, email_sha256, name, role, state, password_salt, password_iterations, password_sha256, totp_masked,
                     totp_nonce)
    VALUES ('{A}', '{OWNER}', 'o@example.org', sha256('o@example.org'), 'Olga', 'owner', 'active', sha256('s'), 210000, sha256('p'),
            '\\x{"05" * 20}', '\\x{"06" * 16}');
INSERT INTO session VALUES (sha256('u'), '{A}', '{OWNER}', now(), now() + interval '1 h');
"""


@pytest.fixture
def database(stack, tmp_path, request):
    """psql on a database of the test's own: (what it prints, notices and log lines included)."""
    name = f"plans_{request.node.name}"
    stack.postgres.create_database(name)
    config = tmp_path / "admin.conf"
    config.write_text(_ADMIN_CONF.format(dsn=stack.postgres.owner_dsn(name), key=config))
    subprocess.run([stack.apid.admin_program, "--config", config, "migrate"], check=True, timeout=60, stdout=subprocess.DEVNULL)

    def run(text):
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", stack.postgres.owner_dsn(name)], text=True, timeout=120,
                              input="SET search_path = streamsight;" + text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
        return done.stdout
    run(COMPANIES)
    # Nor does autovacuum look at them in the middle of a test
    run(run("SELECT format('ALTER TABLE %I SET (autovacuum_enabled = off);', relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = "
            "'streamsight'::regnamespace"))
    return run


def test_devices_are_served_by_keys_on_a_new_ledger(database):
    """All other indexes of a ledger begin with the company: to take one is to look at all that the company has in it. One session, whose plans
    are those that it made first."""
    recording = f"""
        SELECT gen_random_uuid() AS recording \\gset
        SELECT api.open_recording('t', :'recording', now(), 'policy', 'pc-a', '[]');
        SELECT count(*) FROM (SELECT api.offer_signed_segment('t', :'recording', n, sha256(int4send(n)), CASE WHEN n > 0 THEN sha256(int4send(n - 1)) END,
                '\\x{"00" * 16}', 1000, now(), now(), 1, '{DEVICE}', '\\x{"01" * 65}', 's')
            FROM unnest(array[0, 1, 0, 3, 2]) AS n) AS o;
        SELECT count(*) FROM api.offer_signed_segments(array['t'], array[:'recording']::uuid[], array[4], array[sha256(int4send(4))], array[sha256(int4send(3))],
            array['\\x{"00" * 16}'::bytea], array[1000], array[now()], array[now()], array[1], array['{DEVICE}']::uuid[], array['\\x{"01" * 65}'::bytea], array['s']);
        SELECT count(*) FROM (SELECT api.complete_segment('t', :'recording', n, sha256(int4send(n))) FROM generate_series(0, 4) AS n) AS c;
        SELECT streamsight.finish_recording('t', :'recording', 5, now(), 'stopped');
        SELECT count(*) FROM (SELECT api.complete_segment('t', :'recording', 0, sha256(int4send(0)))) AS c;"""
    database(recording * 30)
    used = database("SELECT pg_stat_force_next_flush(); SELECT relname, indexrelname, idx_scan FROM pg_stat_user_indexes WHERE idx_scan > 0 "
                    "AND relname ~ '^(recording|segment)_2'")
    rows = [line.split("|") for line in used.splitlines() if line]
    assert {re.sub("_[0-9_]+_", " ", name) for _, name, _ in rows} == {"recording pkey", "segment pkey"}, used
    assert database("SELECT count(*) FROM pg_stat_user_tables WHERE seq_tup_read > 100 AND relname ~ '^(recording|segment)_2'").strip() == "0"


LOGGED = """
    LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on; SET auto_explain.log_analyze = on;
    SET auto_explain.log_timing = off; SET client_min_messages = log;"""


def looked_at(said, ledger):
    """Of what was executed of the listing: rows of a ledger that were found, or looked at in vain; and the plan."""
    plan = said[said.index("WITH whose AS"):]
    scans = re.findall(rf"(?:Seq|Bitmap Heap|(?<!Bitmap )Index) Scan[^\n]* on {ledger}_2\w+[^\n]*\(actual rows=(\d+) loops=(\d+)\)((?:\n(?!.*->)[^\n]*)*)", plan)
    removed = lambda rest: sum(int(n) for n in re.findall(r"Rows Removed by (?:Filter|Index Recheck): (\d+)", rest))
    return sum((int(rows) + removed(rest)) * int(loops) for rows, loops, rest in scans), plan


def test_what_overlaps_a_time_is_found_by_an_index(database):
    """Two companies' recordings of two months, each of eight hours; one of two weeks, and one that has gone on all the time."""
    database(f"""
        SELECT make_partitions(now() - interval '60 d', now());
        INSERT INTO recording (company_id, id, device_id, hostname, reason, outputs, started_at, created_at, finished_at, ended_at, end_reason, segments)
            SELECT CASE WHEN n % 2 = 0 THEN '{A}'::uuid ELSE '{B}' END, gen_random_uuid(), CASE WHEN n % 2 = 0 THEN '{DEVICE}'::uuid ELSE '{B}' END, 'pc', 'policy',
                '[]', t, t, t + interval '8 h', t + interval '8 h', 'x', 0
            FROM (SELECT n, now() - n * interval '2 min' AS t FROM generate_series(240, 40000) AS n) AS v;
        INSERT INTO recording (company_id, id, device_id, hostname, reason, outputs, started_at, created_at)
            VALUES ('{A}', '{A}', '{DEVICE}', 'pc', 'policy', '[]', now() - interval '55 d', now() - interval '55 d');
        INSERT INTO recording (company_id, id, device_id, hostname, reason, outputs, started_at, created_at, finished_at, ended_at, end_reason, segments)
            SELECT '{A}', '{DEVICE}', '{DEVICE}', 'pc', 'policy', '[]', t, t, t + interval '14 d', t + interval '14 d', 'x', 0
            FROM (SELECT now() - interval '40 d' AS t) AS v;
        ANALYZE;""")

    def listed(since, until):
        said = database(LOGGED + f"""
            SELECT 'length ' || json_array_length(l -> 'recordings'), 'last ' || (l -> 'recordings' -> -1 ->> 'id') FROM
                api.list_recordings('u', NULL, NULL, now() - interval '{since}', now() - interval '{until}', NULL, NULL, 1000) AS l;""")
        return int(re.search(r"length (\d+)", said)[1]), re.search(r"last ([0-9a-f-]{36})", said)[1], *looked_at(said, "recording")

    # An hour of a month ago: what began in it, what had begun in the eight hours before, and the two long ones. Of each company's recordings
    # of a day only this one's are looked at.
    length, last, seen, plan = listed("30 d", "29 d 23 h")
    assert (length, last) == (15 + 120 + 2, A), (length, last)
    assert "recording_2" in plan and seen < 1000, plan
    # Now: of all that there was, only that goes on still.
    length, last, seen, plan = listed("0 min", "0 min")
    assert (length, last) == (1, A) and seen < 1000, plan


NOBODY, SOMEBODY = "aaaaaaaa-0000-4000-8000-000000000e00", "aaaaaaaa-0000-4000-8000-000000000e01"


@pytest.mark.parametrize("analysed", [True, False])
def test_a_manager_looks_at_their_employees_alone(database, analysed):
    """Of two hundred employees with a hundred recordings each; one has none, and one has been recorded for a month."""
    database(f"""
        SET ROLE streamsight_owner; SELECT make_partitions(now() - interval '60 d', now()); RESET ROLE;
        INSERT INTO employee (company_id, id, name) VALUES ('{A}', '{NOBODY}', 'Nobody');
        INSERT INTO employee (company_id, id, name) SELECT '{A}', ('aaaaaaaa-0000-4000-8000-000000001' || lpad(n::text, 3, '0'))::uuid, n FROM generate_series(0, 199) AS n;
        INSERT INTO employee (company_id, id, name) VALUES ('{A}', '{SOMEBODY}', 'Somebody');
        INSERT INTO account (company_id, id, email, email_sha256, name, role)
            SELECT '{A}', m::uuid, m || '@example.org', sha256(m::bytea), m, 'manager' FROM unnest(array['{NOBODY}', '{SOMEBODY}', '{A}']) AS m;
        UPDATE account SET (state, password_salt, password_iterations, password_sha256, totp_masked, totp_nonce) =
            (SELECT 'active', o.password_salt, o.password_iterations, o.password_sha256, o.totp_masked, o.totp_nonce FROM account o WHERE o.id = '{OWNER}')
            WHERE role = 'manager';
        INSERT INTO session SELECT sha256(id::text::bytea), company_id, id, now(), now() + interval '1 h' FROM account WHERE role = 'manager';
        INSERT INTO assignment SELECT '{A}', id, id, now() FROM employee WHERE id IN ('{NOBODY}', '{SOMEBODY}');
        INSERT INTO assignment SELECT '{A}', '{A}', id, now() FROM employee WHERE name < '15';
        INSERT INTO recording (company_id, id, device_id, employee_id, hostname, reason, outputs, started_at, created_at, finished_at, ended_at, end_reason, segments)
            SELECT '{A}', gen_random_uuid(), '{DEVICE}', ('aaaaaaaa-0000-4000-8000-000000001' || lpad((n % 200)::text, 3, '0'))::uuid, 'pc', 'policy',
                '[]', t, t, t + interval '8 h', t + interval '8 h', 'x', 0
            FROM (SELECT n, now() - n * interval '2 min' AS t FROM generate_series(1, 20000) AS n) AS v;
        INSERT INTO recording (company_id, id, device_id, employee_id, hostname, reason, outputs, started_at, created_at)
            VALUES ('{A}', '{SOMEBODY}', '{DEVICE}', '{SOMEBODY}', 'pc', 'policy', '[]', now() - interval '30 d', now() - interval '30 d');
        {'ANALYZE' if analysed else ''};""")

    def listed(manager, since):
        said = database(LOGGED + f"""SELECT 'length ' || json_array_length(l -> 'recordings') FROM
            api.list_recordings('{manager}', NULL, NULL, {since}, NULL, NULL, NULL, 20) AS l;""")
        return int(re.search(r"length (\d+)", said)[1]), *looked_at(said, "recording")

    for manager, n, most in (NOBODY, 0, 0), (SOMEBODY, 1, 2), (A, 20, 60 * 21 * 2):
        for since in "NULL", "now() - interval '3 d'":
            length, seen, plan = listed(manager, since)
            assert length == n and seen <= most, plan


def test_segments_are_counted_by_the_key_and_once(database):
    """One recording has all of a month's segments: for PostgreSQL, whichever is asked for has them."""
    database(f"""
        INSERT INTO recording (company_id, id, device_id, hostname, reason, outputs, started_at) SELECT '{A}', gen_random_uuid(), '{DEVICE}', 'pc',
            'policy', '[]', now() - n * interval '1 min' FROM generate_series(0, 49) AS n;
        INSERT INTO recording (company_id, id, device_id, hostname, reason, outputs, started_at) VALUES ('{A}', '{A}', '{DEVICE}', 'pc', 'policy', '[]', now());
        INSERT INTO live_recording (company_id, id, device_id, created_at, sequence) SELECT company_id, id, device_id, created_at, 49999 FROM recording WHERE id = '{A}';
        INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256, previous_sha256, md5, size, frames,
                             started_at, ended_at, completed_at)
            SELECT '{A}', '{A}', r.created_at, n, '{BUCKET}', n, sha256('s'), CASE WHEN n > 0 THEN sha256('s') END, '\\x{"00" * 16}', 1000, 1, now(), now(), now()
            FROM recording r, generate_series(0, 49999) AS n WHERE r.id = '{A}';
        ANALYZE;""")

    def listed():
        said = database(LOGGED + """SELECT 'first ' || (l -> 'recordings' -> 0 ->> 'segments') || ' ' || (l -> 'recordings' -> 0 ->> 'bytes') FROM
            api.list_recordings('u', NULL, NULL, NULL, NULL, NULL, NULL, 100) AS l;""")
        return re.search(r"first (\d+ \d+)", said)[1], *looked_at(said, "segment")
    counted, seen, plan = listed()
    assert counted == "50000 50000000" and seen <= 51000, plan
    # Once it has ended it is not counted any more.
    assert database(f"SELECT finish_recording('t', '{A}', 50000, now(), 'stopped')").strip() == "[]"
    counted, seen, plan = listed()
    assert counted == "50000 50000000" and seen == 0, plan


def test_a_finish_that_is_refused_again_costs_little(database):
    """All but the last of a hundred thousand are complete, and a gap is among the next."""
    database(f"""
        SELECT api.open_recording('t', '{A}', now(), 'policy', 'pc-a', '[]');
        INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256, previous_sha256, md5, size, frames,
                             started_at, ended_at, completed_at)
            SELECT '{A}', '{A}', r.created_at, n, '{BUCKET}', n, sha256('s'), CASE WHEN n > 0 THEN sha256('s') END, '\\x{"00" * 16}', 1000, 1, now(), now(),
                CASE WHEN n <> 50000 THEN now() END
            FROM recording r, generate_series(0, 99999) AS n;""")
    read = lambda: int(database("SELECT pg_stat_force_next_flush(); SELECT sum(idx_tup_fetch) + sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname ~ '^segment_2'"))
    finish = lambda n: database(f"SELECT finish_recording('t', '{A}', {n}, '2030-01-01Z', 'stopped')").strip()
    before = read()
    assert finish(100010) == "[50000]" and 50000 <= (first := read()) - before < 53000
    for _ in range(5):
        assert finish(100010) == "[50000]"
    assert read() - first < 5 * 1100
    database("UPDATE segment SET completed_at = now() WHERE completed_at IS NULL")
    assert finish(100010) == str([*range(100000, 100010)])
    assert finish(100000) == finish(100000) == "[]"
    assert database("SELECT segments, bytes FROM recording").strip() == "100000|100000000"
    assert database("SELECT count(*) FROM live_recording").strip() == "0"
