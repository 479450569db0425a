-- SPDX-License-Identifier: Apache-2.0
-- GET /v1/recordings?from=: by an index. That a recording ends after a time says nothing of when it began: each one there was had to be
-- looked at for it. But few go on for longer than a day; those, and those that have no end yet, are in an index of their own.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE INDEX recording_long ON recording (company_id, started_at DESC, id DESC)
    WHERE ended_at IS NULL OR ended_at - started_at > interval '24 hours';

-- Of indexes that seem to cost the same, as all do for a planner that has seen the month's partition empty, PostgreSQL takes the one that
-- was made last: the key, by which a recording is looked for with every request of a device. All others begin with the company as well,
-- and all of the company's recordings of the month would be looked at.
ALTER TABLE recording DROP CONSTRAINT recording_pkey, ADD PRIMARY KEY (company_id, id, created_at);

-- Those that began within a day before the time asked for, or in it; then the long ones from before. Planned for what is asked: all of the
-- filters are optional.
CREATE OR REPLACE FUNCTION api.list_recordings(token text, of_device uuid, of_employee uuid, from_time timestamptz, to_time timestamptz,
                                               cursor_time timestamptz, cursor_id uuid, page_size integer)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    caller   account := enter_user(token, 'owner', 'manager');
    listing  json;
    more     text;
BEGIN
    WITH page AS (
        (SELECT r.* FROM recording r
            WHERE r.company_id = caller.company_id
                AND (of_device IS NULL OR r.device_id = of_device)
                AND (of_employee IS NULL OR r.employee_id = of_employee)
                AND (caller.role = 'owner' OR r.employee_id IN (SELECT a.employee_id FROM assignment a
                                                                WHERE a.company_id = caller.company_id AND a.account_id = caller.id))
                AND (from_time IS NULL OR r.started_at >= from_time - interval '24 hours' AND coalesce(r.ended_at, 'infinity') >= from_time)
                AND (to_time IS NULL OR r.started_at < to_time)
                AND (cursor_time IS NULL OR (r.started_at, r.id) < (cursor_time, cursor_id))
            ORDER BY r.started_at DESC, r.id DESC LIMIT page_size + 1)
        UNION ALL
        (SELECT r.* FROM recording r
            WHERE r.company_id = caller.company_id
                AND (of_device IS NULL OR r.device_id = of_device)
                AND (of_employee IS NULL OR r.employee_id = of_employee)
                AND (caller.role = 'owner' OR r.employee_id IN (SELECT a.employee_id FROM assignment a
                                                                WHERE a.company_id = caller.company_id AND a.account_id = caller.id))
                AND (r.ended_at IS NULL OR r.ended_at - r.started_at > interval '24 hours')
                AND r.started_at < from_time - interval '24 hours' AND coalesce(r.ended_at, 'infinity') >= from_time
                AND (to_time IS NULL OR r.started_at < to_time)
                AND (cursor_time IS NULL OR (r.started_at, r.id) < (cursor_time, cursor_id))
            ORDER BY r.started_at DESC, r.id DESC LIMIT page_size + 1)
        ORDER BY started_at DESC, id DESC LIMIT page_size + 1
    ), shown AS (
        SELECT p.*, row_number() OVER (ORDER BY p.started_at DESC, p.id DESC) AS position FROM page p
    )
    SELECT coalesce(json_agg(json_build_object(
               'id', s.id, 'device_id', s.device_id, 'hostname', s.hostname, 'employee_id', s.employee_id, 'employee', e.name,
               'started_at', rfc3339(s.started_at), 'ended_at', rfc3339(s.ended_at),
               'segments', held.segments, 'bytes', held.bytes,
               'state', CASE WHEN s.finished_at IS NULL THEN 'open' ELSE 'finished' END)
               ORDER BY s.position) FILTER (WHERE s.position <= page_size), '[]'),
           CASE WHEN count(*) > page_size
               THEN max(rfc3339(s.started_at) || '_' || s.id) FILTER (WHERE s.position = page_size) END
    INTO listing, more
    FROM shown s LEFT JOIN employee e ON e.company_id = s.company_id AND e.id = s.employee_id CROSS JOIN LATERAL (
        SELECT count(*) AS segments, coalesce(sum(g.size), 0) AS bytes FROM segment g
        WHERE g.company_id = caller.company_id AND g.recording_id = s.id AND g.recording_created_at = s.created_at
            AND g.completed_at IS NOT NULL) AS held;
    RETURN json_build_object('recordings', listing, 'next', more);
END
$$;

RESET ROLE;
RESET search_path;
