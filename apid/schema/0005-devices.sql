-- SPDX-License-Identifier: Apache-2.0
-- Devices: how they join, how they get a token, and what they are told to record.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- POST /v1/devices/enroll, after apid has verified that the caller holds the key. The code is what is proven here. Asked
-- again for the same key it gives the same answer: the first may have been lost on the way.
CREATE FUNCTION api.enroll(code text, key bytea, host text, client_address text)
    RETURNS TABLE (device_id uuid, company_id uuid, company text) LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
#variable_conflict use_column
DECLARE
    hash   bytea := token_hash(code);
    ticket  enrolment_code;
    made   device;
BEGIN
    PERFORM enter_nobody();
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    SELECT c.* INTO ticket FROM enrolment_code c WHERE c.code_sha256 = hash AND c.expires_at > now();
    PERFORM set_config('streamsight.secret', '', true);
    IF ticket.company_id IS NULL THEN
        PERFORM fail('SS010', 'enrolment_code_invalid');
    END IF;

    PERFORM enter_company(ticket.company_id);
    SELECT c.* INTO ticket FROM enrolment_code c WHERE c.code_sha256 = hash FOR UPDATE;
    SELECT d.* INTO made FROM device d WHERE d.company_id = ticket.company_id AND d.public_key = key;
    IF ticket.used_at IS NOT NULL THEN
        IF made.id IS NULL OR made.id <> ticket.device_id OR made.revoked_at IS NOT NULL THEN
            PERFORM fail('SS010', 'enrolment_code_invalid');
        END IF;
    ELSIF made.id IS NOT NULL THEN
        PERFORM fail('SS011', 'device_key_known');
    ELSE
        BEGIN
            INSERT INTO device (company_id, hostname, public_key) VALUES (ticket.company_id, host, key) RETURNING * INTO made;
        EXCEPTION WHEN unique_violation THEN  -- by another code at the same moment
            PERFORM fail('SS011', 'device_key_known');
        END;
        UPDATE enrolment_code c SET used_at = now(), device_id = made.id WHERE c.code_sha256 = hash;
        INSERT INTO audit (company_id, actor, actor_id, action, subject_id, address)
            VALUES (made.company_id, 'device', made.id, 'device.enroll', made.id, client_address);
    END IF;
    RETURN QUERY SELECT made.id, c.id, c.name FROM company c WHERE c.id = made.company_id;
END
$$;

-- The key that a client assertion must be signed with.
CREATE FUNCTION api.device_key(device uuid) RETURNS bytea LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    known device;
BEGIN
    PERFORM enter_nobody();
    PERFORM set_config('streamsight.device', device::text, true);
    SELECT d.* INTO known FROM device d WHERE d.id = device;
    IF known.id IS NULL THEN
        PERFORM fail('SS020', 'client_invalid');
    ELSIF known.revoked_at IS NOT NULL THEN
        PERFORM fail('SS003', 'device_revoked');
    END IF;
    RETURN known.public_key;
END
$$;

-- POST /v1/devices/token, after apid has verified the assertion. The one place where the database takes apid's word:
-- PostgreSQL cannot verify ECDSA. Whoever holds apid's role can thus get tokens of devices whose ids they know, though
-- not of viewers.
CREATE FUNCTION api.issue_device_token(device uuid, jti text, assertion_expires timestamptz, token text,
                                       lifetime interval)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    known device;
BEGIN
    PERFORM enter_nobody();
    PERFORM set_config('streamsight.device', device::text, true);
    SELECT d.* INTO known FROM device d WHERE d.id = device;
    IF known.id IS NULL THEN
        PERFORM fail('SS020', 'client_invalid');
    ELSIF known.revoked_at IS NOT NULL THEN
        PERFORM fail('SS003', 'device_revoked');
    ELSIF lifetime > interval '10 minutes' OR length(token) < 43 THEN
        RAISE EXCEPTION 'token too weak or too long-lived' USING ERRCODE = 'SS901';
    END IF;

    PERFORM enter_company(known.company_id);
    DELETE FROM assertion_jti j WHERE j.company_id = known.company_id AND j.device_id = known.id AND j.expires_at < now();
    -- Kept a day longer, so that its owner can be told that it expired.
    DELETE FROM device_token t WHERE t.company_id = known.company_id AND t.device_id = known.id
        AND t.expires_at < now() - interval '1 day';
    INSERT INTO assertion_jti (company_id, device_id, jti_sha256, expires_at)
        VALUES (known.company_id, known.id, token_hash(jti), assertion_expires) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM fail('SS021', 'assertion_replayed');
    END IF;
    INSERT INTO device_token (token_sha256, company_id, device_id, expires_at)
        VALUES (token_hash(token), known.company_id, known.id, now() + lifetime);
END
$$;

-- GET /v1/devices/self/policy. bucket_host: host and port of the URLs to come, "" as long as there is no bucket.
CREATE FUNCTION api.device_policy(token text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    RETURN (SELECT json_build_object(
                'revision', p.revision, 'company', c.name, 'device_id', caller.id, 'employee', caller.employee,
                'recording', p.recording, 'frames_per_second', p.frames_per_second, 'jpeg_quality', p.jpeg_quality,
                'segment_seconds', p.segment_seconds, 'segment_bytes', p.segment_bytes,
                'bucket_host', coalesce(bucket_host(b), ''))
            FROM company c JOIN policy p ON p.company_id = c.id
                LEFT JOIN bucket b ON b.company_id = c.id AND b.current
            WHERE c.id = caller.company_id);
END
$$;

CREATE FUNCTION bucket_host(b bucket) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN b.path_style THEN '' ELSE b.bucket || '.' END || pg_catalog.substr(b.endpoint, length('https://') + 1)
$$;

GRANT EXECUTE ON FUNCTION api.enroll(text, bytea, text, text), api.device_key(uuid),
    api.issue_device_token(uuid, text, timestamptz, text, interval), api.device_policy(text) TO streamsight_apid;

RESET ROLE;
RESET search_path;
