-- SPDX-License-Identifier: Apache-2.0
-- Which keys a device has had, and until when. What it signed with the last one before it got another is still on its way for
-- some days, and the trail says which key took the place of which.
SET search_path = streamsight;
SET ROLE streamsight_owner;

CREATE TABLE device_key (
    company_id  uuid NOT NULL,
    device_id   uuid NOT NULL,
    public_key  bytea NOT NULL CHECK (length(public_key) = 65),
    since       timestamptz NOT NULL DEFAULT now(),
    until       timestamptz,  -- null: it is the present one
    PRIMARY KEY (company_id, device_id, public_key),
    UNIQUE (company_id, public_key),
    FOREIGN KEY (company_id, device_id) REFERENCES device (company_id, id)
);
ALTER TABLE device_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE device_key FORCE ROW LEVEL SECURITY;
CREATE POLICY company ON device_key USING (company_id = streamsight.current_company());
CREATE POLICY administrator ON device_key TO streamsight_admin USING (true);
GRANT SELECT ON device_key TO streamsight_admin;

-- What is there is of every company: above row-level security.
RESET ROLE;
INSERT INTO device_key (company_id, device_id, public_key, since)
    SELECT d.company_id, d.id, d.public_key, coalesce(d.key_changed_at, d.created_at) FROM device d;
SET ROLE streamsight_owner;

-- No key comes back, neither to its device nor to another of the company.
CREATE FUNCTION keep_device_key() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
BEGIN
    UPDATE device_key k SET until = now() WHERE k.company_id = NEW.company_id AND k.device_id = NEW.id AND k.until IS NULL;
    INSERT INTO device_key (company_id, device_id, public_key) VALUES (NEW.company_id, NEW.id, NEW.public_key);
    RETURN NEW;
END
$$;
CREATE TRIGGER keep_key_made AFTER INSERT ON device FOR EACH ROW EXECUTE FUNCTION keep_device_key();
CREATE TRIGGER keep_key AFTER UPDATE OF public_key ON device FOR EACH ROW WHEN (OLD.public_key <> NEW.public_key)
    EXECUTE FUNCTION keep_device_key();

CREATE FUNCTION base64url(data bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT translate(encode(data, 'base64'), E'+/=\n', '-_')
$$;

-- RFC 7638: SHA-256 of the JWK's required members in order. key: 0x04, x, y.
CREATE FUNCTION key_thumbprint(key bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT base64url(sha256(convert_to('{"crv":"P-256","kty":"EC","x":"' || base64url(substr(key, 2, 32)) || '","y":"'
                                       || base64url(substr(key, 34, 32)) || '"}', 'UTF8')))
$$;

-- The present key of a token's device, by which apid verifies that its holder wants another.
CREATE FUNCTION api.present_key(token text) RETURNS bytea LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    RETURN caller.public_key;
END
$$;

-- POST /v1/devices/self/key, after apid has verified that the caller holds both keys: a token, which may be stolen, is not enough to
-- take a device over. present: which one apid has verified the old one's signature with.
DROP FUNCTION api.change_device_key(text, bytea, text);
CREATE FUNCTION api.change_device_key(token text, key bytea, present bytea, client_address text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    SELECT d.* INTO STRICT caller FROM device d WHERE d.company_id = caller.company_id AND d.id = caller.id FOR UPDATE;
    -- The first answer may have been lost on the way.
    IF caller.public_key = key THEN
        RETURN;
    ELSIF caller.public_key <> present THEN  -- it was changed a moment ago
        PERFORM fail('SS011', 'device_key_known');
    END IF;
    BEGIN
        UPDATE device d SET public_key = key, key_changed_at = now() WHERE d.company_id = caller.company_id AND d.id = caller.id;
    EXCEPTION WHEN unique_violation THEN
        PERFORM fail('SS011', 'device_key_known');
    END;
    PERFORM note(caller.company_id, 'device', caller.id, 'device.change_key', caller.id, client_address,
                 jsonb_build_object('before', key_thumbprint(present), 'key', key_thumbprint(key)));
END
$$;

-- The device's present key, or one that it had until a week ago: what waits on a workstation for the network was signed before.
CREATE OR REPLACE FUNCTION check_signer(caller device, signer uuid, signing_key bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF caller.id IS DISTINCT FROM signer OR NOT EXISTS (
            SELECT FROM device_key k WHERE k.company_id = caller.company_id AND k.device_id = caller.id
                AND k.public_key = signing_key AND (k.until IS NULL OR k.until > now() - interval '7 days')) THEN
        PERFORM fail('SS046', 'statement_invalid');
    END IF;
END
$$;

-- As in 0040, but for the signer.
CREATE OR REPLACE FUNCTION api.offer_signed_segment(token text, recording uuid, seq integer, hash bytea, previous_hash bytea,
                                                    content_md5 bytea, content_size integer, started timestamptz, ended timestamptz,
                                                    frame_count integer, signer uuid, signing_key bytea, signed text)
    RETURNS api.upload LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    caller   device := enter_device(token);
    parent   recording;
    target   bucket;
    known    segment;
    near     segment;
    agrees   boolean := true;
BEGIN
    IF (caller.id, caller.public_key) IS DISTINCT FROM (signer, signing_key) THEN
        PERFORM check_signer(caller, signer, signing_key);
    END IF;
    parent := own_recording(caller, recording);
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
        -- Not while it is being finished.
        SELECT r.* INTO STRICT parent FROM recording r
            WHERE r.company_id = caller.company_id AND r.id = parent.id AND r.created_at = parent.created_at FOR SHARE;
        IF parent.finished_at IS NOT NULL THEN
            PERFORM fail('SS032', 'recording_finished');
        END IF;
        SELECT b.* INTO target FROM bucket b WHERE b.company_id = caller.company_id AND b.current;
        IF target.id IS NULL THEN
            PERFORM fail('SS040', 'bucket_missing');
        ELSIF (seq = 0) <> (previous_hash IS NULL) OR NOT agrees THEN
            PERFORM fail('SS041', 'segment_chain_broken');
        END IF;
        INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256,
                             previous_sha256, md5, size, started_at, ended_at, frames, statement)
            VALUES (caller.company_id, parent.id, parent.created_at, seq, target.id,
                    concat_ws('/', nullif(target.prefix, ''), caller.company_id, caller.id, parent.id,
                              lpad(seq::text, 8, '0') || '-' || encode(hash, 'hex') || '.sss'),
                    hash, previous_hash, content_md5, content_size, started, ended, frame_count, signed)
            ON CONFLICT DO NOTHING RETURNING * INTO known;
        -- One who asked at the same moment may have been first: what counts is what is there now.
        IF known.id IS NULL THEN
            SELECT s.* INTO STRICT known FROM segment s WHERE s.company_id = caller.company_id AND s.recording_id = parent.id
                AND s.recording_created_at = parent.created_at AND s.sequence = seq;
        END IF;
    END IF;
    IF (known.sha256, known.previous_sha256, known.md5, known.size) IS DISTINCT FROM
            (hash, previous_hash, content_md5, content_size) THEN
        PERFORM fail('SS042', 'segment_conflict');
    ELSIF known.completed_at IS NOT NULL THEN
        PERFORM fail('SS043', 'segment_complete');
    END IF;
    IF target.id IS DISTINCT FROM known.bucket_id THEN
        SELECT b.* INTO STRICT target FROM bucket b WHERE b.company_id = caller.company_id AND b.id = known.bucket_id;
    END IF;
    RETURN ROW(target.company_id, target.id, target.endpoint, target.region, target.bucket, target.path_style, target.sse,
               target.access_key_id, target.secret, known.object_key)::api.upload;
END
$$;

GRANT EXECUTE ON FUNCTION api.present_key(text), api.change_device_key(text, bytea, bytea, text) TO streamsight_apid;

RESET ROLE;
RESET search_path;
