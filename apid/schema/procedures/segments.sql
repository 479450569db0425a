-- SPDX-License-Identifier: Apache-2.0
-- Segments: announced before the upload, completed after it.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE OR REPLACE FUNCTION upload_to(target bucket, object_key text) RETURNS api.upload LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN ROW(target.company_id, target.id, target.endpoint, target.region, target.bucket, target.path_style, target.sse,
               target.access_key_id, target.secret, object_key, target.sse_kms_key_id)::api.upload;
END
$$;

-- What there is of a segment that does not follow on the last one known: its row, or one in which only recording_created_at is set if it
-- may be added. The locks are held until the end: nothing is added to, or ends, the recording meanwhile.
CREATE OR REPLACE FUNCTION place_segment(caller device, recording uuid, seq integer, hash bytea, previous_hash bytea) RETURNS segment
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

-- POST /v1/recordings/{id}/segments. Whoever asks again with the same content gets the same object, in the bucket that was the company's
-- when it was first asked for. ECDSA signs the same twice with different results: the first statement is kept, and every other one that was
-- accepted for the segment says the same.
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

-- What api.offer_signed_segment() does, for those of them that are as usual: of a device with a good token, signed by its present key, the
-- next one of a recording that goes on. Of the others there is no row, and nothing is done; for them that procedure is called. Nobody is
-- waited for, so that none keeps the others waiting. place: which one it is, from 0.
CREATE OR REPLACE FUNCTION api.offer_signed_segments(tokens text[], recordings uuid[], seqs integer[], hashes bytea[],
                                                     previous_hashes bytea[], content_md5s bytea[], content_sizes integer[], starts timestamptz[],
                                                     ends timestamptz[], frame_counts integer[], signers uuid[], signing_keys bytea[],
                                                     statements text[])
    RETURNS TABLE (place integer, bucket_id uuid, endpoint text, region text, bucket text, path_style boolean, sse text, access_key_id text,
                   secret bytea, object_key text, sse_kms_key_id text) LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ignored    text := set_config('streamsight.company', '', true) || set_config('streamsight.device', '', true);
    hash       bytea;
    company    uuid;
    device     uuid;
    companies  uuid[];
    devices    uuid[];
    target     bucket;
BEGIN
    FOR n IN 1 .. cardinality(tokens) LOOP
        hash := sha256(convert_to(tokens[n], 'UTF8'));
        ignored := set_config('streamsight.secret', encode(hash, 'hex'), true);
        SELECT t.company_id, t.device_id INTO company, device FROM device_token t WHERE t.token_sha256 = hash AND t.expires_at > now();
        companies[n] := company;
        devices[n] := device;
    END LOOP;
    ignored := set_config('streamsight.secret', '', true);
    -- Company by company: each of these sees its own rows alone. For one row of a company that is no less to do than by itself.
    FOR company IN SELECT c FROM unnest(companies) AS c WHERE c IS NOT NULL GROUP BY c HAVING count(*) > 1 OR cardinality(tokens) = 1 LOOP
        ignored := set_config('streamsight.company', company::text, true);
        SELECT b.* INTO target FROM bucket b WHERE b.company_id = company AND b.current;
        CONTINUE WHEN target.id IS NULL;
        RETURN QUERY WITH next AS (
            SELECT n, l.created_at FROM generate_series(1, cardinality(tokens)) AS n
                JOIN device d ON d.company_id = company AND d.id = devices[n]
                JOIN live_recording l ON l.company_id = company AND l.id = recordings[n]
                WHERE companies[n] = company AND d.revoked_at IS NULL AND d.id = signers[n] AND d.public_key = signing_keys[n]
                    AND l.device_id = d.id AND l.sequence = seqs[n] - 1 AND l.sha256 IS NOT DISTINCT FROM previous_hashes[n]
                FOR NO KEY UPDATE OF l SKIP LOCKED
        ), entered AS (
            UPDATE live_recording l SET sequence = seqs[next.n], sha256 = hashes[next.n] FROM next
                WHERE l.company_id = company AND l.id = recordings[next.n]
                RETURNING next.n, next.created_at, concat_ws('/', nullif(target.prefix, ''), company, devices[next.n], recordings[next.n],
                                                             lpad(seqs[next.n]::text, 8, '0') || '-' || encode(hashes[next.n], 'hex') || '.sss') AS key
        ), added AS (
            INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256, previous_sha256,
                                 md5, size, started_at, ended_at, frames, statement)
                SELECT company, recordings[e.n], e.created_at, seqs[e.n], target.id, e.key, hashes[e.n], previous_hashes[e.n],
                       content_md5s[e.n], content_sizes[e.n], starts[e.n], ends[e.n], frame_counts[e.n], statements[e.n] FROM entered e
        )
        SELECT e.n - 1, target.id, target.endpoint, target.region, target.bucket, target.path_style, target.sse, target.access_key_id,
               target.secret, e.key, target.sse_kms_key_id FROM entered e;
    END LOOP;
END
$$;

-- POST /v1/recordings/{id}/segments/{sequence}/complete. The device's word: apid's key cannot look into the bucket.
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

RESET ROLE;
RESET search_path;
