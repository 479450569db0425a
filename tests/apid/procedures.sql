-- SPDX-License-Identifier: Apache-2.0
-- What lies below the API's procedures, one by one (pgTAP). Run by test_pgtap.py in a database of its own; nothing of it stays.
BEGIN;
SELECT no_plan();
SET search_path = streamsight, public, tap;

-- Two companies, each with an owner; a manager in the first. Tokens are 'A', 'B' and 'M'.
INSERT INTO company (id, name) VALUES ('aaaaaaaa-0000-4000-8000-000000000000', 'A'), ('bbbbbbbb-0000-4000-8000-000000000000', 'B');
INSERT INTO policy (company_id) SELECT id FROM company;
INSERT INTO account (company_id, id, email, email_sha256, name, role, state, password_salt, password_iterations, password_sha256,
                     totp_masked, totp_nonce)
    SELECT c, i, e, sha256(e::bytea), e, r, 'active', decode(repeat('01', 32), 'hex'), 210000, sha256(decode(repeat('02', 64), 'hex')),
           '12345678901234567890', decode(repeat('03', 16), 'hex')
    FROM (VALUES ('aaaaaaaa-0000-4000-8000-000000000000'::uuid, 'aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'a@example.org', 'owner'),
                 ('bbbbbbbb-0000-4000-8000-000000000000', 'bbbbbbbb-0000-4000-8000-000000000001', 'b@example.org', 'owner'),
                 ('aaaaaaaa-0000-4000-8000-000000000000', 'aaaaaaaa-0000-4000-8000-000000000002', 'm@example.org', 'manager'))
        AS people (c, i, e, r);
INSERT INTO session (token_sha256, company_id, account_id, expires_at)
    SELECT sha256(upper(left(email, 1))::bytea), company_id, id, now() + interval '1 h' FROM account;

-- Who is calling
SELECT is((enter_user('A', 'owner')).email, 'a@example.org', 'a session is its user''s');
SELECT is(current_company(), 'aaaaaaaa-0000-4000-8000-000000000000', 'and opens its company');
SELECT throws_ok($$SELECT enter_user('a', 'owner')$$, 'SS001', 'token_invalid', 'another token is none');
SELECT throws_ok($$SELECT enter_user(NULL, 'owner')$$, 'SS001', 'token_invalid', 'nor is no token');
SELECT throws_ok($$SELECT enter_user('M', 'owner', 'admin', 'auditor')$$, 'SS004', 'role_insufficient', 'a role that is not named may not');
UPDATE session SET expires_at = now() WHERE token_sha256 = sha256('M');
SELECT throws_ok($$SELECT enter_user('M', 'manager')$$, 'SS002', 'token_expired', 'a session ends');
UPDATE session SET expires_at = now() + interval '1 h' WHERE token_sha256 = sha256('M');
UPDATE account SET state = 'disabled' WHERE email = 'm@example.org';
SELECT throws_ok($$SELECT enter_user('M', 'manager')$$, 'SS001', 'token_invalid', 'and with its user');
UPDATE account SET state = 'active' WHERE email = 'm@example.org';

-- The second wall: what the procedures' owner sees once a company is entered
SELECT is((enter_user('A', 'owner')).role, 'owner', 'enter A');
SET LOCAL ROLE streamsight_owner;
SELECT count(*) AS accounts, count(DISTINCT company_id) AS companies FROM account \gset
SELECT count(*) AS sessions FROM session WHERE company_id = 'bbbbbbbb-0000-4000-8000-000000000000' \gset
UPDATE account SET name = 'taken' WHERE company_id = 'bbbbbbbb-0000-4000-8000-000000000000';
RESET ROLE;
SELECT is(:accounts, 2, 'it sees the company''s users');
SELECT is(:companies, 1, 'and no other company''s');
SELECT is(:sessions, 0, 'nor their sessions');
SELECT is((SELECT count(*) FROM account WHERE name = 'taken'), 0::bigint, 'and changes nothing of them');

-- Codes of authenticators: RFC 6238 appendix B
SELECT is(totp_code('12345678901234567890', 59 / 30), '287082', 'the code of 59 s');
SELECT is(totp_code('12345678901234567890', 20000000000 / 30), '353130', 'a step beyond 32 bits');
SELECT is(totp_step('12345678901234567890', totp_code('12345678901234567890', floor(extract(epoch FROM now()) / 30)::bigint + n), NULL),
          floor(extract(epoch FROM now()) / 30)::bigint + n, 'a code ' || n || ' steps away') FROM generate_series(-1, 1) AS n;
SELECT is(totp_step('12345678901234567890', totp_code('12345678901234567890', floor(extract(epoch FROM now()) / 30)::bigint + n), NULL),
          NULL, 'no code ' || n || ' steps away') FROM unnest(array[-2, 2]) AS n;
SELECT is(totp_step('12345678901234567890', totp_code('12345678901234567890', floor(extract(epoch FROM now()) / 30)::bigint),
                    floor(extract(epoch FROM now()) / 30)::bigint), NULL, 'none of a step that was taken');
SELECT is(xor('\x00ff0f', '\xffff01'), '\xff000e', 'XOR');

-- Failures
SELECT isnt(hold_failures(sha256('x')), NULL, 'an address that fails first');
SELECT is(count_failure(sha256('x')), wait, 'failure ' || n)
    FROM unnest(array[0, 0, 0, 0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900]) WITH ORDINALITY AS expected (wait, n) ORDER BY n;
UPDATE login_failure SET failed_at = now() - interval '25 h';
SELECT is(count_failure(sha256('x')), 0, 'after a day it begins anew');

-- A login
SELECT results_eq($$SELECT iterations, locked FROM api.login_parameters('A@Example.org')$$, $$VALUES (210000, 0)$$, 'what to hash with');
SELECT is((SELECT length(salt) FROM api.login_parameters('nobody@example.org')), 64, 'for nobody as well');
SELECT is((api.login_password('a@example.org', decode(repeat('03', 64), 'hex'), repeat('c', 43), NULL)).outcome,
          'refused', 'another password');
SELECT is((api.login_password('a@example.org', decode(repeat('02', 64), 'hex'), repeat('c', 43), NULL)).outcome,
          'challenge', 'the password');
SELECT throws_ok($$SELECT api.challenge_parameters(repeat('c', 43), 'enrol')$$, 'SS005', 'challenge_invalid', 'for logging in alone');
SELECT is((api.login_totp(repeat('c', 43), '00000', decode(repeat('00', 20), 'hex'), repeat('t', 43), NULL)).outcome, 'refused', 'no code');
SELECT is((api.login_totp(repeat('c', 43), totp_code('12345678901234567890', floor(extract(epoch FROM now()) / 30)::bigint),
                          decode(repeat('ff', 20), 'hex'), repeat('t', 43), NULL)).outcome, 'refused', 'the code with another pad');
SELECT is((api.login_totp(repeat('c', 43), totp_code('12345678901234567890', floor(extract(epoch FROM now()) / 30)::bigint),
                          decode(repeat('00', 20), 'hex'), repeat('t', 43), NULL)).outcome, 'session', 'the code');
SELECT is((enter_user(repeat('t', 43), 'owner')).email, 'a@example.org', 'is a session');
SELECT throws_ok($$SELECT api.login_totp(repeat('c', 43), '000000', '\x00', repeat('t', 43), NULL)$$, 'SS005', 'challenge_invalid',
                 'a challenge is used up by it');
SELECT is((SELECT count(*) FROM login_failure WHERE email_sha256 = sha256('a@example.org')), 0::bigint, 'failures are forgotten');
UPDATE account SET totp_masked = NULL, totp_nonce = NULL, state = 'invited' WHERE email = 'b@example.org';
SELECT is((api.login_password('b@example.org', decode(repeat('02', 64), 'hex'), repeat('d', 43), NULL)).outcome,
          'refused', 'nobody without an authenticator');
SELECT throws_ok($$UPDATE account SET state = 'active' WHERE email = 'b@example.org'$$, '23514', NULL, 'nor can there be such a user');

-- Partitions and the audit trail
SELECT is(make_partitions(now(), now() + interval '3 months'), 0, 'the next months are there');
SELECT is(make_partitions('2001-01-31 23:59:59Z', '2001-02-01Z'), 8, 'of two months, for four ledgers');
SELECT throws_ok($$INSERT INTO viewing (company_id, account_id, recording_id, segment_id, viewed_at) SELECT company_id, id, id, id, '1999-01-01'
                   FROM account WHERE email = 'a@example.org'$$, '23514', NULL, 'a row has its month or is refused');
SELECT throws_ok('UPDATE audit SET action = action', 'SS900', NULL, 'rows of the trail stay');
SELECT throws_ok('DELETE FROM audit', 'SS900', NULL, 'rows of the trail stay');
SELECT results_eq($$SELECT id FROM audit WHERE company_id = 'aaaaaaaa-0000-4000-8000-000000000000' ORDER BY id$$,
                  $$SELECT generate_series(1, (SELECT h.id FROM audit_head h WHERE h.company_id = 'aaaaaaaa-0000-4000-8000-000000000000'))$$,
                  'numbered without holes');
SELECT is(a.sha256, sha256(coalesce(b.sha256, decode(repeat('00', 32), 'hex')) || convert_to(audit_content(a), 'UTF8')), 'chained: ' || a.id)
    FROM audit a LEFT JOIN audit b ON b.company_id = a.company_id AND b.id = a.id - 1
    WHERE a.company_id = 'aaaaaaaa-0000-4000-8000-000000000000';

-- Segments: what is no segment's row is refused, whoever writes it
INSERT INTO device (company_id, id, hostname, public_key)
    SELECT 'aaaaaaaa-0000-4000-8000-000000000000', i, h, decode(repeat(k, 65), 'hex')
    FROM (VALUES ('aaaaaaaa-0000-4000-8000-0000000000d1'::uuid, 'pc-1', '04'), ('aaaaaaaa-0000-4000-8000-0000000000d2', 'pc-2', '05')) AS d (i, h, k);
INSERT INTO device_token (token_sha256, company_id, device_id, expires_at)
    SELECT sha256(hostname::bytea), company_id, id, now() + interval '1 h' FROM device;
INSERT INTO bucket (company_id, id, endpoint, region, bucket, prefix, path_style, access_key_id, secret)
    VALUES ('aaaaaaaa-0000-4000-8000-000000000000', 'aaaaaaaa-0000-4000-8000-0000000000b1', 'https://s3.example.org', 'eu', 'bucket', '', true, 'AKID',
            decode(repeat('02', 64), 'hex'));
SELECT make_partitions(now() - interval '40 days', now());
INSERT INTO recording (company_id, id, device_id, hostname, reason, outputs, started_at, created_at)
    SELECT 'aaaaaaaa-0000-4000-8000-000000000000', i, 'aaaaaaaa-0000-4000-8000-0000000000d1', 'pc-1', 'policy', '[]', at, at
    FROM (VALUES ('aaaaaaaa-0000-4000-8000-0000000000e1'::uuid, now()), ('aaaaaaaa-0000-4000-8000-0000000000e2', now() - interval '35 days')) AS r (i, at);

CREATE FUNCTION pg_temp.put(sequence integer DEFAULT 0, previous text DEFAULT NULL, key text DEFAULT 'key', sha text DEFAULT repeat('aa', 32),
                            md5 text DEFAULT repeat('bb', 16), size integer DEFAULT 1, frames integer DEFAULT 0, said text DEFAULT NULL)
    RETURNS void LANGUAGE sql AS $$
    INSERT INTO streamsight.segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256, previous_sha256, md5,
                                     size, frames, started_at, ended_at, statement)
        VALUES ('aaaaaaaa-0000-4000-8000-000000000000', gen_random_uuid(), now(), sequence, gen_random_uuid(), key, decode(sha, 'hex'),
                decode(previous, 'hex'), decode(md5, 'hex'), size, frames, now(), now(), said)
$$;
SELECT lives_ok($$SELECT pg_temp.put($$ || good || ')', 'a segment''s row: ' || good) FROM unnest(array[
    '', 'size => 16777216', 'sequence => 99999999, previous => repeat(''cc'', 32)', 'said => repeat(''x'', 1023)', 'key => repeat(''k'', 1024)']) AS good;
SELECT throws_ok($$SELECT pg_temp.put($$ || bad || ')', '23514', NULL, 'no segment''s row: ' || bad) FROM unnest(array[
    'sequence => -1, previous => repeat(''cc'', 32)', 'sequence => 100000000, previous => repeat(''cc'', 32)', 'sequence => 1',
    'previous => repeat(''cc'', 32)', 'sequence => 1, previous => repeat(''cc'', 31)', 'key => repeat(''k'', 1025)', 'sha => repeat(''aa'', 33)',
    'md5 => repeat(''bb'', 15)', 'size => 0', 'size => 16777217', 'frames => -1', 'said => repeat(''x'', 1024)']) AS bad;

CREATE FUNCTION pg_temp.offer(token text, recording text, seq integer) RETURNS text LANGUAGE sql AS $$
    SELECT object_key FROM api.offer_signed_segment(token, ('aaaaaaaa-0000-4000-8000-0000000000' || recording)::uuid, seq, sha256(int4send(seq)),
        CASE WHEN seq > 0 THEN sha256(int4send(seq - 1)) END, decode(repeat('bb', 16), 'hex'), 1, now(), now(), 1,
        CASE token WHEN 'pc-1' THEN 'aaaaaaaa-0000-4000-8000-0000000000d1'::uuid ELSE 'aaaaaaaa-0000-4000-8000-0000000000d2' END,
        decode(repeat(CASE token WHEN 'pc-1' THEN '04' ELSE '05' END, 65), 'hex'), 'said')
$$;
SELECT matches(pg_temp.offer('pc-1', r, 0), '/aaaaaaaa-0000-4000-8000-0000000000d1/aaaaaaaa-0000-4000-8000-0000000000' || r || '/00000000-',
               'a recording ' || w) FROM (VALUES ('e1', 'of today'), ('e2', 'begun weeks ago')) AS which (r, w);
SELECT is((SELECT count(*) FROM segment WHERE recording_id::text LIKE 'aaaaaaaa-%e_'), 2::bigint, 'each has its segment');
SELECT matches(pg_temp.offer('pc-1', 'e1', 0), '/00000000-', 'again, it is the same');
SELECT is((SELECT count(*) FROM segment WHERE recording_id::text LIKE 'aaaaaaaa-%e_'), 2::bigint, 'and no second row');
SELECT throws_ok(format('SELECT pg_temp.offer(%L, %L, 0)', t, r), 'SS031', 'recording_unknown', w)
    FROM (VALUES ('pc-2', 'e1', 'another device''s of today'), ('pc-2', 'e2', 'another device''s of then'), ('pc-1', 'e3', 'nobody''s')) AS which (t, r, w);
UPDATE recording SET finished_at = now(), ended_at = now(), end_reason = 'stopped', segments = 1;
SELECT throws_ok(format('SELECT pg_temp.offer(%L, %L, 1)', 'pc-1', r), 'SS032', 'recording_finished', 'finished: ' || r) FROM unnest(array['e1', 'e2']) AS r;
SELECT matches(pg_temp.offer('pc-1', 'e1', 0), '/00000000-', 'what it has is offered still');
SELECT is(substr(id::text, 15, 1) || ' ' || (abs(('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint
          - extract(epoch FROM clock_timestamp()) * 1000) < 600000), '7 true', 'its id is of version 7 and of now')
    FROM segment WHERE recording_id = 'aaaaaaaa-0000-4000-8000-0000000000e1';

-- Announced together: who is as usual has a row, and others have none and nothing done. f1 and f4 are pc-1's, f2 is pc-2's, f3 is of the other
-- company's pc-3.
INSERT INTO device (company_id, id, hostname, public_key)
    VALUES ('bbbbbbbb-0000-4000-8000-000000000000', 'aaaaaaaa-0000-4000-8000-0000000000d3', 'pc-3', decode(repeat('06', 65), 'hex'));
INSERT INTO device_token VALUES (sha256('pc-3'), 'bbbbbbbb-0000-4000-8000-000000000000', 'aaaaaaaa-0000-4000-8000-0000000000d3', now() + interval '1 h'),
    (sha256('old'), 'aaaaaaaa-0000-4000-8000-000000000000', 'aaaaaaaa-0000-4000-8000-0000000000d1', now());
INSERT INTO recording (company_id, id, device_id, hostname, reason, outputs, started_at)
    SELECT d.company_id, ('aaaaaaaa-0000-4000-8000-0000000000f' || n)::uuid, d.id, d.hostname, 'policy', '[]', now()
    FROM device d JOIN (VALUES (1, 'pc-1'), (2, 'pc-2'), (3, 'pc-3'), (4, 'pc-1')) AS v (n, h) ON h = d.hostname;
INSERT INTO live_recording (company_id, id, device_id, created_at)
    SELECT company_id, id, device_id, created_at FROM recording WHERE id::text LIKE 'aaaaaaaa-%f_';
CREATE FUNCTION pg_temp.together(VARIADIC said text[]) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(place || ' ' || right(object_key, 78), ', ' ORDER BY place) FROM (SELECT
        array_agg(w[1] ORDER BY n) AS t, array_agg(('aaaaaaaa-0000-4000-8000-0000000000' || w[2])::uuid ORDER BY n) AS r, array_agg(w[3]::integer ORDER BY n) AS s,
        array_agg(sha256(int4send(w[3]::integer)) ORDER BY n) AS h, array_agg(CASE WHEN w[3] <> '0' THEN sha256(int4send(w[3]::integer - 1)) END ORDER BY n) AS p,
        array_agg(('aaaaaaaa-0000-4000-8000-0000000000' || w[4])::uuid ORDER BY n) AS d, array_agg(decode(repeat(w[5], 65), 'hex') ORDER BY n) AS k,
        array_agg(decode(repeat('bb', 16), 'hex')) AS m, array_agg(1) AS one, array_agg(now()) AS at, array_agg('said ' || w[2] ORDER BY n) AS said
        FROM unnest(said) WITH ORDINALITY AS u (words, n), string_to_array(words, ' ') AS w) AS a,
        api.offer_signed_segments(a.t, a.r, a.s, a.h, a.p, a.m, a.one, a.at, a.at, a.one, a.d, a.k, a.said)
$$;
CREATE FUNCTION pg_temp.key(seq integer) RETURNS text LANGUAGE sql AS $$ SELECT '/' || lpad(seq::text, 8, '0') || '-' || encode(sha256(int4send(seq)), 'hex') || '.sss' $$;
SELECT is(pg_temp.together('pc-1 f1 0 d1 04', 'pc-2 f2 0 d2 05'), '0 ' || pg_temp.key(0) || ', 1 ' || pg_temp.key(0), 'two of one company');
SELECT results_eq($$SELECT right(recording_id::text, 2), sequence, statement, company_id::text FROM segment WHERE recording_id::text LIKE 'aaaaaaaa-%f_' ORDER BY 1$$,
                  $$VALUES ('f1', 0, 'said f1', 'aaaaaaaa-0000-4000-8000-000000000000'), ('f2', 0, 'said f2', 'aaaaaaaa-0000-4000-8000-000000000000')$$, 'are entered');
SELECT is(pg_temp.together('pc-1 f1 0 d1 04', 'pc-2 f2 0 d2 05'), NULL, 'again, they are not the next ones');
SELECT is(pg_temp.together(other, 'pc-2 f2 2 d2 05'), NULL, 'not as usual: ' || other) FROM unnest(array['nobody f1 1 d1 04', 'old f1 1 d1 04', 'pc-2 f1 1 d2 05',
    'pc-2 f1 1 d1 04', 'pc-1 f1 1 d2 05', 'pc-1 f1 1 d1 09', 'pc-1 f1 2 d1 04', 'pc-1 f3 0 d1 04', 'pc-1 f9 0 d1 04', 'pc-1 e1 1 d1 04']) AS other;
SELECT is(pg_temp.together('pc-3 f3 0 d3 06'), NULL, 'a company without a bucket');
INSERT INTO bucket (company_id, id, endpoint, region, bucket, prefix, path_style, access_key_id, secret)
    VALUES ('bbbbbbbb-0000-4000-8000-000000000000', 'aaaaaaaa-0000-4000-8000-0000000000b2', 'https://s3.example.org', 'eu', 'other', '', true, 'AKID2',
            decode(repeat('02', 64), 'hex'));
SELECT is(pg_temp.together('pc-1 f1 1 d1 04', 'pc-1 f1 1 d1 04', 'nobody f2 1 d2 05', 'pc-3 f3 0 d3 06', 'pc-1 f4 0 d1 04'),
          '0 ' || pg_temp.key(1) || ', 4 ' || pg_temp.key(0), 'each once, and none who is alone of a company');
SELECT is(pg_temp.together('pc-3 f3 0 d3 06'), '0 ' || pg_temp.key(0), 'but alone');
SELECT is((SELECT company_id || ' ' || bucket_id FROM segment WHERE recording_id::text LIKE '%f3'),
          'bbbbbbbb-0000-4000-8000-000000000000 aaaaaaaa-0000-4000-8000-0000000000b2', 'in its own company');
UPDATE device SET revoked_at = now() WHERE hostname = 'pc-2';
SELECT is(pg_temp.together('pc-1 f4 1 d1 04', 'pc-2 f2 1 d2 05'), '0 ' || pg_temp.key(1), 'nothing of one that is revoked');
UPDATE device SET revoked_at = NULL WHERE hostname = 'pc-2';
SELECT results_eq($$SELECT right(id::text, 2), sequence FROM live_recording WHERE id::text LIKE 'aaaaaaaa-%f_' ORDER BY 1$$,
                  $$VALUES ('f1', 1), ('f2', 0), ('f3', 0), ('f4', 1)$$, 'how far each is');

-- What apid's role has: nothing but EXECUTE
SELECT table_privs_are('streamsight', c.relname, 'streamsight_apid', '{}'::text[], 'nothing of ' || c.relname)
    FROM pg_class c WHERE c.relnamespace = 'streamsight'::regnamespace AND c.relkind IN ('r', 'p');
SELECT schema_privs_are('streamsight', 'streamsight_apid', '{}'::text[]);
SELECT schema_privs_are('api', 'streamsight_apid', '{USAGE}'::text[]);
SELECT ok('search_path=pg_catalog, streamsight, pg_temp' = ANY (p.proconfig), p.proname || ' has a search path of its own')
    FROM pg_proc p WHERE p.pronamespace = 'api'::regnamespace;

SELECT * FROM finish();
ROLLBACK;
