-- SPDX-License-Identifier: Apache-2.0
-- For how many seconds a recording may be paused at the workstation, and whether a locked session is recorded. NULL and false: not.
SET ROLE streamsight_owner;
SET search_path = streamsight;

ALTER TABLE policy ADD COLUMN pause_seconds integer CHECK (pause_seconds BETWEEN 0 AND 86400);
ALTER TABLE policy ADD COLUMN record_locked boolean NOT NULL DEFAULT false;

-- GET /v1/devices/self/policy. What gives no leave is not named: agents from before there was any take it, too.
CREATE OR REPLACE FUNCTION api.device_policy(token text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    RETURN (SELECT json_strip_nulls(json_build_object(
                'revision', p.revision, 'company', c.name, 'device_id', caller.id, 'employee', coalesce(e.name, ''),
                'recording', p.recording, 'frames_per_second', p.frames_per_second, 'jpeg_quality', p.jpeg_quality,
                'segment_seconds', p.segment_seconds, 'segment_bytes', p.segment_bytes,
                'bytes_per_minute', p.bytes_per_minute, 'cpu_ms_per_second', p.cpu_ms_per_second,
                'pause_seconds', nullif(p.pause_seconds, 0), 'record_locked', nullif(p.record_locked, false),
                'bucket_host', coalesce(bucket_host(b), '')))
            FROM company c
                JOIN LATERAL (SELECT v.* FROM policy v WHERE v.company_id = c.id ORDER BY v.revision DESC LIMIT 1) p ON true
                LEFT JOIN bucket b ON b.company_id = c.id AND b.current
                LEFT JOIN employee e ON e.company_id = c.id AND e.id = caller.employee_id
            WHERE c.id = caller.company_id);
END
$$;

CREATE OR REPLACE FUNCTION policy_json(p policy) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('revision', p.revision, 'recording', p.recording, 'frames_per_second', p.frames_per_second,
                             'jpeg_quality', p.jpeg_quality, 'segment_seconds', p.segment_seconds, 'segment_bytes', p.segment_bytes,
                             'bytes_per_minute', p.bytes_per_minute, 'cpu_ms_per_second', p.cpu_ms_per_second,
                             'pause_seconds', coalesce(p.pause_seconds, 0), 'record_locked', p.record_locked,
                             'changed_at', streamsight.rfc3339(p.changed_at), 'changed_by', p.changed_by)
$$;

-- POST /v1/policies: another revision, made from the one that the caller has seen. Null: as it was there, and so is what the
-- administrator of the control plane sets.
CREATE OR REPLACE FUNCTION api.create_policy(token text, seen integer, how text, rate integer, quality integer, seconds integer, bytes integer,
                                  client_address text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    latest  policy;
BEGIN
    PERFORM FROM company c WHERE c.id = caller.company_id FOR UPDATE;
    SELECT p.* INTO STRICT latest FROM policy p WHERE p.company_id = caller.company_id ORDER BY p.revision DESC LIMIT 1;
    IF latest.revision <> seen THEN
        PERFORM fail('SS058', 'policy_conflict');
    END IF;
    INSERT INTO policy (company_id, revision, recording, frames_per_second, jpeg_quality, segment_seconds, segment_bytes,
                        bytes_per_minute, cpu_ms_per_second, pause_seconds, record_locked, changed_by)
        VALUES (caller.company_id, latest.revision + 1, coalesce(how, latest.recording), coalesce(rate, latest.frames_per_second),
                coalesce(quality, latest.jpeg_quality), coalesce(seconds, latest.segment_seconds),
                coalesce(bytes, latest.segment_bytes), latest.bytes_per_minute, latest.cpu_ms_per_second, latest.pause_seconds,
                latest.record_locked, caller.id) RETURNING * INTO latest;
    PERFORM note(caller.company_id, 'user', caller.id, 'policy.set', caller.company_id, client_address,
                 jsonb_build_object('revision', latest.revision));
    RETURN policy_json(latest);
END
$$;

RESET ROLE;
RESET search_path;
