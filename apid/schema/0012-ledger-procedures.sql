-- SPDX-License-Identifier: Apache-2.0
-- The devices' procedures on partitioned ledgers. What they do is said in 0006 and 0007.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- A recording of the company. Almost always it is of these weeks: the partitions of other months are not looked into
-- unless it is not there.
CREATE FUNCTION find_recording(company uuid, recording uuid) RETURNS recording LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    found recording;
BEGIN
    SELECT r.* INTO found FROM recording r
        WHERE r.company_id = company AND r.id = recording AND r.created_at > now() - interval '3 days';
    IF found.id IS NULL THEN
        SELECT r.* INTO found FROM recording r WHERE r.company_id = company AND r.id = recording;
    END IF;
    RETURN found;
END
$$;

-- The recording, if it is this device's own. Another device's is as unknown as none.
CREATE FUNCTION own_recording(caller device, recording uuid) RETURNS recording LANGUAGE plpgsql AS $$
DECLARE
    found recording := find_recording(caller.company_id, recording);
BEGIN
    IF found.id IS NULL OR found.device_id <> caller.id THEN
        PERFORM fail('SS031', 'recording_unknown');
    END IF;
    RETURN found;
END
$$;

CREATE OR REPLACE FUNCTION api.open_recording(token text, recording uuid, started timestamptz, why text, host text, shown jsonb)
    RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  device := enter_device(token);
    known   recording;
BEGIN
    -- A key of a partitioned table cannot say that an id is unique in all partitions: one opener of it at a time.
    PERFORM pg_advisory_xact_lock(hashtextextended(caller.company_id::text || recording::text, 0));
    known := find_recording(caller.company_id, recording);
    IF known.id IS NULL THEN
        INSERT INTO recording (company_id, id, device_id, employee_id, hostname, reason, outputs, started_at)
            VALUES (caller.company_id, recording, caller.id, caller.employee_id, host, why, shown, started);
        RETURN true;
    END IF;
    IF (known.device_id, known.hostname, known.reason, known.outputs, known.started_at)
            IS DISTINCT FROM (caller.id, host, why, shown, started) THEN
        PERFORM fail('SS030', 'recording_conflict');
    END IF;
    RETURN false;
END
$$;

CREATE OR REPLACE FUNCTION api.finish_recording(token text, recording uuid, segment_count integer, ended timestamptz, why text)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller   device := enter_device(token);
    known    recording := own_recording(caller, recording);
    opened   timestamptz := known.created_at;
    missing  json;
    held     integer;
BEGIN
    -- Against another finish, and against a segment being offered (api.offer_segment's FOR SHARE).
    SELECT r.* INTO STRICT known FROM recording r
        WHERE r.company_id = caller.company_id AND r.id = recording AND r.created_at = opened FOR UPDATE;
    IF known.finished_at IS NOT NULL THEN
        IF (known.segments, known.ended_at, known.end_reason) IS DISTINCT FROM (segment_count, ended, why) THEN
            PERFORM fail('SS032', 'recording_finished');
        END IF;
        RETURN '[]';
    END IF;
    -- A device that lost what it had announced says so; those segments stay listed, as lost.
    IF why <> 'interrupted' AND EXISTS (SELECT FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
               AND s.recording_created_at = opened AND s.sequence >= segment_count) THEN
        PERFORM fail('SS033', 'segments_beyond_end');
    END IF;

    -- Of the first held + 100 sequences at least a hundred are missing: no need to look at the rest of a huge count.
    SELECT count(*) INTO held FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
        AND s.recording_created_at = opened AND s.completed_at IS NOT NULL;
    SELECT json_agg(m.sequence) INTO missing FROM (
        SELECT n.sequence FROM generate_series(0, least(segment_count, held + 100) - 1) AS n (sequence)
        WHERE NOT EXISTS (SELECT FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
                          AND s.recording_created_at = opened AND s.sequence = n.sequence AND s.completed_at IS NOT NULL)
        ORDER BY n.sequence LIMIT 100) AS m;
    IF missing IS NOT NULL AND why <> 'interrupted' THEN
        RETURN missing;
    END IF;
    UPDATE recording r SET finished_at = now(), ended_at = ended, end_reason = why, segments = segment_count
        WHERE r.company_id = caller.company_id AND r.id = recording AND r.created_at = opened;
    RETURN '[]';
END
$$;

CREATE OR REPLACE FUNCTION api.offer_segment(token text, recording uuid, seq integer, hash bytea, previous_hash bytea,
                                             content_md5 bytea, content_size integer, started timestamptz, ended timestamptz,
                                             frame_count integer)
    RETURNS api.upload LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  device := enter_device(token);
    parent  recording := own_recording(caller, recording);
    opened  timestamptz := parent.created_at;
    target  bucket;
    known   segment;
BEGIN
    SELECT s.* INTO known FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
        AND s.recording_created_at = opened AND s.sequence = seq;
    IF known.id IS NULL THEN
        -- Not while it is being finished.
        SELECT r.* INTO STRICT parent FROM recording r
            WHERE r.company_id = caller.company_id AND r.id = parent.id AND r.created_at = opened FOR SHARE;
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
                       AND s.recording_created_at = opened AND s.sequence = seq - 1 AND s.sha256 <> previous_hash)
            OR EXISTS (SELECT FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
                       AND s.recording_created_at = opened AND s.sequence = seq + 1 AND s.previous_sha256 <> hash) THEN
            PERFORM fail('SS041', 'segment_chain_broken');
        END IF;
        INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256,
                             previous_sha256, md5, size, started_at, ended_at, frames)
            VALUES (caller.company_id, recording, opened, seq, target.id,
                    concat_ws('/', nullif(target.prefix, ''), caller.company_id, caller.id, recording,
                              lpad(seq::text, 8, '0') || '-' || encode(hash, 'hex') || '.sss'),
                    hash, previous_hash, content_md5, content_size, started, ended, frame_count)
            ON CONFLICT DO NOTHING;
        -- One who asked at the same moment may have been first: what counts is what is there now.
        SELECT s.* INTO STRICT known FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
            AND s.recording_created_at = opened AND s.sequence = seq;
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

CREATE OR REPLACE FUNCTION api.complete_segment(token text, recording uuid, seq integer, hash bytea)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  device := enter_device(token);
    parent  recording := own_recording(caller, recording);
    known   segment;
BEGIN
    SELECT s.* INTO known FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = parent.id
        AND s.recording_created_at = parent.created_at AND s.sequence = seq;
    IF known.id IS NULL THEN
        PERFORM fail('SS044', 'segment_unknown');
    ELSIF known.sha256 <> hash THEN
        PERFORM fail('SS042', 'segment_conflict');
    END IF;
    UPDATE segment s SET completed_at = now() WHERE s.company_id = caller.company_id AND s.recording_id = parent.id
        AND s.recording_created_at = parent.created_at AND s.sequence = seq AND s.completed_at IS NULL;
END
$$;

CREATE OR REPLACE FUNCTION api.device_policy(token text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    RETURN (SELECT json_build_object(
                'revision', p.revision, 'company', c.name, 'device_id', caller.id, 'employee', coalesce(e.name, ''),
                'recording', p.recording, 'frames_per_second', p.frames_per_second, 'jpeg_quality', p.jpeg_quality,
                'segment_seconds', p.segment_seconds, 'segment_bytes', p.segment_bytes,
                'bucket_host', coalesce(bucket_host(b), ''))
            FROM company c
                JOIN LATERAL (SELECT v.* FROM policy v WHERE v.company_id = c.id ORDER BY v.revision DESC LIMIT 1) p ON true
                LEFT JOIN bucket b ON b.company_id = c.id AND b.current
                LEFT JOIN employee e ON e.company_id = c.id AND e.id = caller.employee_id
            WHERE c.id = caller.company_id);
END
$$;

-- What a time does not bring by itself: next months' partitions, and an end to what has expired. apid asks once an hour.
CREATE FUNCTION api.maintain() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
BEGIN
    PERFORM enter_nobody();
    DELETE FROM login_failure f WHERE f.failed_at < now() - interval '1 day';
    RETURN make_partitions(now(), now() + interval '3 months');
END
$$;
GRANT EXECUTE ON FUNCTION api.maintain() TO streamsight_apid;

RESET ROLE;
RESET search_path;
