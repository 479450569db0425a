-- SPDX-License-Identifier: Apache-2.0
-- What people manage, continued: workstations, codes to enrol them with, what is recorded, where to; and the trail of it all.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE FUNCTION device_json(d device) RETURNS json LANGUAGE sql STABLE
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT json_build_object('id', d.id, 'hostname', d.hostname, 'employee_id', d.employee_id,
                             'employee', (SELECT e.name FROM employee e WHERE e.company_id = d.company_id AND e.id = d.employee_id),
                             'created_at', rfc3339(d.created_at), 'key_changed_at', rfc3339(d.key_changed_at),
                             'revoked_at', rfc3339(d.revoked_at))
$$;

CREATE FUNCTION find_device(caller account, wanted uuid) RETURNS device LANGUAGE plpgsql AS $$
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
CREATE FUNCTION api.list_devices(token text, of_employee uuid, after_id uuid, page_size integer) RETURNS json
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
CREATE FUNCTION api.show_device(token text, wanted uuid) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin');
BEGIN
    RETURN device_json(find_device(caller, wanted));
END
$$;

-- PUT /v1/devices/{id}/employee: whom the recordings that begin from now on are of; null: nobody in particular.
CREATE FUNCTION api.assign_device(token text, wanted uuid, employee uuid, client_address text) RETURNS json
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
CREATE FUNCTION api.revoke_device(token text, wanted uuid, client_address text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
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

-- POST /v1/devices/self/key, after apid has verified that the caller holds the new key. The token shows that they hold the old.
CREATE FUNCTION api.change_device_key(token text, key bytea, client_address text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    -- The first answer may have been lost on the way.
    IF caller.public_key = key THEN
        RETURN;
    END IF;
    BEGIN
        UPDATE device d SET public_key = key, key_changed_at = now() WHERE d.company_id = caller.company_id AND d.id = caller.id;
    EXCEPTION WHEN unique_violation THEN
        PERFORM fail('SS011', 'device_key_known');
    END;
    PERFORM note(caller.company_id, 'device', caller.id, 'device.change_key', caller.id, client_address);
END
$$;

CREATE FUNCTION code_json(c enrolment_code) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', c.id, 'employee_id', c.employee_id, 'created_at', streamsight.rfc3339(c.created_at),
                             'expires_at', streamsight.rfc3339(c.expires_at), 'used_at', streamsight.rfc3339(c.used_at),
                             'withdrawn_at', streamsight.rfc3339(c.withdrawn_at), 'device_id', c.device_id)
$$;

-- GET /v1/enrolment-codes
CREATE FUNCTION api.list_enrolment_codes(token text, after_id uuid, page_size integer) RETURNS json
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
CREATE FUNCTION api.create_enrolment_code(token text, employee uuid, lifetime integer, code text, client_address text, key bytea,
                                          request bytea) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
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
    PERFORM note(caller.company_id, 'user', caller.id, 'enrolment_code.create', made.id, client_address);
    RETURN remember(caller, key, request, code_json(made));
END
$$;

-- DELETE /v1/enrolment-codes/{id}: not to be used any more.
CREATE FUNCTION api.withdraw_enrolment_code(token text, wanted uuid, client_address text) RETURNS void
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

-- A device that joins with a code made for somebody is theirs.
CREATE FUNCTION adopt_device() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
BEGIN
    IF NEW.employee_id IS NOT NULL AND OLD.device_id IS NULL AND NEW.device_id IS NOT NULL THEN
        UPDATE device d SET employee_id = NEW.employee_id WHERE d.company_id = NEW.company_id AND d.id = NEW.device_id;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER adopt AFTER UPDATE ON enrolment_code FOR EACH ROW EXECUTE FUNCTION adopt_device();

CREATE FUNCTION policy_json(p policy) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('revision', p.revision, 'recording', p.recording, 'frames_per_second', p.frames_per_second,
                             'jpeg_quality', p.jpeg_quality, 'segment_seconds', p.segment_seconds, 'segment_bytes', p.segment_bytes,
                             'changed_at', streamsight.rfc3339(p.changed_at), 'changed_by', p.changed_by)
$$;

-- GET /v1/policies: the revisions, the one in force first.
CREATE FUNCTION api.list_policies(token text, before_revision integer, page_size integer) RETURNS json
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

-- POST /v1/policies: another revision, made from the one that the caller has seen. Null: as it was there.
CREATE FUNCTION api.create_policy(token text, seen integer, how text, rate integer, quality integer, seconds integer, bytes integer,
                                  client_address text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    latest  policy;
BEGIN
    PERFORM FROM company c WHERE c.id = caller.company_id FOR UPDATE;
    SELECT p.* INTO STRICT latest FROM policy p WHERE p.company_id = caller.company_id ORDER BY p.revision DESC LIMIT 1;
    IF latest.revision <> seen THEN
        PERFORM fail('SS058', 'policy_conflict');
    END IF;
    INSERT INTO policy (company_id, revision, recording, frames_per_second, jpeg_quality, segment_seconds, segment_bytes, changed_by)
        VALUES (caller.company_id, latest.revision + 1, coalesce(how, latest.recording), coalesce(rate, latest.frames_per_second),
                coalesce(quality, latest.jpeg_quality), coalesce(seconds, latest.segment_seconds),
                coalesce(bytes, latest.segment_bytes), caller.id) RETURNING * INTO latest;
    PERFORM note(caller.company_id, 'user', caller.id, 'policy.set', caller.company_id, client_address,
                 jsonb_build_object('revision', latest.revision));
    RETURN policy_json(latest);
END
$$;

CREATE FUNCTION bucket_json(b bucket) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', b.id, 'endpoint', b.endpoint, 'region', b.region, 'bucket', b.bucket, 'prefix', b.prefix,
                             'path_style', b.path_style, 'sse', b.sse, 'access_key_id', b.access_key_id, 'current', b.current,
                             'created_at', streamsight.rfc3339(b.created_at))
$$;

-- GET /v1/buckets. The secret key is shown to nobody.
CREATE FUNCTION api.list_buckets(token text, after_id uuid, page_size integer) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
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
CREATE FUNCTION api.bucket_id(token text, endpoint text, region text, bucket text, prefix text, path_style boolean, sse text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin');
BEGIN
    RETURN coalesce((SELECT b.id FROM bucket b WHERE b.company_id = caller.company_id AND b.endpoint = $2 AND b.region = $3
                     AND b.bucket = $4 AND b.prefix = coalesce($5, '') AND b.path_style = $6 AND b.sse IS NOT DISTINCT FROM $7 LIMIT 1),
                    gen_random_uuid());
END
$$;

-- POST /v1/buckets: where recordings go from now on. The same place again only gets another key.
CREATE FUNCTION api.set_bucket(token text, wanted uuid, endpoint text, region text, bucket text, prefix text, path_style boolean,
                               sse text, access_key_id text, secret bytea, client_address text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    made    bucket;
BEGIN
    PERFORM FROM company c WHERE c.id = caller.company_id FOR UPDATE;
    UPDATE bucket b SET current = false WHERE b.company_id = caller.company_id AND b.current;
    BEGIN
        INSERT INTO bucket (company_id, id, endpoint, region, bucket, prefix, path_style, sse, access_key_id, secret)
            VALUES (caller.company_id, $2, $3, $4, $5, coalesce($6, ''), $7, $8, $9, $10)
            ON CONFLICT (company_id, id) DO UPDATE SET access_key_id = excluded.access_key_id, secret = excluded.secret, current = true
            RETURNING * INTO made;
    EXCEPTION WHEN check_violation THEN
        PERFORM fail('SS060', 'bucket_invalid');
    END;
    PERFORM note(caller.company_id, 'user', caller.id, 'bucket.set', made.id, client_address,
                 jsonb_build_object('endpoint', made.endpoint, 'bucket', made.bucket, 'prefix', made.prefix));
    RETURN bucket_json(made);
END
$$;

-- GET /v1/audit: newest first.
CREATE FUNCTION api.list_audit(token text, from_time timestamptz, to_time timestamptz, of_action text, of_subject uuid,
                               before_id bigint, page_size integer) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'auditor');
    shown   integer := coalesce(page_size, 100);
    rows    json[] := ARRAY(
        SELECT json_build_object('id', a.id, 'at', rfc3339(a.at), 'actor', a.actor, 'actor_id', a.actor_id, 'action', a.action,
                                 'subject_id', a.subject_id, 'address', a.address, 'detail', a.detail,
                                 'sha256', encode(a.sha256, 'hex'))
        FROM audit a
        WHERE a.company_id = caller.company_id AND (before_id IS NULL OR a.id < before_id)
            AND (from_time IS NULL OR a.at >= from_time) AND (to_time IS NULL OR a.at < to_time)
            AND (of_action IS NULL OR a.action = of_action) AND (of_subject IS NULL OR a.subject_id = of_subject)
        ORDER BY a.id DESC LIMIT shown + 1);
BEGIN
    RETURN json_build_object('audit', coalesce(array_to_json(rows[1:shown]), '[]'),
                             'next', CASE WHEN cardinality(rows) > shown THEN (rows[shown] ->> 'id')::bigint END);
END
$$;

GRANT EXECUTE ON FUNCTION api.list_devices(text, uuid, uuid, integer), api.show_device(text, uuid),
    api.assign_device(text, uuid, uuid, text), api.revoke_device(text, uuid, text), api.change_device_key(text, bytea, text),
    api.list_enrolment_codes(text, uuid, integer), api.create_enrolment_code(text, uuid, integer, text, text, bytea, bytea),
    api.withdraw_enrolment_code(text, uuid, text), api.list_policies(text, integer, integer),
    api.create_policy(text, integer, text, integer, integer, integer, integer, text), api.list_buckets(text, uuid, integer),
    api.bucket_id(text, text, text, text, text, boolean, text),
    api.set_bucket(text, uuid, text, text, text, text, boolean, text, text, bytea, text),
    api.list_audit(text, timestamptz, timestamptz, text, uuid, bigint, integer) TO streamsight_apid;

RESET ROLE;
RESET search_path;
