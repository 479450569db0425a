-- SPDX-License-Identifier: Apache-2.0
-- Viewers: what there is, and the right to one segment, which is written down before it is given.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- GET /v1/recordings: newest first, from below the cursor (the last row's started_at and id) on.
CREATE FUNCTION api.list_recordings(token text, of_device uuid, from_time timestamptz, to_time timestamptz,
                                    cursor_time timestamptz, cursor_id uuid, page_size integer)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller   viewer_token := enter_viewer(token);
    listing  json;
    more     text;
BEGIN
    WITH page AS (
        SELECT r.* FROM recording r
        WHERE r.company_id = caller.company_id
            AND (of_device IS NULL OR r.device_id = of_device)
            AND (from_time IS NULL OR coalesce(r.ended_at, 'infinity') >= from_time)
            AND (to_time IS NULL OR r.started_at < to_time)
            AND (cursor_time IS NULL OR (r.started_at, r.id) < (cursor_time, cursor_id))
        ORDER BY r.started_at DESC, r.id DESC LIMIT page_size + 1
    ), shown AS (
        SELECT p.*, row_number() OVER (ORDER BY p.started_at DESC, p.id DESC) AS position FROM page p
    )
    SELECT coalesce(json_agg(json_build_object(
               'id', s.id, 'device_id', s.device_id, 'hostname', s.hostname,
               'started_at', rfc3339(s.started_at), 'ended_at', rfc3339(s.ended_at),
               'segments', held.segments, 'bytes', held.bytes,
               'state', CASE WHEN s.finished_at IS NULL THEN 'open' ELSE 'finished' END)
               ORDER BY s.position) FILTER (WHERE s.position <= page_size), '[]'),
           CASE WHEN count(*) > page_size
               THEN max(rfc3339(s.started_at) || '_' || s.id) FILTER (WHERE s.position = page_size) END
    INTO listing, more
    FROM shown s CROSS JOIN LATERAL (
        SELECT count(*) AS segments, coalesce(sum(g.size), 0) AS bytes FROM segment g
        WHERE g.company_id = caller.company_id AND g.recording_id = s.id AND g.completed_at IS NOT NULL) AS held;
    RETURN json_build_object('recordings', listing, 'next', more);
END
$$;

-- GET /v1/recordings/{id}/segments: in order, after a sequence (null: from the first).
CREATE FUNCTION api.list_segments(token text, recording uuid, after_sequence integer, page_size integer)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller   viewer_token := enter_viewer(token);
    listing  json;
    last     integer;
BEGIN
    PERFORM FROM recording r WHERE r.company_id = caller.company_id AND r.id = recording;
    IF NOT FOUND THEN
        PERFORM fail('SS031', 'recording_unknown');
    END IF;
    SELECT coalesce(json_agg(json_build_object(
               'id', s.id, 'sequence', s.sequence, 'sha256', encode(s.sha256, 'hex'),
               'previous_sha256', encode(s.previous_sha256, 'hex'), 'size', s.size,
               'started_at', rfc3339(s.started_at), 'ended_at', rfc3339(s.ended_at), 'frames', s.frames,
               'state', CASE WHEN s.completed_at IS NOT NULL THEN 'complete' WHEN s.finished THEN 'lost' ELSE 'pending' END) ORDER BY s.sequence), '[]'),
           CASE WHEN count(*) = page_size THEN max(s.sequence) END
    INTO listing, last
    FROM (SELECT g.*, r.finished_at IS NOT NULL AS finished
          FROM segment g JOIN recording r ON r.company_id = g.company_id AND r.id = g.recording_id
          WHERE g.company_id = caller.company_id AND g.recording_id = recording
              AND g.sequence > coalesce(after_sequence, -1)
          ORDER BY g.sequence LIMIT page_size) AS s;
    RETURN json_build_object('segments', listing, 'next', last);
END
$$;

-- POST /v1/segments/{id}/url. The row in the audit trail is committed before apid has what it needs to sign.
CREATE FUNCTION api.view_segment(token text, segment uuid, client_address text) RETURNS api.upload
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  viewer_token := enter_viewer(token);
    known   segment;
    target  bucket;
BEGIN
    SELECT s.* INTO known FROM segment s WHERE s.company_id = caller.company_id AND s.id = segment;
    IF known.id IS NULL THEN
        PERFORM fail('SS044', 'segment_unknown');
    ELSIF known.completed_at IS NULL THEN
        PERFORM fail('SS045', 'segment_pending');
    END IF;
    INSERT INTO audit (company_id, actor, actor_id, action, subject_id, address)
        VALUES (caller.company_id, 'viewer', caller.id, 'segment.view', known.id, client_address);
    SELECT b.* INTO STRICT target FROM bucket b WHERE b.company_id = caller.company_id AND b.id = known.bucket_id;
    RETURN ROW(target.company_id, target.id, target.endpoint, target.region, target.bucket, target.path_style, target.sse,
               target.access_key_id, target.secret, known.object_key)::api.upload;
END
$$;

GRANT EXECUTE ON FUNCTION api.list_recordings(text, uuid, timestamptz, timestamptz, timestamptz, uuid, integer),
    api.list_segments(text, uuid, integer, integer), api.view_segment(text, uuid, text) TO streamsight_apid;

RESET ROLE;
RESET search_path;
