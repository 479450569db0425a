-- SPDX-License-Identifier: Apache-2.0
-- What people manage, continued: workstations, codes to enrol them with, what is recorded, where to.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE OR REPLACE FUNCTION device_json(d device) RETURNS json LANGUAGE sql STABLE
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT json_build_object('id', d.id, 'hostname', d.hostname, 'employee_id', d.employee_id,
                             'employee', (SELECT e.name FROM employee e WHERE e.company_id = d.company_id AND e.id = d.employee_id),
                             'created_at', rfc3339(d.created_at), 'key_changed_at', rfc3339(d.key_changed_at),
                             'revoked_at', rfc3339(d.revoked_at))
$$;

CREATE OR REPLACE FUNCTION find_device(caller account, wanted uuid) RETURNS device LANGUAGE plpgsql AS $$
DECLARE
    found device;
BEGIN
    SELECT d.* INTO found FROM device d WHERE d.company_id = caller.company_id AND d.id = wanted;
    IF found.id IS NULL THEN
        PERFORM fail('SS056', 'device_unknown');
    END IF;
    RETURN found;
END
$$;

-- GET /v1/devices
CREATE OR REPLACE FUNCTION api.list_devices(token text, of_employee uuid, after_id uuid, page_size integer) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    shown   integer := coalesce(page_size, 100);
BEGIN
    RETURN page_json('devices', ARRAY(
        SELECT device_json(d) FROM device d
        WHERE d.company_id = caller.company_id AND (of_employee IS NULL OR d.employee_id = of_employee)
            AND (after_id IS NULL OR d.id > after_id)
        ORDER BY d.id LIMIT shown + 1), shown);
END
$$;

-- GET /v1/devices/{id}
CREATE OR REPLACE FUNCTION api.show_device(token text, wanted uuid) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin');
BEGIN
    RETURN device_json(find_device(caller, wanted));
END
$$;

-- PUT /v1/devices/{id}/employee: whom the recordings that begin from now on are of; null: nobody in particular.
CREATE OR REPLACE FUNCTION api.assign_device(token text, wanted uuid, employee uuid, client_address text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller    account := enter_user(token, 'owner', 'admin');
    found     device := find_device(caller, wanted);
    assigned  employee;
BEGIN
    IF employee IS NOT NULL THEN
        assigned := find_employee(caller, employee);
    END IF;
    UPDATE device d SET employee_id = assigned.id WHERE d.company_id = caller.company_id AND d.id = found.id
        RETURNING d.* INTO found;
    PERFORM note(caller.company_id, 'user', caller.id, 'device.assign', found.id, client_address,
                 jsonb_build_object('employee', assigned.id));
    RETURN device_json(found);
END
$$;

-- POST /v1/devices/{id}/revoke. At once and for good; its tokens end with it.
CREATE OR REPLACE FUNCTION api.revoke_device(token text, wanted uuid, client_address text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    found   device := find_device(caller, wanted);
BEGIN
    IF found.revoked_at IS NULL THEN
        UPDATE device d SET revoked_at = now() WHERE d.company_id = caller.company_id AND d.id = found.id RETURNING d.* INTO found;
        PERFORM note(caller.company_id, 'user', caller.id, 'device.revoke', found.id, client_address);
    END IF;
    RETURN device_json(found);
END
$$;

-- GET /v1/devices/{id}/diagnostics, the newest first.
CREATE OR REPLACE FUNCTION api.list_diagnostics(token text, wanted uuid) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    found   device := find_device(caller, wanted);
BEGIN
    RETURN json_build_object('reports', (
        SELECT coalesce(json_agg(json_build_object('received_at', rfc3339(g.received_at), 'report', g.report)
                                 ORDER BY g.received_at DESC), '[]')
        FROM diagnostic g WHERE g.company_id = found.company_id AND g.device_id = found.id));
END
$$;

CREATE OR REPLACE FUNCTION code_json(c enrolment_code) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', c.id, 'employee_id', c.employee_id, 'created_at', streamsight.rfc3339(c.created_at),
                             'expires_at', streamsight.rfc3339(c.expires_at), 'used_at', streamsight.rfc3339(c.used_at),
                             'withdrawn_at', streamsight.rfc3339(c.withdrawn_at), 'device_id', c.device_id)
$$;

-- GET /v1/enrolment-codes
CREATE OR REPLACE FUNCTION api.list_enrolment_codes(token text, after_id uuid, page_size integer) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    shown   integer := coalesce(page_size, 100);
BEGIN
    RETURN page_json('enrolment_codes', ARRAY(
        SELECT code_json(c) FROM enrolment_code c
        WHERE c.company_id = caller.company_id AND (after_id IS NULL OR c.id > after_id)
        ORDER BY c.id LIMIT shown + 1), shown);
END
$$;

-- POST /v1/enrolment-codes. code: without its dashes.
CREATE OR REPLACE FUNCTION api.create_enrolment_code(token text, employee uuid, lifetime integer, code text, client_address text, key bytea,
                                                     request bytea, nonce bytea DEFAULT NULL) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    answer  json := repeated(caller, key, request);
    bound   employee;
    made    enrolment_code;
BEGIN
    IF answer IS NOT NULL THEN
        RETURN answer;
    ELSIF length(code) < 20 THEN
        RAISE EXCEPTION 'code too weak' USING ERRCODE = 'SS901';
    END IF;
    IF employee IS NOT NULL THEN
        bound := find_employee(caller, employee);
    END IF;
    INSERT INTO enrolment_code (code_sha256, company_id, employee_id, expires_at)
        VALUES (token_hash(code), caller.company_id, bound.id, now() + coalesce(lifetime, 86400) * interval '1 second')
        RETURNING * INTO made;
    PERFORM note(caller.company_id, 'user', caller.id, 'enrolment_code.create', made.id, client_address,
                 jsonb_build_object('expires_at', rfc3339(made.expires_at)));
    RETURN remember(caller, key, request, code_json(made), nonce);
END
$$;

-- DELETE /v1/enrolment-codes/{id}: not to be used any more.
CREATE OR REPLACE FUNCTION api.withdraw_enrolment_code(token text, wanted uuid, client_address text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    found   enrolment_code;
BEGIN
    SELECT c.* INTO found FROM enrolment_code c WHERE c.company_id = caller.company_id AND c.id = wanted FOR UPDATE;
    IF found.id IS NULL THEN
        PERFORM fail('SS057', 'enrolment_code_unknown');
    ELSIF found.withdrawn_at IS NULL THEN
        UPDATE enrolment_code c SET withdrawn_at = now(), expires_at = least(c.expires_at, now())
            WHERE c.company_id = caller.company_id AND c.id = wanted;
        PERFORM note(caller.company_id, 'user', caller.id, 'enrolment_code.withdraw', wanted, client_address);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION policy_json(p policy) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('revision', p.revision, 'recording', p.recording, 'frames_per_second', p.frames_per_second,
                             'jpeg_quality', p.jpeg_quality, 'segment_seconds', p.segment_seconds, 'segment_bytes', p.segment_bytes,
                             'bytes_per_minute', p.bytes_per_minute, 'cpu_ms_per_second', p.cpu_ms_per_second,
                             'pause_seconds', coalesce(p.pause_seconds, 0), 'record_locked', p.record_locked,
                             'changed_at', streamsight.rfc3339(p.changed_at), 'changed_by', p.changed_by)
$$;

-- GET /v1/policies: the revisions, the one in force first.
CREATE OR REPLACE FUNCTION api.list_policies(token text, before_revision integer, page_size integer) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin', 'auditor');
    shown   integer := coalesce(page_size, 100);
    rows    json[] := ARRAY(SELECT policy_json(p) FROM policy p
                            WHERE p.company_id = caller.company_id AND (before_revision IS NULL OR p.revision < before_revision)
                            ORDER BY p.revision DESC LIMIT shown + 1);
BEGIN
    RETURN json_build_object('policies', coalesce(array_to_json(rows[1:shown]), '[]'),
                             'next', CASE WHEN cardinality(rows) > shown THEN (rows[shown] ->> 'revision')::integer END);
END
$$;

-- POST /v1/policies: another revision, made from the one that the caller has seen. Null: as it was there. Of a ceiling, 0 takes it away.
CREATE OR REPLACE FUNCTION api.create_policy(token text, seen integer, how text, rate integer, quality integer, seconds integer,
                                             bytes integer, minute_bytes bigint, cpu_ms integer, pause integer, locked boolean,
                                             client_address text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    latest  policy;
BEGIN
    PERFORM FROM company c WHERE c.id = caller.company_id FOR NO KEY UPDATE;
    SELECT p.* INTO STRICT latest FROM policy p WHERE p.company_id = caller.company_id ORDER BY p.revision DESC LIMIT 1;
    IF latest.revision <> seen THEN
        PERFORM fail('SS058', 'policy_conflict');
    ELSIF minute_bytes BETWEEN 1 AND 999999 THEN
        PERFORM fail('SS061', 'policy_invalid');
    END IF;
    INSERT INTO policy (company_id, revision, recording, frames_per_second, jpeg_quality, segment_seconds, segment_bytes,
                        bytes_per_minute, cpu_ms_per_second, pause_seconds, record_locked, changed_by)
        VALUES (caller.company_id, latest.revision + 1, coalesce(how, latest.recording), coalesce(rate, latest.frames_per_second),
                coalesce(quality, latest.jpeg_quality), coalesce(seconds, latest.segment_seconds),
                coalesce(bytes, latest.segment_bytes), nullif(coalesce(minute_bytes, latest.bytes_per_minute), 0),
                nullif(coalesce(cpu_ms, latest.cpu_ms_per_second), 0), coalesce(pause, latest.pause_seconds),
                coalesce(locked, latest.record_locked), caller.id) RETURNING * INTO latest;
    PERFORM note(caller.company_id, 'user', caller.id, 'policy.set', caller.company_id, client_address,
                 jsonb_build_object('revision', latest.revision));
    RETURN policy_json(latest);
END
$$;

CREATE OR REPLACE FUNCTION bucket_json(b bucket) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', b.id, 'endpoint', b.endpoint, 'region', b.region, 'bucket', b.bucket, 'prefix', b.prefix,
                             'path_style', b.path_style, 'sse', b.sse, 'sse_kms_key_id', b.sse_kms_key_id,
                             'access_key_id', b.access_key_id, 'current', b.current,
                             'created_at', streamsight.rfc3339(b.created_at))
$$;

-- The id of a place: that of the row which is there, else one that follows from the place itself, so that two who name it at once
-- mean one row.
CREATE OR REPLACE FUNCTION place_id(company uuid, endpoint text, region text, bucket text, prefix text, path_style boolean, sse text,
                                    sse_kms_key_id text) RETURNS uuid LANGUAGE sql STABLE
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT coalesce((SELECT b.id FROM bucket b WHERE b.company_id = $1 AND b.endpoint = $2 AND b.region = $3 AND b.bucket = $4
                     AND b.prefix = $5 AND b.path_style = $6 AND b.sse IS NOT DISTINCT FROM $7 AND b.sse_kms_key_id IS NOT DISTINCT FROM $8
                     ORDER BY b.created_at LIMIT 1),
                    substr(encode(sha256(convert_to(json_build_array($1, $2, $3, $4, $5, $6, $7, $8)::text, 'UTF8')), 'hex'), 1, 32)::uuid)
$$;

-- GET /v1/buckets. The secret key is shown to nobody.
CREATE OR REPLACE FUNCTION api.list_buckets(token text, after_id uuid, page_size integer) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    shown   integer := coalesce(page_size, 100);
BEGIN
    RETURN page_json('buckets', ARRAY(
        SELECT bucket_json(b) FROM bucket b
        WHERE b.company_id = caller.company_id AND (after_id IS NULL OR b.id > after_id)
        ORDER BY b.id LIMIT shown + 1), shown);
END
$$;

-- For POST /v1/buckets: the id that this place has or would get, which apid binds the encrypted secret to.
CREATE OR REPLACE FUNCTION api.bucket_id(token text, endpoint text, region text, bucket text, prefix text, path_style boolean, sse text,
                                         sse_kms_key_id text) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin');
BEGIN
    RETURN place_id(caller.company_id, $2, $3, $4, coalesce($5, ''), $6, $7, $8);
END
$$;

-- POST /v1/buckets: where recordings go from now on. The same place again only gets another key.
CREATE OR REPLACE FUNCTION api.set_bucket(token text, wanted uuid, endpoint text, region text, bucket text, prefix text, path_style boolean,
                                          sse text, sse_kms_key_id text, access_key_id text, secret bytea, client_address text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    made    bucket;
BEGIN
    PERFORM FROM company c WHERE c.id = caller.company_id FOR NO KEY UPDATE;
    UPDATE bucket b SET current = false WHERE b.company_id = caller.company_id AND b.current;
    BEGIN
        INSERT INTO bucket (company_id, id, endpoint, region, bucket, prefix, path_style, sse, sse_kms_key_id, access_key_id, secret)
            VALUES (caller.company_id, $2, $3, $4, $5, coalesce($6, ''), $7, $8, $9, $10, $11)
            ON CONFLICT (company_id, id) DO UPDATE SET access_key_id = excluded.access_key_id, secret = excluded.secret, current = true
            RETURNING * INTO made;
    EXCEPTION WHEN check_violation THEN
        PERFORM fail('SS060', 'bucket_invalid');
    END;
    PERFORM note(caller.company_id, 'user', caller.id, 'bucket.set', made.id, client_address,
                 jsonb_build_object('endpoint', made.endpoint, 'bucket', made.bucket, 'prefix', made.prefix,
                                    'access_key_id', made.access_key_id));
    RETURN bucket_json(made);
END
$$;

RESET ROLE;
RESET search_path;
