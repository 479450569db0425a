-- SPDX-License-Identifier: Apache-2.0
-- The tenant's own key of their key management service, and one row only for each place.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- What Amazon and Ceph name a key by: an id, an alias or an ARN.
ALTER TABLE bucket ADD COLUMN sse_kms_key_id text CHECK (sse_kms_key_id ~ '^[!-~]+$' AND length(sse_kms_key_id) <= 2048),
    ADD CHECK (sse_kms_key_id IS NULL OR sse = 'aws:kms');
ALTER TYPE api.upload ADD ATTRIBUTE sse_kms_key_id text;

CREATE FUNCTION upload_to(target bucket, object_key text) RETURNS api.upload LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN ROW(target.company_id, target.id, target.endpoint, target.region, target.bucket, target.path_style, target.sse,
               target.access_key_id, target.secret, object_key, target.sse_kms_key_id)::api.upload;
END
$$;

CREATE OR REPLACE FUNCTION api.offer_signed_segment(token text, recording uuid, seq integer, hash bytea, previous_hash bytea,
                                                    content_md5 bytea, content_size integer, started timestamptz, ended timestamptz,
                                                    frame_count integer, signer uuid, signing_key bytea, signed text)
    RETURNS api.upload LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    caller   device := enter_device(token);
    parent   recording;
    target   bucket;
    known    segment;
    near     segment;
    agrees   boolean := true;
BEGIN
    IF (caller.id, caller.public_key) IS DISTINCT FROM (signer, signing_key) THEN
        PERFORM check_signer(caller, signer, signing_key);
    END IF;
    parent := own_recording(caller, recording);
    -- Itself and its neighbours, of which each names the one before.
    FOR near IN SELECT s.* FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = parent.id
            AND s.recording_created_at = parent.created_at AND s.sequence BETWEEN seq - 1 AND seq + 1 LOOP
        IF near.sequence = seq THEN
            known := near;
        ELSIF near.sequence = seq - 1 AND near.sha256 <> previous_hash OR near.sequence = seq + 1 AND near.previous_sha256 <> hash THEN
            agrees := false;
        END IF;
    END LOOP;
    IF known.id IS NULL THEN
        -- Not while it is being finished.
        SELECT r.* INTO STRICT parent FROM recording r
            WHERE r.company_id = caller.company_id AND r.id = parent.id AND r.created_at = parent.created_at FOR SHARE;
        IF parent.finished_at IS NOT NULL THEN
            PERFORM fail('SS032', 'recording_finished');
        END IF;
        SELECT b.* INTO target FROM bucket b WHERE b.company_id = caller.company_id AND b.current;
        IF target.id IS NULL THEN
            PERFORM fail('SS040', 'bucket_missing');
        ELSIF (seq = 0) <> (previous_hash IS NULL) OR NOT agrees THEN
            PERFORM fail('SS041', 'segment_chain_broken');
        END IF;
        INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256,
                             previous_sha256, md5, size, started_at, ended_at, frames, statement)
            VALUES (caller.company_id, parent.id, parent.created_at, seq, target.id,
                    concat_ws('/', nullif(target.prefix, ''), caller.company_id, caller.id, parent.id,
                              lpad(seq::text, 8, '0') || '-' || encode(hash, 'hex') || '.sss'),
                    hash, previous_hash, content_md5, content_size, started, ended, frame_count, signed)
            ON CONFLICT DO NOTHING RETURNING * INTO known;
        -- One who asked at the same moment may have been first: what counts is what is there now.
        IF known.id IS NULL THEN
            SELECT s.* INTO STRICT known FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = parent.id
                AND s.recording_created_at = parent.created_at AND s.sequence = seq;
        END IF;
    END IF;
    IF (known.sha256, known.previous_sha256, known.md5, known.size) IS DISTINCT FROM
            (hash, previous_hash, content_md5, content_size) THEN
        PERFORM fail('SS042', 'segment_conflict');
    ELSIF known.completed_at IS NOT NULL THEN
        PERFORM fail('SS043', 'segment_complete');
    END IF;
    IF target.id IS DISTINCT FROM known.bucket_id THEN
        SELECT b.* INTO STRICT target FROM bucket b WHERE b.company_id = caller.company_id AND b.id = known.bucket_id;
    END IF;
    RETURN upload_to(target, known.object_key);
END
$$;

CREATE OR REPLACE FUNCTION api.view_segment(token text, segment uuid, client_address text) RETURNS api.upload
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'manager');
    known   segment;
    parent  recording;
    target  bucket;
BEGIN
    SELECT s.* INTO known FROM segment s WHERE s.company_id = caller.company_id AND s.id = segment;
    SELECT r.* INTO parent FROM recording r WHERE r.company_id = caller.company_id AND r.id = known.recording_id
        AND r.created_at = known.recording_created_at;
    IF known.id IS NULL OR NOT may_view(caller, parent.employee_id) THEN
        PERFORM fail('SS044', 'segment_unknown');
    ELSIF known.completed_at IS NULL THEN
        PERFORM fail('SS045', 'segment_pending');
    END IF;
    INSERT INTO viewing (company_id, account_id, recording_id, segment_id, address)
        VALUES (caller.company_id, caller.id, parent.id, known.id, client_address);
    PERFORM note(caller.company_id, 'user', caller.id, 'segment.view', known.id, client_address,
                 json_build_object('recording', parent.id, 'sequence', known.sequence)::jsonb);
    SELECT b.* INTO STRICT target FROM bucket b WHERE b.company_id = caller.company_id AND b.id = known.bucket_id;
    RETURN upload_to(target, known.object_key);
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
CREATE FUNCTION place_id(company uuid, endpoint text, region text, bucket text, prefix text, path_style boolean, sse text,
                         sse_kms_key_id text) RETURNS uuid LANGUAGE sql STABLE
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT coalesce((SELECT b.id FROM bucket b WHERE b.company_id = $1 AND b.endpoint = $2 AND b.region = $3 AND b.bucket = $4
                     AND b.prefix = $5 AND b.path_style = $6 AND b.sse IS NOT DISTINCT FROM $7 AND b.sse_kms_key_id IS NOT DISTINCT FROM $8
                     ORDER BY b.created_at LIMIT 1),
                    substr(encode(sha256(convert_to(json_build_array($1, $2, $3, $4, $5, $6, $7, $8)::text, 'UTF8')), 'hex'), 1, 32)::uuid)
$$;
GRANT EXECUTE ON FUNCTION place_id(uuid, text, text, text, text, boolean, text, text) TO streamsight_admin;

DROP FUNCTION api.bucket_id(text, text, text, text, text, boolean, text);
CREATE FUNCTION api.bucket_id(token text, endpoint text, region text, bucket text, prefix text, path_style boolean, sse text,
                              sse_kms_key_id text) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin');
BEGIN
    RETURN place_id(caller.company_id, $2, $3, $4, coalesce($5, ''), $6, $7, $8);
END
$$;

DROP FUNCTION api.set_bucket(text, uuid, text, text, text, text, boolean, text, text, bytea, text);
CREATE FUNCTION api.set_bucket(token text, wanted uuid, endpoint text, region text, bucket text, prefix text, path_style boolean,
                               sse text, sse_kms_key_id text, access_key_id text, secret bytea, client_address text) RETURNS json
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
        INSERT INTO bucket (company_id, id, endpoint, region, bucket, prefix, path_style, sse, sse_kms_key_id, access_key_id, secret)
            VALUES (caller.company_id, $2, $3, $4, $5, coalesce($6, ''), $7, $8, $9, $10, $11)
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

-- POST /v1/policies, with the ceilings, of which 0 takes one away, and the leave to pause and to record a locked session.
DROP FUNCTION api.create_policy(text, integer, text, integer, integer, integer, integer, text);
CREATE FUNCTION api.create_policy(token text, seen integer, how text, rate integer, quality integer, seconds integer, bytes integer,
                                  minute_bytes bigint, cpu_ms integer, pause integer, locked boolean, client_address text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    latest  policy;
BEGIN
    PERFORM FROM company c WHERE c.id = caller.company_id FOR UPDATE;
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

-- GET /v1/recordings/{id}/statements: what the device signed, for "streamsight verify" without the bucket's own listing.
CREATE FUNCTION api.list_statements(token text, recording uuid, after_sequence integer, page_size integer) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'manager', 'auditor');
    parent  recording := find_recording(caller.company_id, recording);
    shown   integer := coalesce(page_size, 100);
    rows    json[];
BEGIN
    IF parent.id IS NULL OR caller.role = 'manager' AND NOT may_view(caller, parent.employee_id) THEN
        PERFORM fail('SS031', 'recording_unknown');
    END IF;
    rows := ARRAY(SELECT json_build_object('sequence', s.sequence, 'object_key', s.object_key, 'statement', s.statement) FROM segment s
                  WHERE s.company_id = caller.company_id AND s.recording_id = parent.id AND s.recording_created_at = parent.created_at
                      AND s.sequence > coalesce(after_sequence, -1) ORDER BY s.sequence LIMIT shown + 1);
    RETURN json_build_object('recording', parent.statement, 'segments', coalesce(array_to_json(rows[1:shown]), '[]'),
                             'next', CASE WHEN cardinality(rows) > shown THEN (rows[shown] ->> 'sequence')::integer END);
END
$$;

GRANT EXECUTE ON FUNCTION api.bucket_id(text, text, text, text, text, boolean, text, text),
    api.set_bucket(text, uuid, text, text, text, text, boolean, text, text, text, bytea, text),
    api.create_policy(text, integer, text, integer, integer, integer, integer, bigint, integer, integer, boolean, text),
    api.list_statements(text, uuid, integer, integer) TO streamsight_apid;

RESET ROLE;
RESET search_path;
