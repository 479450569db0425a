-- SPDX-License-Identifier: Apache-2.0
-- Who looks at recordings: an owner at all of the company's, a manager at those of the employees assigned to them. What is not theirs to
-- see is as unknown as if it was not there. The right to one segment is written down before it is given.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE OR REPLACE FUNCTION may_view(caller account, employee uuid) RETURNS boolean LANGUAGE sql STABLE
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT caller.role = 'owner' OR EXISTS (SELECT FROM assignment a WHERE a.company_id = caller.company_id
                                            AND a.account_id = caller.id AND a.employee_id = employee)
$$;

-- A recording that the caller may see.
CREATE OR REPLACE FUNCTION viewable_recording(caller account, recording uuid) RETURNS recording LANGUAGE plpgsql AS $$
DECLARE
    found recording := find_recording(caller.company_id, recording);
BEGIN
    IF found.id IS NULL OR NOT may_view(caller, found.employee_id) THEN
        PERFORM fail('SS031', 'recording_unknown');
    END IF;
    RETURN found;
END
$$;

-- GET /v1/recordings: newest first, from below the cursor (the last row's started_at and id) on. Those that began within a day before the
-- time asked for, or in it; then the long ones from before. Planned for what is asked: all of the filters are optional. A manager's employees
-- are looked at one by one, each by an index: to look for them among all would be to look at all if they have none.
CREATE OR REPLACE FUNCTION api.list_recordings(token text, of_device uuid, of_employee uuid, from_time timestamptz, to_time timestamptz,
                                               cursor_time timestamptz, cursor_id uuid, page_size integer)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
    caller     account := enter_user(token, 'owner', 'manager');
    everybody  boolean := caller.role = 'owner' AND of_employee IS NULL;
    listing    json;
    more       text;
BEGIN
    WITH whose AS (
        SELECT of_employee AS employee_id WHERE caller.role = 'owner'
        UNION ALL
        SELECT a.employee_id FROM assignment a WHERE caller.role <> 'owner' AND a.company_id = caller.company_id AND a.account_id = caller.id
            AND (of_employee IS NULL OR a.employee_id = of_employee)
    ), page AS (
        SELECT p.* FROM whose CROSS JOIN LATERAL (
            (SELECT r.* FROM recording r
                WHERE r.company_id = caller.company_id
                    AND (of_device IS NULL OR r.device_id = of_device)
                    AND (everybody OR r.employee_id = whose.employee_id)
                    AND (from_time IS NULL OR r.started_at >= from_time - interval '24 hours' AND coalesce(r.ended_at, 'infinity') >= from_time)
                    AND (to_time IS NULL OR r.started_at < to_time)
                    AND (cursor_time IS NULL OR (r.started_at, r.id) < (cursor_time, cursor_id))
                ORDER BY r.started_at DESC, r.id DESC LIMIT page_size + 1)
            UNION ALL
            (SELECT r.* FROM recording r
                WHERE r.company_id = caller.company_id
                    AND (of_device IS NULL OR r.device_id = of_device)
                    AND (everybody OR r.employee_id = whose.employee_id)
                    AND (r.ended_at IS NULL OR r.ended_at - r.started_at > interval '24 hours')
                    AND r.started_at < from_time - interval '24 hours' AND coalesce(r.ended_at, 'infinity') >= from_time
                    AND (to_time IS NULL OR r.started_at < to_time)
                    AND (cursor_time IS NULL OR (r.started_at, r.id) < (cursor_time, cursor_id))
                ORDER BY r.started_at DESC, r.id DESC LIMIT page_size + 1)) AS p
        ORDER BY p.started_at DESC, p.id DESC LIMIT page_size + 1
    ), shown AS (
        SELECT p.*, row_number() OVER (ORDER BY p.started_at DESC, p.id DESC) AS position FROM page p
    )
    SELECT coalesce(json_agg(json_build_object(
               'id', s.id, 'device_id', s.device_id, 'hostname', s.hostname, 'employee_id', s.employee_id, 'employee', e.name,
               'started_at', rfc3339(s.started_at), 'ended_at', rfc3339(s.ended_at),
               'segments', CASE WHEN s.bytes IS NULL THEN held.segments ELSE s.segments END, 'bytes', coalesce(s.bytes, held.bytes),
               'state', CASE WHEN s.finished_at IS NULL THEN 'open' ELSE 'finished' END)
               ORDER BY s.position) FILTER (WHERE s.position <= page_size), '[]'),
           CASE WHEN count(*) > page_size
               THEN max(rfc3339(s.started_at) || '_' || s.id) FILTER (WHERE s.position = page_size) END
    INTO listing, more
    FROM shown s LEFT JOIN employee e ON e.company_id = s.company_id AND e.id = s.employee_id CROSS JOIN LATERAL (
        SELECT count(*) AS segments, coalesce(sum(g.size), 0) AS bytes FROM segment g
        WHERE s.bytes IS NULL AND g.company_id = caller.company_id AND g.recording_id = s.id AND g.recording_created_at = s.created_at
            AND g.completed_at IS NOT NULL) AS held;
    RETURN json_build_object('recordings', listing, 'next', more);
END
$$;

-- GET /v1/recordings/{id}/segments: in order, after a sequence (null: from the first).
CREATE OR REPLACE FUNCTION api.list_segments(token text, recording uuid, after_sequence integer, page_size integer)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller   account := enter_user(token, 'owner', 'manager');
    parent   recording := viewable_recording(caller, recording);
    listing  json;
    last     integer;
BEGIN
    SELECT coalesce(json_agg(json_build_object(
               'id', s.id, 'sequence', s.sequence, 'sha256', encode(s.sha256, 'hex'),
               'previous_sha256', encode(s.previous_sha256, 'hex'), 'size', s.size,
               'started_at', rfc3339(s.started_at), 'ended_at', rfc3339(s.ended_at), 'frames', s.frames,
               'state', CASE WHEN s.completed_at IS NOT NULL THEN 'complete' WHEN parent.finished_at IS NOT NULL THEN 'lost'
                        ELSE 'pending' END) ORDER BY s.sequence), '[]'),
           CASE WHEN count(*) = page_size THEN max(s.sequence) END
    INTO listing, last
    FROM (SELECT g.* FROM segment g
          WHERE g.company_id = caller.company_id AND g.recording_id = recording AND g.recording_created_at = parent.created_at
              AND g.sequence > coalesce(after_sequence, -1)
          ORDER BY g.sequence LIMIT page_size) AS s;
    RETURN json_build_object('segments', listing, 'next', last);
END
$$;

-- POST /v1/segments/{id}/url. The row in the audit trail is committed before apid has what it needs to sign.
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

-- GET /v1/recordings/{id}/statements: what the device signed, for "streamsight verify" without the bucket's own listing.
CREATE OR REPLACE FUNCTION api.list_statements(token text, recording uuid, after_sequence integer, page_size integer) RETURNS json
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

RESET ROLE;
RESET search_path;
