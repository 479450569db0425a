-- SPDX-License-Identifier: Apache-2.0
-- Segments: announced before the upload, completed after it.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- What apid signs a URL from. secret: as encrypted, see apid/secret.h.
CREATE TYPE api.upload AS (
    company_id uuid, bucket_id uuid, endpoint text, region text, bucket text, path_style boolean, sse text,
    access_key_id text, secret bytea, object_key text);

-- POST /v1/recordings/{id}/segments. Whoever asks again with the same content gets the same object, in the bucket that was
-- the company's when it was first asked for.
CREATE FUNCTION api.offer_segment(token text, recording uuid, seq integer, hash bytea, previous_hash bytea, content_md5 bytea,
                                  content_size integer, started timestamptz, ended timestamptz, frame_count integer)
    RETURNS api.upload LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  device := enter_device(token);
    parent  recording := own_recording(caller, recording);
    target  bucket;
    known   segment;
BEGIN
    SELECT s.* INTO known FROM segment s
        WHERE s.company_id = caller.company_id AND s.recording_id = recording AND s.sequence = seq;
    IF known.id IS NULL THEN
        -- Not while it is being finished.
        SELECT r.* INTO STRICT parent FROM recording r WHERE r.company_id = caller.company_id AND r.id = parent.id FOR SHARE;
        IF parent.finished_at IS NOT NULL THEN
            PERFORM fail('SS032', 'recording_finished');
        END IF;
        SELECT b.* INTO target FROM bucket b WHERE b.company_id = caller.company_id AND b.current;
        IF target.id IS NULL THEN
            PERFORM fail('SS040', 'bucket_missing');
        END IF;
        -- Each names the one before: neighbours that are known already must agree.
        IF (seq = 0) <> (previous_hash IS NULL)
            OR EXISTS (SELECT FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
                       AND s.sequence = seq - 1 AND s.sha256 <> previous_hash)
            OR EXISTS (SELECT FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
                       AND s.sequence = seq + 1 AND s.previous_sha256 <> hash) THEN
            PERFORM fail('SS041', 'segment_chain_broken');
        END IF;
        INSERT INTO segment (company_id, recording_id, sequence, bucket_id, object_key, sha256, previous_sha256, md5, size,
                             started_at, ended_at, frames)
            VALUES (caller.company_id, recording, seq, target.id,
                    concat_ws('/', nullif(target.prefix, ''), caller.company_id, caller.id, recording,
                              lpad(seq::text, 8, '0') || '-' || encode(hash, 'hex') || '.sss'),
                    hash, previous_hash, content_md5, content_size, started, ended, frame_count)
            ON CONFLICT DO NOTHING;
        -- One who asked at the same moment may have been first: what counts is what is there now.
        SELECT s.* INTO STRICT known FROM segment s
            WHERE s.company_id = caller.company_id AND s.recording_id = recording AND s.sequence = seq;
    END IF;
    IF (known.sha256, known.previous_sha256, known.md5, known.size) IS DISTINCT FROM
            (hash, previous_hash, content_md5, content_size) THEN
        PERFORM fail('SS042', 'segment_conflict');
    ELSIF known.completed_at IS NOT NULL THEN
        PERFORM fail('SS043', 'segment_complete');
    END IF;

    SELECT b.* INTO STRICT target FROM bucket b WHERE b.company_id = caller.company_id AND b.id = known.bucket_id;
    RETURN ROW(target.company_id, target.id, target.endpoint, target.region, target.bucket, target.path_style, target.sse,
               target.access_key_id, target.secret, known.object_key)::api.upload;
END
$$;

-- POST /v1/recordings/{id}/segments/{sequence}/complete. The device's word: apid's key cannot look into the bucket.
CREATE FUNCTION api.complete_segment(token text, recording uuid, seq integer, hash bytea)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  device := enter_device(token);
    parent  recording := own_recording(caller, recording);
    known   segment;
BEGIN
    SELECT s.* INTO known FROM segment s
        WHERE s.company_id = caller.company_id AND s.recording_id = parent.id AND s.sequence = seq;
    IF known.id IS NULL THEN
        PERFORM fail('SS044', 'segment_unknown');
    ELSIF known.sha256 <> hash THEN
        PERFORM fail('SS042', 'segment_conflict');
    END IF;
    UPDATE segment s SET completed_at = now()
        WHERE s.company_id = caller.company_id AND s.recording_id = parent.id AND s.sequence = seq AND s.completed_at IS NULL;
END
$$;

GRANT USAGE ON TYPE api.upload TO streamsight_apid;
GRANT EXECUTE ON FUNCTION
    api.offer_segment(text, uuid, integer, bytea, bytea, bytea, integer, timestamptz, timestamptz, integer),
    api.complete_segment(text, uuid, integer, bytea) TO streamsight_apid;

RESET ROLE;
RESET search_path;
