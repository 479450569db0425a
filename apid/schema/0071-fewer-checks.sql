-- SPDX-License-Identifier: Apache-2.0
-- What is asked for with every segment, in as few statements as it takes: PostgreSQL sets up and takes down each anew, which costs more
-- than to find the row.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- A version 7 UUID (RFC 9562) as in 0040: of a random version 4 the first 48 bits become the time and the version's two lower bits are set.
CREATE OR REPLACE FUNCTION make_id() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substr(int8send((date_part('epoch', clock_timestamp()) * 1000)::bigint), 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid;
END
$$;

-- A segment's own checks in one function: PostgreSQL reads a constraint's text and makes it ready to be computed at each INSERT, which took
-- longer for nine of them than all else that a row takes.
CREATE FUNCTION segment_is_sound(sequence integer, object_key text, sha256 bytea, previous_sha256 bytea, md5 bytea, size integer,
                                 frames integer, statement text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN sequence BETWEEN 0 AND 99999999
        AND octet_length(object_key) <= 1024  -- S3's limit
        AND length(sha256) = 32
        AND length(md5) = 16
        AND size BETWEEN 1 AND 16777216
        AND frames >= 0
        AND (sequence = 0) = (previous_sha256 IS NULL)
        AND coalesce(length(previous_sha256), 32) = 32
        AND coalesce(octet_length(statement), 0) <= 1023;
END
$$;
ALTER TABLE segment
    DROP CONSTRAINT segment_check1, DROP CONSTRAINT segment_frames_check1, DROP CONSTRAINT segment_md5_check1,
    DROP CONSTRAINT segment_object_key_check1, DROP CONSTRAINT segment_previous_sha256_check1, DROP CONSTRAINT segment_sequence_check1,
    DROP CONSTRAINT segment_sha256_check1, DROP CONSTRAINT segment_size_check1, DROP CONSTRAINT segment_statement_check,
    ADD CHECK (segment_is_sound(sequence, object_key, sha256, previous_sha256, md5, size, frames, statement));

-- Whoever announces a segment has just locked the recording that it is of, and recordings are never removed but with their segments
-- (detach_ledgers()): to look for it a second time shows nothing.
ALTER TABLE segment DROP CONSTRAINT segment_company_id_recording_id_recording_created_at_fkey;

-- A recording of these days lies in one partition or two: those of the months to come are not looked into.
CREATE OR REPLACE FUNCTION find_recording(company uuid, recording uuid) RETURNS recording LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    found recording;
BEGIN
    SELECT r.* INTO found FROM recording r
        WHERE r.company_id = company AND r.id = recording AND r.created_at BETWEEN now() - interval '3 days' AND now() + interval '1 hour';
    IF found.id IS NULL THEN
        SELECT r.* INTO found FROM recording r WHERE r.company_id = company AND r.id = recording;
    END IF;
    RETURN found;
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
    key      text;
    agrees   boolean := true;
BEGIN
    IF (caller.id, caller.public_key) IS DISTINCT FROM (signer, signing_key) THEN
        PERFORM check_signer(caller, signer, signing_key);
    END IF;
    -- Not while it is being finished. One of these days is found and locked at once.
    SELECT r.* INTO parent FROM recording r
        WHERE r.company_id = caller.company_id AND r.id = recording AND r.device_id = caller.id
            AND r.created_at BETWEEN now() - interval '3 days' AND now() + interval '1 hour' FOR SHARE;
    IF parent.id IS NULL THEN
        parent := own_recording(caller, recording);
        SELECT r.* INTO STRICT parent FROM recording r
            WHERE r.company_id = caller.company_id AND r.id = parent.id AND r.created_at = parent.created_at FOR SHARE;
    END IF;
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
        IF parent.finished_at IS NOT NULL THEN
            PERFORM fail('SS032', 'recording_finished');
        END IF;
        SELECT b.* INTO target FROM bucket b WHERE b.company_id = caller.company_id AND b.current;
        IF target.id IS NULL THEN
            PERFORM fail('SS040', 'bucket_missing');
        ELSIF (seq = 0) <> (previous_hash IS NULL) OR NOT agrees THEN
            PERFORM fail('SS041', 'segment_chain_broken');
        END IF;
        key := concat_ws('/', nullif(target.prefix, ''), caller.company_id, caller.id, parent.id,
                         lpad(seq::text, 8, '0') || '-' || encode(hash, 'hex') || '.sss');
        INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256,
                             previous_sha256, md5, size, started_at, ended_at, frames, statement)
            VALUES (caller.company_id, parent.id, parent.created_at, seq, target.id, key, hash, previous_hash, content_md5,
                    content_size, started, ended, frame_count, signed)
            ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN upload_to(target, key);
        END IF;
        -- One who asked at the same moment was first: what counts is what is there now.
        SELECT s.* INTO STRICT known FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = parent.id
            AND s.recording_created_at = parent.created_at AND s.sequence = seq;
    END IF;
    IF (known.sha256, known.previous_sha256, known.md5, known.size) IS DISTINCT FROM
            (hash, previous_hash, content_md5, content_size) THEN
        PERFORM fail('SS042', 'segment_conflict');
    ELSIF known.completed_at IS NOT NULL THEN
        PERFORM fail('SS043', 'segment_complete');
    END IF;
    SELECT b.* INTO STRICT target FROM bucket b WHERE b.company_id = caller.company_id AND b.id = known.bucket_id;
    RETURN upload_to(target, known.object_key);
END
$$;

RESET ROLE;
RESET search_path;
