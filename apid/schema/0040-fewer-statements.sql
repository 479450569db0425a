-- SPDX-License-Identifier: Apache-2.0
-- The same procedures at a fraction of the cost: a function in SQL is parsed and planned at each call, and a plan for the partitions
-- of one moment at each execution. These are called with every request.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE OR REPLACE FUNCTION enter_nobody() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ignored text;
BEGIN
    ignored := pg_catalog.set_config('streamsight.company', '', true);
    ignored := pg_catalog.set_config('streamsight.secret', '', true);
    ignored := pg_catalog.set_config('streamsight.device', '', true);
END
$$;

CREATE OR REPLACE FUNCTION enter_company(company uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ignored text;
BEGIN
    ignored := pg_catalog.set_config('streamsight.company', company::text, true);
END
$$;

CREATE OR REPLACE FUNCTION token_hash(token text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    RETURN pg_catalog.sha256(pg_catalog.convert_to(token, 'UTF8'));
END
$$;

CREATE OR REPLACE FUNCTION enter_device(token text) RETURNS device LANGUAGE plpgsql AS $$
DECLARE
    hash     bytea := token_hash(token);
    known    device_token;
    caller   device;
    ignored  text;
BEGIN
    ignored := set_config('streamsight.company', '', true);
    ignored := set_config('streamsight.device', '', true);
    ignored := set_config('streamsight.secret', encode(hash, 'hex'), true);
    SELECT t.* INTO known FROM device_token t WHERE t.token_sha256 = hash;
    ignored := set_config('streamsight.secret', '', true);
    IF known.company_id IS NULL THEN
        PERFORM fail('SS001', 'token_invalid');
    ELSIF known.expires_at <= now() THEN
        PERFORM fail('SS002', 'token_expired');
    END IF;
    ignored := set_config('streamsight.company', known.company_id::text, true);
    SELECT d.* INTO STRICT caller FROM device d WHERE d.company_id = known.company_id AND d.id = known.device_id;
    IF caller.revoked_at IS NOT NULL THEN
        PERFORM fail('SS003', 'device_revoked');
    END IF;
    RETURN caller;
END
$$;

-- Ids in the order of time (RFC 9562, version 7): an index over random ones would be written to all over, and a month's is larger
-- than memory.
CREATE FUNCTION make_id() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    id bytea := substr(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 3) || substr(uuid_send(gen_random_uuid()), 7);
BEGIN
    RETURN encode(set_byte(id, 6, get_byte(id, 6) & 15 | 112), 'hex')::uuid;
END
$$;
ALTER TABLE segment ALTER COLUMN id SET DEFAULT streamsight.make_id();

-- No bucket is ever removed, and nobody has the right to. To check at each segment that it is there still would write to the one row
-- that all of a company's devices share.
ALTER TABLE segment DROP CONSTRAINT segment_company_id_bucket_id_fkey1;

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
        PERFORM fail('SS046', 'statement_invalid');
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
    RETURN ROW(target.company_id, target.id, target.endpoint, target.region, target.bucket, target.path_style, target.sse,
               target.access_key_id, target.secret, known.object_key)::api.upload;
END
$$;

DROP FUNCTION api.offer_segment(text, uuid, integer, bytea, bytea, bytea, integer, timestamptz, timestamptz, integer);
ALTER TABLE segment ALTER COLUMN statement DROP DEFAULT;
DROP FUNCTION current_statement();

ALTER FUNCTION api.complete_segment(text, uuid, integer, bytea) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION api.open_recording(text, uuid, timestamptz, text, text, jsonb) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION api.finish_signed_recording(text, uuid, integer, timestamptz, text, uuid, bytea, text) SET plan_cache_mode = force_generic_plan;

RESET ROLE;
RESET search_path;
