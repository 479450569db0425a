-- SPDX-License-Identifier: Apache-2.0
-- Who is calling: each procedure of schema api begins with one of these, which turn what the caller proves into a company
-- and open that company's rows. They are not in schema api, so apid cannot call them.
--
-- Errors of schema api have SQLSTATEs of class SS, with the machine word of the HTTP API as message; apid/problem.c has the
-- whole list.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE FUNCTION fail(code text, word text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = word;
END
$$;

-- Whatever a session has set of these before means nothing: a procedure starts from no company at all.
CREATE FUNCTION enter_nobody() RETURNS void LANGUAGE sql AS $$
    SELECT pg_catalog.set_config('streamsight.company', '', true), pg_catalog.set_config('streamsight.secret', '', true),
           pg_catalog.set_config('streamsight.device', '', true)
$$;

CREATE FUNCTION enter_company(company uuid) RETURNS void LANGUAGE sql AS $$
    SELECT pg_catalog.set_config('streamsight.company', company::text, true)
$$;

CREATE FUNCTION token_hash(token text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_catalog.sha256(pg_catalog.convert_to(token, 'UTF8'))
$$;

CREATE FUNCTION enter_device(token text) RETURNS device LANGUAGE plpgsql AS $$
DECLARE
    hash    bytea := token_hash(token);
    known   device_token;
    caller  device;
BEGIN
    PERFORM enter_nobody();
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    SELECT t.* INTO known FROM device_token t WHERE t.token_sha256 = hash;
    PERFORM set_config('streamsight.secret', '', true);
    IF known.company_id IS NULL THEN
        PERFORM fail('SS001', 'token_invalid');
    ELSIF known.expires_at <= now() THEN
        PERFORM fail('SS002', 'token_expired');
    END IF;
    PERFORM enter_company(known.company_id);
    SELECT d.* INTO STRICT caller FROM device d WHERE d.company_id = known.company_id AND d.id = known.device_id;
    IF caller.revoked_at IS NOT NULL THEN
        PERFORM fail('SS003', 'device_revoked');
    END IF;
    RETURN caller;
END
$$;

CREATE FUNCTION enter_viewer(token text) RETURNS viewer_token LANGUAGE plpgsql AS $$
DECLARE
    hash   bytea := token_hash(token);
    known  viewer_token;
BEGIN
    PERFORM enter_nobody();
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    SELECT t.* INTO known FROM viewer_token t WHERE t.token_sha256 = hash;
    PERFORM set_config('streamsight.secret', '', true);
    IF known.company_id IS NULL THEN
        PERFORM fail('SS001', 'token_invalid');
    ELSIF known.expires_at <= now() THEN
        PERFORM fail('SS002', 'token_expired');
    END IF;
    PERFORM enter_company(known.company_id);
    RETURN known;
END
$$;

CREATE FUNCTION rfc3339(t timestamptz) RETURNS text LANGUAGE sql STABLE STRICT AS $$
    SELECT pg_catalog.to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- For GET /v1/health: the newest migration, which fails if the schema is not there.
CREATE FUNCTION api.health() RETURNS integer LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT max(number) FROM migration
$$;
GRANT EXECUTE ON FUNCTION api.health() TO streamsight_apid;

RESET ROLE;
RESET search_path;
