-- SPDX-License-Identifier: Apache-2.0
-- The ledgers as a whole: their trail, their months, and what time does not do by itself.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- GET /v1/audit: newest first.
CREATE OR REPLACE FUNCTION api.list_audit(token text, from_time timestamptz, to_time timestamptz, of_action text, of_subject uuid,
                                          before_id bigint, page_size integer) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'auditor');
    shown   integer := coalesce(page_size, 100);
    rows    json[] := ARRAY(
        SELECT json_build_object('id', a.id, 'at', rfc3339(a.at), 'actor', a.actor, 'actor_id', a.actor_id, 'action', a.action,
                                 'subject_id', a.subject_id, 'address', a.address, 'detail', a.detail,
                                 'sha256', encode(a.sha256, 'hex'))
        FROM audit a
        WHERE a.company_id = caller.company_id AND (before_id IS NULL OR a.id < before_id)
            AND (from_time IS NULL OR a.at >= from_time) AND (to_time IS NULL OR a.at < to_time)
            AND (of_action IS NULL OR a.action = of_action) AND (of_subject IS NULL OR a.subject_id = of_subject)
        ORDER BY a.id DESC LIMIT shown + 1);
BEGIN
    RETURN json_build_object('audit', coalesce(array_to_json(rows[1:shown]), '[]'),
                             'next', CASE WHEN cardinality(rows) > shown THEN (rows[shown] ->> 'id')::bigint END);
END
$$;

-- Takes the months before a day out of all ledgers, into a schema where nobody has a right on them: to be saved and dropped. The months
-- that are now and next stay, and what goes on in a month that is detached ends with it. Returns what was taken out.
CREATE OR REPLACE FUNCTION detach_ledgers(before date) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET timezone = 'UTC' SET lock_timeout = '10s' AS $$
DECLARE
    part   record;
    fkey   text;
BEGIN
    PERFORM pg_advisory_xact_lock(7310582290457413990);
    -- Segments before the recordings that they are of.
    FOR part IN SELECT p.relname AS whole, c.relname AS name, c.oid FROM pg_class p JOIN pg_inherits i ON i.inhparent = p.oid
                    JOIN pg_class c ON c.oid = i.inhrelid
                WHERE p.relnamespace = 'streamsight'::regnamespace AND p.relname IN ('segment', 'recording', 'viewing', 'audit')
                    AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= least(before, date_trunc('month', now()))
                ORDER BY p.relname = 'recording', c.relname LOOP
        IF part.whole = 'audit' THEN
            INSERT INTO audit_detached SELECT * FROM audit_ends(to_date(right(part.name, 7), 'YYYY_MM'))
                ON CONFLICT (company_id) DO UPDATE SET id = excluded.id, sha256 = excluded.sha256;
        END IF;
        IF part.whole = 'recording' THEN
            PERFORM forget_live_recordings((to_date(right(part.name, 7), 'YYYY_MM') + interval '1 month')::timestamptz);
        END IF;
        EXECUTE format('ALTER TABLE streamsight.%I DETACH PARTITION streamsight.%I', part.whole, part.name);
        -- A detached segment keeps its reference to a recording that goes as well.
        FOR fkey IN SELECT o.conname FROM pg_constraint o WHERE o.conrelid = part.oid AND o.contype = 'f'
                    AND o.conparentid = 0 LOOP
            EXECUTE format('ALTER TABLE streamsight.%I DROP CONSTRAINT %I', part.name, fkey);
        END LOOP;
        EXECUTE format('ALTER TABLE streamsight.%I SET SCHEMA streamsight_detached', part.name);
        RETURN NEXT 'streamsight_detached.' || part.name;
    END LOOP;
END
$$;

-- What a time does not bring by itself: next months' partitions, and an end to what has expired. apid asks once an hour.
CREATE OR REPLACE FUNCTION api.maintain() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
BEGIN
    PERFORM enter_nobody();
    BEGIN
        PERFORM forget_expired();
    EXCEPTION WHEN lock_not_available THEN  -- somebody was at a row: in an hour
        NULL;
    END;
    RETURN make_partitions(now(), now() + interval '3 months');
END
$$;

-- What the database is of: its newest migration; and the version of these procedures with a digest of their files, which
-- "streamsight-admin migrate" notes as schema api's comment.
CREATE OR REPLACE FUNCTION api.version(OUT schema integer, OUT procedures text) LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT max(number), obj_description('api'::regnamespace, 'pg_namespace') FROM migration
$$;

-- Row-level security shows the owner one company at a time, and the administrator all: what is asked of all is the administrator's.
RESET ROLE;

-- Each company's last row of a month.
CREATE OR REPLACE FUNCTION audit_ends(month date) RETURNS TABLE (company_id uuid, id bigint, sha256 bytea) LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET timezone = 'UTC' AS $$
    SELECT DISTINCT ON (a.company_id) a.company_id, a.id, a.sha256 FROM audit a
    WHERE a.at >= month::timestamptz AND a.at < (month + interval '1 month')::timestamptz ORDER BY a.company_id, a.id DESC
$$;
ALTER FUNCTION audit_ends(date) OWNER TO streamsight_admin;

-- A recording that is detached is none any more.
CREATE OR REPLACE FUNCTION forget_live_recordings(before timestamptz) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    DELETE FROM live_recording l WHERE l.created_at < before
$$;
ALTER FUNCTION forget_live_recordings(timestamptz) OWNER TO streamsight_admin;

-- What has expired for so long that nobody asks for it any more. Who comes back removes their own sooner; this is for those who do not. A
-- recording that goes on for longer is found as one of before there were live ones.
CREATE OR REPLACE FUNCTION forget_expired() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    old record;
BEGIN
    FOR old IN SELECT * FROM (VALUES
            ('assertion_jti', 'expires_at', interval '1 day'), ('device_token', 'expires_at', interval '1 day'),
            ('login_failure', 'failed_at', interval '1 day'), ('challenge', 'expires_at', interval '1 day'),
            ('session', 'expires_at', interval '1 day'), ('invitation', 'expires_at', interval '1 day'),
            ('idempotency', 'created_at', interval '1 day'), ('enrolment_code', 'expires_at', interval '30 days'),
            ('live_recording', 'created_at', interval '30 days')) AS t (name, at, kept) LOOP
        EXECUTE format('DELETE FROM %1$I WHERE ctid = ANY (ARRAY(SELECT ctid FROM %1$I WHERE %2$I < now() - %3$L::interval LIMIT 10000))',
                       old.name, old.at, old.kept);
    END LOOP;
END
$$;
ALTER FUNCTION forget_expired() OWNER TO streamsight_admin;

RESET search_path;
