-- SPDX-License-Identifier: Apache-2.0
-- The API's procedures of devices, recordings, segments and management, one by one (pgTAP). Run by test_pgtap.py in a database of its
-- own; nothing of it stays.
BEGIN;
SELECT no_plan();
SET search_path = streamsight, public, tap;

-- Two companies, each with an owner ('A', 'B'); in the first an admin ('D'), a manager ('M') and an auditor ('U'). Devices are 'da' and 'db'.
INSERT INTO company (id, name) VALUES ('aaaaaaaa-0000-4000-8000-000000000000', 'A'), ('bbbbbbbb-0000-4000-8000-000000000000', 'B');
INSERT INTO policy (company_id) SELECT id FROM company;
INSERT INTO account (company_id, id, email, email_sha256, name, role, state, password_salt, password_iterations, password_sha256,
                     totp_masked, totp_nonce)
    SELECT c::uuid, i::uuid, e, sha256(e::bytea), e, r, 'active', sha256('s'), 210000, sha256('p'), '12345678901234567890', substr(sha256('n'), 1, 16)
    FROM (VALUES ('aaaaaaaa-0000-4000-8000-000000000000', 'aaaaaaaa-0000-4000-8000-000000000001', 'a@example.org', 'owner'),
                 ('bbbbbbbb-0000-4000-8000-000000000000', 'bbbbbbbb-0000-4000-8000-000000000001', 'b@example.org', 'owner'),
                 ('aaaaaaaa-0000-4000-8000-000000000000', 'aaaaaaaa-0000-4000-8000-000000000002', 'm@example.org', 'manager'),
                 ('aaaaaaaa-0000-4000-8000-000000000000', 'aaaaaaaa-0000-4000-8000-000000000003', 'd@example.org', 'admin'),
                 ('aaaaaaaa-0000-4000-8000-000000000000', 'aaaaaaaa-0000-4000-8000-000000000004', 'u@example.org', 'auditor'))
        AS people (c, i, e, r);
INSERT INTO session (token_sha256, company_id, account_id, expires_at)
    SELECT sha256(upper(left(email, 1))::bytea), company_id, id, now() + interval '1 h' FROM account;
INSERT INTO enrolment_code (code_sha256, company_id, expires_at)
    SELECT sha256(code::bytea), company::uuid, now() + age FROM (VALUES
        ('CODEA', 'aaaaaaaa-0000-4000-8000-000000000000', interval '1 h'), ('CODEB', 'bbbbbbbb-0000-4000-8000-000000000000', '1 h'),
        ('LATE', 'aaaaaaaa-0000-4000-8000-000000000000', '-1 s')) AS codes (code, company, age);

-- A device joins
SELECT throws_ok($$SELECT * FROM api.enroll('NONE', decode(repeat('01', 65), 'hex'), 'pc', NULL)$$, 'SS010', 'enrolment_code_invalid', 'no code');
SELECT throws_ok($$SELECT * FROM api.enroll('LATE', decode(repeat('01', 65), 'hex'), 'pc', NULL)$$, 'SS010', 'enrolment_code_invalid', 'an old code');
SELECT device_id AS da FROM api.enroll('CODEA', decode(repeat('01', 65), 'hex'), 'pc-a', '192.0.2.1') \gset
SELECT device_id AS db FROM api.enroll('CODEB', decode(repeat('02', 65), 'hex'), 'pc-b', NULL) \gset
SELECT throws_ok($$SELECT * FROM api.enroll('CODEA', decode(repeat('04', 65), 'hex'), 'pc', NULL)$$, 'SS010', 'enrolment_code_invalid',
                 'a code is good once');
SELECT is(api.device_key(:'da'), decode(repeat('01', 65), 'hex'), 'its key verifies its assertions');
SELECT is((SELECT until FROM device_key WHERE device_id = :'da'), NULL, 'and is the present one');

-- Its tokens
SELECT isnt(api.issue_device_token(:'da', 'j1', now() + interval '1 min', repeat('d', 43), interval '10 min')::text, NULL, 'a token');
SELECT throws_ok(format($$SELECT api.issue_device_token(%L, 'j1', now() + interval '1 min', repeat('e', 43), interval '10 min')$$, :'da'), 'SS021',
                 'assertion_replayed', 'an assertion is good once');
INSERT INTO device_token SELECT sha256(t::bytea), d.company_id, d.id, now() + interval '10 min'
    FROM device d JOIN (VALUES ('pc-a', 'da'), ('pc-b', 'db')) AS v (h, t) ON v.h = d.hostname;
SELECT is(api.device_policy('da') ->> 'company', 'A', 'its policy is its company''s');
SELECT is(api.device_policy('da') ->> 'revision', '1', 'and the newest');
SELECT throws_ok($$SELECT api.device_policy('A')$$, 'SS001', 'token_invalid', 'a person is no device');
SELECT throws_ok($$SELECT api.list_devices('da', NULL, NULL, NULL)$$, 'SS001', 'token_invalid', 'nor a device a person');

-- Recordings
SELECT is(api.open_recording('da', 'aaaaaaaa-0000-4000-8000-0000000000a1', '2030-01-01Z', 'policy', 'pc-a', '[]'), true, 'a new one');
SELECT is(api.open_recording('da', 'aaaaaaaa-0000-4000-8000-0000000000a1', '2030-01-01Z', 'policy', 'pc-a', '[]'), false, 'the same again');
SELECT throws_ok($$SELECT api.open_recording('da', 'aaaaaaaa-0000-4000-8000-0000000000a1', '2030-01-02Z', 'policy', 'pc-a', '[]')$$, 'SS030',
                 'recording_conflict', 'another of that id');
SELECT is(api.open_recording('db', 'aaaaaaaa-0000-4000-8000-0000000000a1', '2030-01-02Z', 'manual', 'pc-b', '[]'), true,
          'another company''s ids are another''s');

-- Segments. offer(): a segment of two letters, signed by the device.
CREATE FUNCTION pg_temp.offer(token text, seq integer, content text, before text, signer uuid, key text DEFAULT '01') RETURNS text
    LANGUAGE sql AS $$
    SELECT object_key FROM api.offer_signed_segment(token, 'aaaaaaaa-0000-4000-8000-0000000000a1', seq, sha256(content::bytea),
        sha256(before::bytea), decode(repeat('00', 16), 'hex'), length(content), '2030-01-01Z', '2030-01-01Z', 1, signer,
        decode(repeat(key, 65), 'hex'), 'signed ' || content)
$$;
SELECT throws_ok(format($$SELECT pg_temp.offer('da', 0, 's0', NULL, %L)$$, :'da'), 'SS040', 'bucket_missing', 'nowhere to put it');
INSERT INTO bucket (company_id, id, endpoint, region, bucket, prefix, path_style, access_key_id, secret)
    SELECT id, id, 'https://s3.example.org', 'r', 'recordings', left(name, 1), true, 'K', '\x00' FROM company;
SELECT throws_ok(format($$SELECT pg_temp.offer('da', 0, 's0', NULL, %L, '09')$$, :'da'), 'SS046', 'statement_invalid', 'a key that is not its own');
SELECT throws_ok(format($$SELECT pg_temp.offer('da', 0, 's0', NULL, %L)$$, :'db'), 'SS046', 'statement_invalid', 'another''s statement');
SELECT throws_ok(format($$SELECT pg_temp.offer('da', 0, 's0', 'xx', %L)$$, :'da'), 'SS041', 'segment_chain_broken', 'nothing is before the first');
SELECT throws_ok(format($$SELECT pg_temp.offer('da', 1, 's1', NULL, %L)$$, :'da'), 'SS041', 'segment_chain_broken', 'something is before others');
SELECT is(pg_temp.offer('da', 0, 's0', NULL, :'da'), 'A/aaaaaaaa-0000-4000-8000-000000000000/' || :'da'
          || '/aaaaaaaa-0000-4000-8000-0000000000a1/00000000-' || encode(sha256('s0'), 'hex') || '.sss', 'the first has its place');
SELECT throws_ok(format($$SELECT pg_temp.offer('da', 1, 's1', 'xx', %L)$$, :'da'), 'SS041', 'segment_chain_broken', 'the second names the first');
SELECT throws_ok(format($$SELECT pg_temp.offer('da', 0, 'xx', NULL, %L)$$, :'da'), 'SS042', 'segment_conflict', 'there is one first only');
SELECT is(pg_temp.offer('da', 0, 's0', NULL, :'da'), pg_temp.offer('da', 0, 's0', NULL, :'da'), 'the same again is the same');
SELECT isnt(pg_temp.offer('da', 1, 's1', 's0', :'da'), NULL, 'the second');
SELECT throws_ok($$SELECT api.complete_segment('da', 'aaaaaaaa-0000-4000-8000-0000000000a1', 2, sha256('s2'))$$, 'SS044', 'segment_unknown', 'none');
SELECT throws_ok($$SELECT api.complete_segment('da', 'aaaaaaaa-0000-4000-8000-0000000000a1', 0, sha256('xx'))$$, 'SS042', 'segment_conflict',
                 'another body');
SELECT throws_ok($$SELECT api.complete_segment('db', 'aaaaaaaa-0000-4000-8000-0000000000a1', 0, sha256('s0'))$$, 'SS044', 'segment_unknown',
                 'another company''s');
SELECT lives_ok($$SELECT api.complete_segment('da', 'aaaaaaaa-0000-4000-8000-0000000000a1', 0, sha256('s0'))$$, 'it is there');
SELECT lives_ok($$SELECT api.complete_segment('da', 'aaaaaaaa-0000-4000-8000-0000000000a1', 0, sha256('s0'))$$, 'and once more');
SELECT throws_ok(format($$SELECT pg_temp.offer('da', 0, 's0', NULL, %L)$$, :'da'), 'SS043', 'segment_complete', 'no URL for what is there');

-- The end of a recording
CREATE FUNCTION pg_temp.finish(token text, n integer, why text, signer uuid) RETURNS text LANGUAGE sql AS $$
    SELECT api.finish_signed_recording(token, 'aaaaaaaa-0000-4000-8000-0000000000a1', n, '2030-01-01 01:00Z', why, signer,
                                       decode(repeat('01', 65), 'hex'), 'signed')::text
$$;
SELECT is(pg_temp.finish('da', 3, 'stopped', :'da')::jsonb, '[1, 2]', 'not before all is there');
SELECT throws_ok(format($$SELECT pg_temp.finish('da', 1, 'stopped', %L)$$, :'da'), 'SS033', 'segments_beyond_end', 'not with fewer than announced');
SELECT throws_ok(format($$SELECT pg_temp.finish('da', 2, 'stopped', %L)$$, :'db'), 'SS046', 'statement_invalid', 'not with another''s statement');
SELECT lives_ok($$SELECT api.complete_segment('da', 'aaaaaaaa-0000-4000-8000-0000000000a1', 1, sha256('s1'))$$, 'the second is there');
SELECT is(pg_temp.finish('da', 2, 'stopped', :'da'), '[]', 'it ends');
SELECT is(pg_temp.finish('da', 2, 'stopped', :'da'), '[]', 'and says so again');
SELECT throws_ok(format($$SELECT pg_temp.finish('da', 2, 'interrupted', %L)$$, :'da'), 'SS032', 'recording_finished', 'but ends once');
SELECT throws_ok(format($$SELECT pg_temp.offer('da', 2, 's2', 's1', %L)$$, :'da'), 'SS032', 'recording_finished', 'nothing comes after the end');

-- Who looks
SELECT is(json_array_length(api.list_recordings(token, NULL, NULL, NULL, NULL, NULL, NULL, 10) -> 'recordings'), n, 'recordings that ' || token || ' sees')
    FROM (VALUES ('A', 1), ('B', 1), ('M', 0)) AS v (token, n);
SELECT throws_ok(format($$SELECT api.list_recordings(%L, NULL, NULL, NULL, NULL, NULL, NULL, 10)$$, token), 'SS004', 'role_insufficient', token || ' does not look')
    FROM unnest(array['D', 'U']) AS token;
SELECT id AS segment FROM segment WHERE company_id = 'aaaaaaaa-0000-4000-8000-000000000000' AND sequence = 0 \gset
SELECT throws_ok(format($$SELECT api.view_segment(%L, %L, NULL)$$, token, :'segment'), 'SS044', 'segment_unknown', 'unknown to ' || token)
    FROM unnest(array['B', 'M']) AS token;
SELECT is((api.view_segment('A', :'segment', '192.0.2.1')).access_key_id, 'K', 'its owner may');
SELECT results_eq($$SELECT account_id, address FROM viewing$$,
                  $$VALUES ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, '192.0.2.1')$$, 'and is written down');

-- Employees and whom a manager sees
SELECT throws_ok($$SELECT api.create_employee('M', 'Ada', NULL, NULL, NULL, NULL)$$, 'SS004', 'role_insufficient', 'a manager makes none');
SELECT api.create_employee('D', 'Ada', 'P1', NULL, sha256('k'), sha256('r')) ->> 'id' AS employee \gset
SELECT is(api.create_employee('D', 'Ada', 'P1', NULL, sha256('k'), sha256('r')) ->> 'id', :'employee', 'a repetition is the same');
SELECT throws_ok($$SELECT api.create_employee('D', 'Eve', NULL, NULL, sha256('k'), sha256('s'))$$, 'SS070', 'idempotency_key_reused', 'its key no other''s');
SELECT is(api.create_employee('A', 'Eve', NULL, NULL, sha256('k'), sha256('s')) ->> 'name', 'Eve', 'but for somebody else');
SELECT lives_ok(format($$SELECT api.assign_device('D', %L, %L, NULL)$$, :'da', :'employee'), 'the device is hers');
SELECT throws_ok(format($$SELECT api.assign_device('B', %L, NULL, NULL)$$, :'da'), 'SS056', 'device_unknown', 'another company''s device');
SELECT lives_ok(format($$SELECT api.assign('A', 'aaaaaaaa-0000-4000-8000-000000000002', %L, NULL)$$, :'employee'), 'the manager may look at her');
SELECT is(api.open_recording('da', 'aaaaaaaa-0000-4000-8000-0000000000a2', '2030-01-02Z', 'policy', 'pc-a', '[]'), true, 'from now on');
SELECT is(api.list_recordings('M', NULL, NULL, NULL, NULL, NULL, NULL, 10) #>> '{recordings,0,id}', 'aaaaaaaa-0000-4000-8000-0000000000a2', 'hers is seen');
SELECT is(json_array_length(api.list_recordings('M', NULL, NULL, NULL, NULL, NULL, NULL, 10) -> 'recordings'), 1, 'and what was before is not');
SELECT lives_ok(format($$SELECT api.unassign('A', 'aaaaaaaa-0000-4000-8000-000000000002', %L, NULL)$$, :'employee'), 'no more');
SELECT is(json_array_length(api.list_recordings('M', NULL, NULL, NULL, NULL, NULL, NULL, 10) -> 'recordings'), 0, 'nothing is seen');

-- Recordings of a time: those that overlap it; one that has not ended goes on for ever. a1 is of 0:00 to 1:00, a2 begins a day later.
SELECT is((SELECT string_agg(right(r ->> 'id', 2), ' ') FROM json_array_elements(api.list_recordings('A', NULL, NULL, since, before, NULL, NULL, 10)
           -> 'recordings') AS r), found, coalesce(since::text, '') || ' to ' || coalesce(before::text, ''))
    FROM (VALUES (NULL::timestamptz, NULL::timestamptz, 'a2 a1'), ('2030-01-01 01:00Z', NULL, 'a2 a1'), ('2030-01-01 01:00:00.000001Z', NULL, 'a2'),
                 (NULL, '2030-01-01Z', NULL), (NULL, '2030-01-01 00:00:00.000001Z', 'a1'), (NULL, '2030-01-02Z', 'a1'),
                 ('2040-01-01Z', NULL, 'a2'), ('2030-01-01 00:30Z', '2030-01-01 00:40Z', 'a1')) AS v (since, before, found);

-- Users: who may make and change whom
SELECT throws_ok(format($$SELECT api.create_user('D', 'x@example.org', 'X', %L, repeat('I', 24), NULL, NULL, NULL)$$, role), 'SS004', 'role_insufficient',
                 'an admin makes no ' || role) FROM unnest(array['owner', 'admin']) AS role;
SELECT api.create_user('D', 'X@Example.org', 'X', 'manager', repeat('I', 24), NULL, NULL, NULL) #>> '{user,id}' AS made \gset
SELECT is((SELECT email || ' ' || state FROM account WHERE id = :'made'), 'x@example.org invited', 'but a manager');
SELECT throws_ok($$SELECT api.create_user('B', 'x@example.org', 'X', 'manager', repeat('J', 24), NULL, NULL, NULL)$$, 'SS051', 'user_exists', 'an address is one user''s');
SELECT throws_ok($$SELECT api.change_user('D', 'aaaaaaaa-0000-4000-8000-000000000001', NULL, 'auditor', NULL, NULL)$$, 'SS004', NULL,
                 'an admin changes no owner');
SELECT throws_ok(format($$SELECT api.show_user('B', %L)$$, :'made'), 'SS050', 'user_unknown', 'of another company');
SELECT lives_ok($$SELECT api.change_user('A', 'aaaaaaaa-0000-4000-8000-000000000002', NULL, NULL, 'disabled', NULL)$$, 'the manager is disabled');
SELECT throws_ok($$SELECT api.session('M')$$, 'SS001', 'token_invalid', 'at once');
SELECT throws_ok($$SELECT api.change_user('A', 'aaaaaaaa-0000-4000-8000-000000000001', NULL, 'auditor', NULL, NULL)$$, 'SS052', 'last_owner', 'the last owner stays one');

-- Policies: revisions, of which the newest counts
SELECT throws_ok($$SELECT api.create_policy('A', 0, 'off', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)$$, 'SS058', 'policy_conflict',
                 'not over one that was not seen');
SELECT is(api.create_policy('A', 1, 'manual', 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ->> 'revision', '2', 'another revision');
SELECT is(api.device_policy('da') ->> 'recording', 'manual', 'goes to the devices');
SELECT is(api.device_policy('da') ->> 'jpeg_quality', '85', 'with what it leaves as it was');
SELECT is(api.device_policy('db') ->> 'revision', '1', 'of its own company');

-- Enrolment codes
SELECT throws_ok($$SELECT api.create_enrolment_code('D', NULL, NULL, 'SHORT', NULL, NULL, NULL)$$, 'SS901', NULL, 'none that can be guessed');
SELECT api.create_enrolment_code('D', :'employee', NULL, repeat('C', 20), NULL, NULL, NULL) ->> 'id' AS code \gset
SELECT throws_ok(format($$SELECT api.withdraw_enrolment_code('B', %L, NULL)$$, :'code'), 'SS057', 'enrolment_code_unknown', 'another company''s');
SELECT device_id AS dc FROM api.enroll(repeat('C', 20), decode(repeat('05', 65), 'hex'), 'pc-c', NULL) \gset
SELECT is((SELECT employee_id::text FROM device WHERE id = :'dc'), :'employee', 'whoever joins with it is hers');

-- Keys and leaving
CREATE FUNCTION pg_temp.change_key(key text, present text) RETURNS void LANGUAGE sql AS $$
    SELECT api.change_device_key('da', decode(repeat(key, 65), 'hex'), decode(repeat(present, 65), 'hex'), NULL)
$$;
SELECT throws_ok($$SELECT pg_temp.change_key('05', '01')$$, 'SS011', 'device_key_known', 'no other''s key');
SELECT throws_ok($$SELECT pg_temp.change_key('06', '05')$$, 'SS011', 'device_key_known', 'not over one that was not seen');
SELECT lives_ok($$SELECT pg_temp.change_key('06', '01')$$, 'another key');
SELECT lives_ok($$SELECT pg_temp.change_key('06', '01')$$, 'the same again');
SELECT throws_ok($$SELECT pg_temp.change_key('01', '06')$$, 'SS011', 'device_key_known', 'none comes back');
SELECT throws_ok(format($$SELECT api.offer_signed_segment('da', 'aaaaaaaa-0000-4000-8000-0000000000a2', 0, sha256('z'), NULL, decode(repeat('00', 16), 'hex'),
                          1, now(), now(), 1, %L, decode(repeat('05', 65), 'hex'), 's')$$, :'da'), 'SS046', 'statement_invalid', 'another''s signs nothing');
SELECT lives_ok($$SELECT api.leave_device('db', NULL)$$, 'a device leaves');
SELECT throws_ok($$SELECT api.device_policy('db')$$, 'SS003', 'device_revoked', 'at once');
SELECT lives_ok(format($$SELECT api.revoke_device('A', %L, NULL)$$, :'da'), 'another is revoked');
SELECT throws_ok($$SELECT api.open_recording('da', gen_random_uuid(), now(), 'policy', 'pc', '[]')$$, 'SS003', 'device_revoked', 'at once');

-- All that was changed is in the trail, and who did it
SELECT ok(EXISTS (SELECT FROM audit WHERE company_id = 'aaaaaaaa-0000-4000-8000-000000000000' AND actor = who AND action = what),
          what || ' is in the trail')
    FROM (VALUES ('device', 'device.enroll'), ('user', 'segment.view'), ('user', 'employee.create'), ('user', 'device.assign'), ('user', 'user.create'),
                 ('user', 'user.change'), ('user', 'policy.set'), ('user', 'enrolment_code.create'), ('user', 'device.revoke')) AS v (who, what);
SELECT is((SELECT count(*) FROM audit WHERE company_id = 'aaaaaaaa-0000-4000-8000-000000000000' AND action = 'employee.create'), 2::bigint,
          'a repetition is not');
SELECT is(json_array_length(api.list_audit('U', NULL, NULL, 'employee.create', NULL, NULL, 10) -> 'audit'), 2, 'an auditor reads it');

SELECT * FROM finish();
ROLLBACK;
