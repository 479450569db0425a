-- SPDX-License-Identifier: Apache-2.0
-- Segments are announced one after the other, at each of which the recording and the segment before it were looked for in all months'
-- partitions. What is asked then is now kept in a row of its own for each recording that goes on; only what does not follow on it is
-- looked for as before.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- sequence: the highest that is known, -1 if none is; sha256: that segment's. Room is left for a row's next version beside it.
CREATE TABLE live_recording (
    company_id  uuid NOT NULL,
    id          uuid NOT NULL,
    device_id   uuid NOT NULL,
    created_at  timestamptz NOT NULL,
    sequence    integer NOT NULL DEFAULT -1,
    sha256      bytea,
    PRIMARY KEY (company_id, id)
) WITH (fillfactor = 50);
ALTER TABLE live_recording ENABLE ROW LEVEL SECURITY;
ALTER TABLE live_recording FORCE ROW LEVEL SECURITY;
CREATE POLICY company ON live_recording USING (company_id = streamsight.current_company());
CREATE POLICY administrator ON live_recording TO streamsight_admin USING (true);
GRANT SELECT, DELETE ON live_recording TO streamsight_admin;

-- What is there is of every company: above row-level security. Older ones than of these days are found as before.
RESET ROLE;
INSERT INTO live_recording (company_id, id, device_id, created_at, sequence, sha256)
    SELECT r.company_id, r.id, r.device_id, r.created_at, coalesce(s.sequence, -1), s.sha256 FROM recording r LEFT JOIN LATERAL (
        SELECT g.sequence, g.sha256 FROM segment g WHERE g.company_id = r.company_id AND g.recording_id = r.id
            AND g.recording_created_at = r.created_at ORDER BY g.sequence DESC LIMIT 1) s ON true
    WHERE r.finished_at IS NULL AND r.created_at > now() - interval '7 days';

-- A recording that is detached is none any more.
CREATE FUNCTION forget_live_recordings(before timestamptz) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    DELETE FROM live_recording l WHERE l.created_at < before
$$;
ALTER FUNCTION forget_live_recordings(timestamptz) OWNER TO streamsight_admin;
REVOKE ALL ON FUNCTION forget_live_recordings(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_live_recordings(timestamptz) TO streamsight_owner;
SET ROLE streamsight_owner;

-- An id is looked for by itself: it is unique in the world, and what is found is shown to its company alone. An index that began with the
-- company was as good as the key's for a planner that had seen the month's partition empty, and then all of the company's segments of
-- the month were looked at for each.
ALTER TABLE segment DROP CONSTRAINT segment_company_id_id_recording_created_at_key;
CREATE INDEX segment_id ON segment (id);

-- As in 0040, in fewer expressions: PostgreSQL makes each ready anew in each transaction.
CREATE OR REPLACE FUNCTION enter_device(token text) RETURNS device LANGUAGE plpgsql AS $$
DECLARE
    hash     bytea := sha256(convert_to(token, 'UTF8'));
    ignored  text := set_config('streamsight.company', '', true) || set_config('streamsight.device', '', true)
                     || set_config('streamsight.secret', encode(hash, 'hex'), true);
    company  uuid;
    device   uuid;
    expires  timestamptz;
    caller   device;
BEGIN
    SELECT t.company_id, t.device_id, t.expires_at INTO company, device, expires FROM device_token t WHERE t.token_sha256 = hash;
    IF company IS NULL THEN
        PERFORM fail('SS001', 'token_invalid');
    ELSIF expires <= now() THEN
        PERFORM fail('SS002', 'token_expired');
    END IF;
    ignored := set_config('streamsight.secret', '', true) || set_config('streamsight.company', company::text, true);
    SELECT d.* INTO STRICT caller FROM device d WHERE d.company_id = company AND d.id = device;
    IF caller.revoked_at IS NOT NULL THEN
        PERFORM fail('SS003', 'device_revoked');
    END IF;
    RETURN caller;
END
$$;

-- As in 0071. The order is that of the key, so that its index is taken and none that only begins like it.
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

-- As in 0012, and the recording goes on no more.
CREATE OR REPLACE FUNCTION api.finish_recording(token text, recording uuid, segment_count integer, ended timestamptz, why text)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    caller   device := enter_device(token);
    known    recording := own_recording(caller, recording);
    opened   timestamptz := known.created_at;
    missing  json;
    held     integer;
BEGIN
    -- Against a segment being announced, which locks the first of the two, or both, and against another finish.
    PERFORM FROM live_recording l WHERE l.company_id = caller.company_id AND l.id = recording FOR UPDATE;
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
    DELETE FROM live_recording l WHERE l.company_id = caller.company_id AND l.id = recording;
    RETURN '[]';
END
$$;

-- What there is of a segment that does not follow on the last one known: its row, or one in which only recording_created_at is set if it
-- may be added. The locks are held until the end: nothing is added to, or ends, the recording meanwhile.
CREATE FUNCTION place_segment(caller device, recording uuid, seq integer, hash bytea, previous_hash bytea) RETURNS segment
    LANGUAGE plpgsql SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    parent  recording := own_recording(caller, recording);
    known   segment;
    near    segment;
    agrees  boolean := true;
BEGIN
    PERFORM FROM live_recording l WHERE l.company_id = caller.company_id AND l.id = parent.id FOR UPDATE;
    SELECT r.* INTO STRICT parent FROM recording r
        WHERE r.company_id = caller.company_id AND r.id = parent.id AND r.created_at = parent.created_at FOR NO KEY UPDATE;
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
        ELSIF (seq = 0) <> (previous_hash IS NULL) OR NOT agrees THEN
            PERFORM fail('SS041', 'segment_chain_broken');
        END IF;
        UPDATE live_recording l SET sequence = seq, sha256 = hash
            WHERE l.company_id = caller.company_id AND l.id = parent.id AND l.sequence < seq;
        known.recording_created_at := parent.created_at;
    END IF;
    RETURN known;
END
$$;

CREATE OR REPLACE FUNCTION api.offer_signed_segment(token text, recording uuid, seq integer, hash bytea, previous_hash bytea,
                                                    content_md5 bytea, content_size integer, started timestamptz, ended timestamptz,
                                                    frame_count integer, signer uuid, signing_key bytea, signed text)
    RETURNS api.upload LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    caller   device := enter_device(token);
    opened   timestamptz;
    target   bucket;
    known    segment;
    key      text;
BEGIN
    IF (caller.id, caller.public_key) IS DISTINCT FROM (signer, signing_key) THEN
        PERFORM check_signer(caller, signer, signing_key);
    END IF;
    -- Almost always it is the next one of a recording that goes on. The row that says so is locked by this until the end.
    UPDATE live_recording l SET sequence = seq, sha256 = hash
        WHERE l.company_id = caller.company_id AND l.id = recording AND l.device_id = caller.id AND l.sequence = seq - 1
            AND l.sha256 IS NOT DISTINCT FROM previous_hash
        RETURNING l.created_at INTO opened;
    IF opened IS NULL THEN
        known := place_segment(caller, recording, seq, hash, previous_hash);
        IF known.id IS NOT NULL THEN
            IF (known.sha256, known.previous_sha256, known.md5, known.size) IS DISTINCT FROM
                    (hash, previous_hash, content_md5, content_size) THEN
                PERFORM fail('SS042', 'segment_conflict');
            ELSIF known.completed_at IS NOT NULL THEN
                PERFORM fail('SS043', 'segment_complete');
            END IF;
            SELECT b.* INTO STRICT target FROM bucket b WHERE b.company_id = caller.company_id AND b.id = known.bucket_id;
            RETURN upload_to(target, known.object_key);
        END IF;
        opened := known.recording_created_at;
    END IF;
    SELECT b.* INTO target FROM bucket b WHERE b.company_id = caller.company_id AND b.current;
    IF target.id IS NULL THEN
        PERFORM fail('SS040', 'bucket_missing');
    END IF;
    key := concat_ws('/', nullif(target.prefix, ''), caller.company_id, caller.id, recording,
                     lpad(seq::text, 8, '0') || '-' || encode(hash, 'hex') || '.sss');
    INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256, previous_sha256, md5,
                         size, started_at, ended_at, frames, statement)
        VALUES (caller.company_id, recording, opened, seq, target.id, key, hash, previous_hash, content_md5, content_size, started, ended,
                frame_count, signed);
    RETURN ROW(target.company_id, target.id, target.endpoint, target.region, target.bucket, target.path_style, target.sse,
               target.access_key_id, target.secret, key, target.sse_kms_key_id)::api.upload;
END
$$;

CREATE OR REPLACE FUNCTION api.complete_segment(token text, recording uuid, seq integer, hash bytea)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    caller  device := enter_device(token);
    parent  recording;
    opened  timestamptz;
    known   segment;
BEGIN
    SELECT l.created_at INTO opened FROM live_recording l
        WHERE l.company_id = caller.company_id AND l.id = recording AND l.device_id = caller.id;
    IF opened IS NULL THEN
        parent := own_recording(caller, recording);
        opened := parent.created_at;
    END IF;
    SELECT s.* INTO known FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = recording
        AND s.recording_created_at = opened AND s.sequence = seq;
    IF known.id IS NULL THEN
        PERFORM fail('SS044', 'segment_unknown');
    ELSIF known.sha256 <> hash THEN
        PERFORM fail('SS042', 'segment_conflict');
    END IF;
    UPDATE segment s SET completed_at = now() WHERE s.company_id = caller.company_id AND s.recording_id = recording
        AND s.recording_created_at = opened AND s.sequence = seq AND s.completed_at IS NULL;
END
$$;

-- As in 0052, and what goes on in a month that is detached ends with it.
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

RESET ROLE;
RESET search_path;
