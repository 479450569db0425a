-- SPDX-License-Identifier: Apache-2.0
-- Devices: how they join, how they get a token and another key, what they are told to record, and how they leave.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- POST /v1/devices/enroll, after apid has verified that the caller holds the key. The code is what is proven here. Asked
-- again for the same key it gives the same answer: the first may have been lost on the way.
CREATE OR REPLACE FUNCTION api.enroll(code text, key bytea, host text, client_address text)
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
    SELECT c.* INTO ticket FROM enrolment_code c WHERE c.code_sha256 = hash;
    PERFORM enter_nobody(), enter_company(ticket.company_id);
    -- Judged while nobody else is at it: it may be used or withdrawn at the same moment.
    SELECT c.* INTO ticket FROM enrolment_code c
        WHERE c.code_sha256 = hash AND c.expires_at > clock_timestamp() AND c.withdrawn_at IS NULL FOR UPDATE;
    IF ticket.company_id IS NULL THEN
        PERFORM fail('SS010', 'enrolment_code_invalid');
    END IF;
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
CREATE OR REPLACE FUNCTION api.device_key(device uuid) RETURNS bytea LANGUAGE plpgsql SECURITY DEFINER
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
CREATE OR REPLACE FUNCTION api.issue_device_token(device uuid, jti text, assertion_expires timestamptz, token text,
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
    -- An hour by this clock at least: it is by apid's that an assertion is taken.
    INSERT INTO assertion_jti (company_id, device_id, jti_sha256, expires_at)
        VALUES (known.company_id, known.id, token_hash(jti), greatest(assertion_expires, now() + interval '1 hour')) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM fail('SS021', 'assertion_replayed');
    END IF;
    INSERT INTO device_token (token_sha256, company_id, device_id, expires_at)
        VALUES (token_hash(token), known.company_id, known.id, now() + lifetime);
END
$$;

CREATE OR REPLACE FUNCTION base64url(data bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT translate(encode(data, 'base64'), E'+/=\n', '-_')
$$;

-- RFC 7638: SHA-256 of the JWK's required members in order. key: 0x04, x, y.
CREATE OR REPLACE FUNCTION key_thumbprint(key bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT base64url(sha256(convert_to('{"crv":"P-256","kty":"EC","x":"' || base64url(substr(key, 2, 32)) || '","y":"'
                                       || base64url(substr(key, 34, 32)) || '"}', 'UTF8')))
$$;

-- A signer is the device's present key, or one that it had until a week ago: what waits on a workstation for the network was signed before.
CREATE OR REPLACE FUNCTION check_signer(caller device, signer uuid, signing_key bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF caller.id IS DISTINCT FROM signer OR NOT EXISTS (
            SELECT FROM device_key k WHERE k.company_id = caller.company_id AND k.device_id = caller.id
                AND k.public_key = signing_key AND (k.until IS NULL OR k.until > now() - interval '7 days')) THEN
        PERFORM fail('SS046', 'statement_invalid');
    END IF;
END
$$;

-- The present key of a token's device, by which apid verifies that its holder wants another.
CREATE OR REPLACE FUNCTION api.present_key(token text) RETURNS bytea LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    RETURN caller.public_key;
END
$$;

-- POST /v1/devices/self/key, after apid has verified that the caller holds both keys: a token, which may be stolen, is not enough to
-- take a device over. present: which one apid has verified the old one's signature with.
CREATE OR REPLACE FUNCTION api.change_device_key(token text, key bytea, present bytea, client_address text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    SELECT d.* INTO STRICT caller FROM device d WHERE d.company_id = caller.company_id AND d.id = caller.id FOR NO KEY UPDATE;
    -- The first answer may have been lost on the way.
    IF caller.public_key = key THEN
        RETURN;
    ELSIF caller.public_key <> present THEN  -- it was changed a moment ago
        PERFORM fail('SS011', 'device_key_known');
    END IF;
    BEGIN
        UPDATE device d SET public_key = key, key_changed_at = now() WHERE d.company_id = caller.company_id AND d.id = caller.id;
    EXCEPTION WHEN unique_violation THEN
        PERFORM fail('SS011', 'device_key_known');
    END;
    PERFORM note(caller.company_id, 'device', caller.id, 'device.change_key', caller.id, client_address,
                 jsonb_build_object('before', key_thumbprint(present), 'key', key_thumbprint(key)));
END
$$;

CREATE OR REPLACE FUNCTION bucket_host(b bucket) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN b.path_style THEN '' ELSE b.bucket || '.' END || pg_catalog.substr(b.endpoint, length('https://') + 1)
$$;

-- GET /v1/devices/self/policy. bucket_host: host and port of the URLs to come, "" as long as there is no bucket. A ceiling that there is
-- none of, and a leave that is not given, are not named: agents from before there were any take it, too.
CREATE OR REPLACE FUNCTION api.device_policy(token text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    RETURN (SELECT json_strip_nulls(json_build_object(
                'revision', p.revision, 'company', c.name, 'device_id', caller.id, 'employee', coalesce(e.name, ''),
                'recording', p.recording, 'frames_per_second', p.frames_per_second, 'jpeg_quality', p.jpeg_quality,
                'segment_seconds', p.segment_seconds, 'segment_bytes', p.segment_bytes,
                'bytes_per_minute', p.bytes_per_minute, 'cpu_ms_per_second', p.cpu_ms_per_second,
                'pause_seconds', nullif(p.pause_seconds, 0), 'record_locked', nullif(p.record_locked, false),
                'bucket_host', coalesce(bucket_host(b), '')))
            FROM company c
                JOIN LATERAL (SELECT v.* FROM policy v WHERE v.company_id = c.id ORDER BY v.revision DESC LIMIT 1) p ON true
                LEFT JOIN bucket b ON b.company_id = c.id AND b.current
                LEFT JOIN employee e ON e.company_id = c.id AND e.id = caller.employee_id
            WHERE c.id = caller.company_id);
END
$$;

-- POST /v1/devices/self/diagnostics. The last fifty are kept; one after the other, so that none is counted that is not there yet. What is
-- said shortly may be long here, where 1e308 has all of its digits.
CREATE OR REPLACE FUNCTION api.add_diagnostic(token text, said jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    IF length(said::text) > 32768 THEN
        PERFORM fail('SS012', 'body_too_large');
    END IF;
    PERFORM FROM device d WHERE d.company_id = caller.company_id AND d.id = caller.id FOR NO KEY UPDATE;
    INSERT INTO diagnostic (company_id, device_id, report) VALUES (caller.company_id, caller.id, said);
    DELETE FROM diagnostic g WHERE g.company_id = caller.company_id AND g.device_id = caller.id AND g.received_at < (
        SELECT k.received_at FROM diagnostic k WHERE k.company_id = caller.company_id AND k.device_id = caller.id
        ORDER BY k.received_at DESC OFFSET 49 LIMIT 1);
END
$$;

-- POST /v1/devices/self/leave, after apid has verified that the caller holds the key: a token, which may be stolen, is not enough to take a device
-- out of service. What it has recorded stays, as when somebody else does.
CREATE OR REPLACE FUNCTION api.leave_device(token text, client_address text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    UPDATE device d SET revoked_at = now() WHERE d.company_id = caller.company_id AND d.id = caller.id AND d.revoked_at IS NULL;
    IF FOUND THEN
        PERFORM note(caller.company_id, 'device', caller.id, 'device.leave', caller.id, client_address);
    END IF;
END
$$;

RESET ROLE;
RESET search_path;
