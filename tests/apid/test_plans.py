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

    def listed(since, until, after="NULL, NULL"):
        said = database(f"""LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
            SET auto_explain.log_analyze = on; SET auto_explain.log_timing = off; SET client_min_messages = log;
            SELECT 'length ' || json_array_length(l -> 'recordings'), 'last ' || (l -> 'recordings' -> -1 ->> 'id') FROM
                api.list_recordings('u', NULL, NULL, now() - interval '{since}', now() - interval '{until}', {after}, 1000) AS l;""")
        plan = said[said.index("WITH page AS"):]
        # Of what was executed: rows found, and looked at in vain.
        scans = re.findall(r"(Seq|Bitmap Heap|Index) Scan[^\n]* on (recording_2\w+)[^\n]*\(actual rows=(\d+) loops=(\d+)\)", plan)
        removed = sum(int(n) for n in re.findall(r"Rows Removed by (?:Filter|Index Recheck): (\d+)", plan))
        return (int(re.search(r"length (\d+)", said)[1]), re.search(r"last ([0-9a-f-]{36})", said)[1], sum(int(rows) * int(loops) for _, _, rows, loops in scans) + removed,
                plan)

    # An hour of a month ago: what began in it, what had begun in the eight hours before, and the two long ones. Of each company's recordings
    # of a day only this one's are looked at.
    length, last, seen, plan = listed("30 d", "29 d 23 h")
    assert (length, last) == (15 + 120 + 2, A), (length, last)
    assert "recording_2" in plan and seen < 1000, plan
    # Now: of all that there was, only that goes on still.
    length, last, seen, plan = listed("0 min", "0 min")
    assert (length, last) == (1, A) and seen < 1000, plan
