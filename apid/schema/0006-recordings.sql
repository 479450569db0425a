-- SPDX-License-Identifier: Apache-2.0
-- Recordings: opened and finished by the device, each as often as it likes as long as it says the same.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- PUT /v1/recordings/{id}. True if it is new.
CREATE FUNCTION api.open_recording(token text, recording uuid, started timestamptz, why text, host text, shown jsonb)
    RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  device := enter_device(token);
    known   recording;
BEGIN
    INSERT INTO recording (company_id, id, device_id, hostname, reason, outputs, started_at)
        VALUES (caller.company_id, recording, caller.id, host, why, shown, started) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN true;
    END IF;
    SELECT r.* INTO STRICT known FROM recording r WHERE r.company_id = caller.company_id AND r.id = recording;
    IF (known.device_id, known.hostname, known.reason, known.outputs, known.started_at)
            IS DISTINCT FROM (caller.id, host, why, shown, started) THEN
        PERFORM fail('SS030', 'recording_conflict');
    END IF;
    RETURN false;
END
$$;

-- The recording, if it is this device's own. Another device's is as unknown as none.
CREATE FUNCTION own_recording(caller device, recording uuid) RETURNS recording LANGUAGE plpgsql AS $$
DECLARE
    found recording;
BEGIN
    SELECT r.* INTO found FROM recording r
        WHERE r.company_id = caller.company_id AND r.id = recording AND r.device_id = caller.id;
    IF found.id IS NULL THEN
        PERFORM fail('SS031', 'recording_unknown');
    END IF;
    RETURN found;
END
$$;

-- POST /v1/recordings/{id}/finish. Finished only if the result is empty; else it holds the sequences (the first hundred)
-- that are not complete.
CREATE FUNCTION api.finish_recording(token text, recording uuid, segment_count integer, ended timestamptz, why text)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller   device := enter_device(token);
    known    recording := own_recording(caller, recording);
    missing  json;
    held     integer;
BEGIN
    -- Against another finish, and against a segment being offered (api.offer_segment's FOR SHARE).
    SELECT r.* INTO STRICT known FROM recording r WHERE r.company_id = caller.company_id AND r.id = recording FOR UPDATE;
    IF known.finished_at IS NOT NULL THEN
        IF (known.segments, known.ended_at, known.end_reason) IS DISTINCT FROM (segment_count, ended, why) THEN
            PERFORM fail('SS032', 'recording_finished');
        END IF;
        RETURN '[]';
    END IF;
    -- A device that lost what it had announced says so; those segments stay listed, as lost.
    IF why <> 'interrupted' AND EXISTS (SELECT FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
               AND s.sequence >= segment_count) THEN
        PERFORM fail('SS033', 'segments_beyond_end');
    END IF;

    -- Of the first held + 100 sequences at least a hundred are missing: no need to look at the rest of a huge count.
    SELECT count(*) INTO held FROM segment s
        WHERE s.company_id = caller.company_id AND s.recording_id = recording AND s.completed_at IS NOT NULL;
    SELECT json_agg(m.sequence) INTO missing FROM (
        SELECT n.sequence FROM generate_series(0, least(segment_count, held + 100) - 1) AS n (sequence)
        WHERE NOT EXISTS (SELECT FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
                          AND s.sequence = n.sequence AND s.completed_at IS NOT NULL)
        ORDER BY n.sequence LIMIT 100) AS m;
    IF missing IS NOT NULL AND why <> 'interrupted' THEN
        RETURN missing;
    END IF;
    UPDATE recording r SET finished_at = now(), ended_at = ended, end_reason = why, segments = segment_count
        WHERE r.company_id = caller.company_id AND r.id = recording;
    RETURN '[]';
END
$$;

GRANT EXECUTE ON FUNCTION api.open_recording(text, uuid, timestamptz, text, text, jsonb),
    api.finish_recording(text, uuid, integer, timestamptz, text) TO streamsight_apid;

RESET ROLE;
RESET search_path;
