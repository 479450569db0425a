-- SPDX-License-Identifier: Apache-2.0
-- Recordings: opened and finished by the device, each as often as it likes as long as it says the same.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- A recording of the company. Almost always it is of these days: it lies in one partition or two, and those of the months to come are not
-- looked into, nor those that are over unless it is not there. The order is that of the key, so that its index is taken and none that only
-- begins like it.
CREATE OR REPLACE FUNCTION find_recording(company uuid, recording uuid) RETURNS recording LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    found recording;
BEGIN
    SELECT r.* INTO found FROM recording r
        WHERE r.company_id = company AND r.id = recording AND r.created_at BETWEEN now() - interval '3 days' AND now() + interval '1 hour'
        ORDER BY r.created_at;
    IF found.id IS NULL THEN
        SELECT r.* INTO found FROM recording r WHERE r.company_id = company AND r.id = recording ORDER BY r.created_at;
    END IF;
    RETURN found;
END
$$;

-- The recording, if it is this device's own. Another device's is as unknown as none.
CREATE OR REPLACE FUNCTION own_recording(caller device, recording uuid) RETURNS recording LANGUAGE plpgsql AS $$
DECLARE
    found recording := find_recording(caller.company_id, recording);
BEGIN
    IF found.id IS NULL OR found.device_id <> caller.id THEN
        PERFORM fail('SS031', 'recording_unknown');
    END IF;
    RETURN found;
END
$$;

-- PUT /v1/recordings/{id}. True if it is new.
CREATE OR REPLACE FUNCTION api.open_recording(token text, recording uuid, started timestamptz, why text, host text, shown jsonb)
    RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan AS $$
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
        INSERT INTO live_recording (company_id, id, device_id, created_at) VALUES (caller.company_id, recording, caller.id, now());
        RETURN true;
    END IF;
    IF (known.device_id, known.hostname, known.reason, known.outputs, known.started_at)
            IS DISTINCT FROM (caller.id, host, why, shown, started) THEN
        PERFORM fail('SS030', 'recording_conflict');
    END IF;
    RETURN false;
END
$$;

-- Finished only if the result is empty; else it holds the first sequences that are not complete, a hundred at most. A device may be refused as
-- often as it likes: what was found complete once is not looked at again, nor much of what comes after the first that is not.
CREATE OR REPLACE FUNCTION finish_recording(token text, recording uuid, segment_count integer, ended timestamptz, why text)
    RETURNS json LANGUAGE plpgsql
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    caller    device := enter_device(token);
    known     recording := own_recording(caller, recording);
    opened    timestamptz := known.created_at;
    there     integer;  -- so many from the first on are complete
    total     bigint;
BEGIN
    -- Against a segment being announced, which locks the first of the two, or both, and against another finish.
    SELECT l.complete INTO there FROM live_recording l WHERE l.company_id = caller.company_id AND l.id = recording FOR UPDATE;
    SELECT r.* INTO STRICT known FROM recording r
        WHERE r.company_id = caller.company_id AND r.id = recording AND r.created_at = opened FOR UPDATE;
    IF known.finished_at IS NOT NULL THEN
        IF (known.segments, known.ended_at, known.end_reason) IS DISTINCT FROM (segment_count, ended, why) THEN
            PERFORM fail('SS032', 'recording_finished');
        END IF;
        RETURN '[]';
    END IF;
    -- A device that lost what it had announced says so; those segments stay listed, as lost.
    IF why <> 'interrupted' THEN
        IF EXISTS (SELECT FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
                   AND s.recording_created_at = opened AND s.sequence >= segment_count) THEN
            PERFORM fail('SS033', 'segments_beyond_end');
        END IF;
        there := coalesce(there, 0);
        there := coalesce(
            -- the first that is not in its place, or not complete,
            (SELECT n.place FROM (SELECT s.sequence, s.completed_at, there + row_number() OVER (ORDER BY s.sequence) - 1 AS place FROM segment s
                WHERE s.company_id = caller.company_id AND s.recording_id = recording AND s.recording_created_at = opened
                    AND s.sequence >= there) AS n
             WHERE n.sequence <> n.place OR n.completed_at IS NULL ORDER BY n.sequence LIMIT 1),
            -- or the one after the last.
            (SELECT s.sequence + 1 FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
                AND s.recording_created_at = opened ORDER BY s.sequence DESC LIMIT 1), 0);
        IF there < segment_count THEN
            UPDATE live_recording l SET complete = there
                WHERE l.company_id = caller.company_id AND l.id = recording AND l.complete < there;
            RETURN (SELECT json_agg(m.sequence) FROM (
                SELECT generate_series(there, least(segment_count, there + 1000) - 1) AS sequence EXCEPT
                SELECT s.sequence FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
                    AND s.recording_created_at = opened AND s.sequence BETWEEN there AND there + 999 AND s.completed_at IS NOT NULL
                ORDER BY sequence LIMIT 100) AS m);
        END IF;
        SELECT coalesce(sum(s.size), 0) INTO total FROM segment s
            WHERE s.company_id = caller.company_id AND s.recording_id = recording AND s.recording_created_at = opened;
    END IF;
    UPDATE recording r SET finished_at = now(), ended_at = ended, end_reason = why, segments = segment_count, bytes = total
        WHERE r.company_id = caller.company_id AND r.id = recording AND r.created_at = opened;
    DELETE FROM live_recording l WHERE l.company_id = caller.company_id AND l.id = recording;
    RETURN '[]';
END
$$;

-- POST /v1/recordings/{id}/finish.
CREATE OR REPLACE FUNCTION api.finish_signed_recording(token text, recording uuid, segment_count integer, ended timestamptz, why text,
                                                       signer uuid, signing_key bytea, signed text)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    caller   device := enter_device(token);
    missing  json;
BEGIN
    PERFORM check_signer(caller, signer, signing_key);
    missing := finish_recording(token, recording, segment_count, ended, why);
    UPDATE recording r SET statement = signed
        WHERE r.company_id = caller.company_id AND r.id = finish_signed_recording.recording AND r.finished_at IS NOT NULL
            AND r.statement IS NULL;
    RETURN missing;
END
$$;

RESET ROLE;
RESET search_path;
