-- SPDX-License-Identifier: Apache-2.0
-- What devices sign: of each segment when it is announced, and of each recording when it is finished. apid has verified the
-- signature (PostgreSQL cannot); that the key is the caller's is decided here. A row that was made before this has none.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- The statement that the row being made comes with.
CREATE FUNCTION current_statement() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT nullif(pg_catalog.current_setting('streamsight.statement', true), '')
$$;

ALTER TABLE segment ADD COLUMN statement text CHECK (octet_length(statement) <= 1023);
ALTER TABLE segment ALTER COLUMN statement SET DEFAULT streamsight.current_statement();
ALTER TABLE recording ADD COLUMN statement text CHECK (octet_length(statement) <= 1023);

CREATE FUNCTION check_signer(caller device, signer uuid, signing_key bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (caller.id, caller.public_key) IS DISTINCT FROM (signer, signing_key) THEN
        PERFORM fail('SS046', 'statement_invalid');
    END IF;
END
$$;

-- POST /v1/recordings/{id}/segments. ECDSA signs the same twice with different results: the first statement is kept, and
-- every other one that was accepted for the segment says the same.
CREATE FUNCTION api.offer_signed_segment(token text, recording uuid, seq integer, hash bytea, previous_hash bytea,
                                         content_md5 bytea, content_size integer, started timestamptz, ended timestamptz,
                                         frame_count integer, signer uuid, signing_key bytea, signed text)
    RETURNS api.upload LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
BEGIN
    PERFORM check_signer(enter_device(token), signer, signing_key);
    PERFORM set_config('streamsight.statement', signed, true);
    RETURN api.offer_segment(token, recording, seq, hash, previous_hash, content_md5, content_size, started, ended,
                             frame_count);
END
$$;

-- POST /v1/recordings/{id}/finish.
CREATE FUNCTION api.finish_signed_recording(token text, recording uuid, segment_count integer, ended timestamptz, why text,
                                            signer uuid, signing_key bytea, signed text)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller   device := enter_device(token);
    missing  json;
BEGIN
    PERFORM check_signer(caller, signer, signing_key);
    missing := api.finish_recording(token, recording, segment_count, ended, why);
    UPDATE recording r SET statement = signed
        WHERE r.company_id = caller.company_id AND r.id = finish_signed_recording.recording AND r.finished_at IS NOT NULL
            AND r.statement IS NULL;
    RETURN missing;
END
$$;

REVOKE EXECUTE ON FUNCTION
    api.offer_segment(text, uuid, integer, bytea, bytea, bytea, integer, timestamptz, timestamptz, integer),
    api.finish_recording(text, uuid, integer, timestamptz, text) FROM streamsight_apid;
GRANT EXECUTE ON FUNCTION
    api.offer_signed_segment(text, uuid, integer, bytea, bytea, bytea, integer, timestamptz, timestamptz, integer, uuid,
                             bytea, text),
    api.finish_signed_recording(text, uuid, integer, timestamptz, text, uuid, bytea, text) TO streamsight_apid;

RESET ROLE;
RESET search_path;
