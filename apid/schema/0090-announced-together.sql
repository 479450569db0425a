-- SPDX-License-Identifier: Apache-2.0
-- Segments that are announced at the same moment are entered together: for one row, PostgreSQL spends most on making statements ready.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- What api.offer_signed_segment() does, for those of them that are as usual: of a device with a good token, signed by its present key, the
-- next one of a recording that goes on. Of the others there is no row, and nothing is done; for them that procedure is called. Nobody is
-- waited for, so that none keeps the others waiting. place: which one it is, from 0.
CREATE FUNCTION api.offer_signed_segments(tokens text[], recordings uuid[], seqs integer[], hashes bytea[], previous_hashes bytea[],
                                          content_md5s bytea[], content_sizes integer[], starts timestamptz[], ends timestamptz[],
                                          frame_counts integer[], signers uuid[], signing_keys bytea[], statements text[])
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
    -- Company by company: each of these sees its own rows alone. For one row of a company that is
    -- no less to do than by itself.
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
GRANT EXECUTE ON FUNCTION api.offer_signed_segments(text[], uuid[], integer[], bytea[], bytea[], bytea[], integer[], timestamptz[],
                                                    timestamptz[], integer[], uuid[], bytea[], text[]) TO streamsight_apid;

RESET ROLE;
RESET search_path;
