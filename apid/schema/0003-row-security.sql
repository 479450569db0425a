-- SPDX-License-Identifier: Apache-2.0
-- A second wall below the procedures of schema api: whatever a procedure asks for, it sees and changes rows of one company
-- only, the one that it has entered (procedures/callers.sql) by proof of a token. FORCE holds for the tables' owner too, as which
-- the procedures run. Superusers and BYPASSRLS roles (streamsight-admin's) are above it.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE FUNCTION current_company() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT nullif(pg_catalog.current_setting('streamsight.company', true), '')::uuid
$$;

-- What a caller is looked up by, before its company is known: the SHA-256 of a token or code, in hexadecimal.
CREATE FUNCTION current_secret() RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.decode(pg_catalog.current_setting('streamsight.secret', true), 'hex')
$$;

CREATE FUNCTION current_device() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT nullif(pg_catalog.current_setting('streamsight.device', true), '')::uuid
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['company', 'policy', 'bucket', 'device', 'enrolment_code', 'device_token', 'assertion_jti',
                                'recording', 'segment', 'viewer_token', 'audit'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY company ON %I USING (%I = streamsight.current_company())', name,
                       CASE name WHEN 'company' THEN 'id' ELSE 'company_id' END);
    END LOOP;
END
$$;

CREATE POLICY lookup ON device_token FOR SELECT USING (token_sha256 = streamsight.current_secret());
CREATE POLICY lookup ON viewer_token FOR SELECT USING (token_sha256 = streamsight.current_secret());
CREATE POLICY lookup ON enrolment_code FOR SELECT USING (code_sha256 = streamsight.current_secret());
CREATE POLICY lookup ON device FOR SELECT USING (id = streamsight.current_device());

RESET ROLE;
RESET search_path;
