-- SPDX-License-Identifier: Apache-2.0
-- Who is who. streamsight_owner owns everything and nobody logs in as it; streamsight_apid is what apid logs in as, and
-- may execute the functions of schema api and nothing else. Roles belong to the whole server, so they may be there already
-- (made by the operator, or with another database of the same server).
DO $$
BEGIN
    BEGIN
        CREATE ROLE streamsight_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    BEGIN
        -- Without a password: how it proves itself (peer, scram-sha-256, certificate) is the operator's choice.
        CREATE ROLE streamsight_apid LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOBYPASSRLS;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname IN ('streamsight_owner', 'streamsight_apid')
               AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)) THEN
        RAISE EXCEPTION 'streamsight_owner and streamsight_apid must have no special attribute: '
            'ALTER ROLE ... NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS';
    END IF;
    IF EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = 'streamsight_apid') THEN
        RAISE EXCEPTION 'streamsight_apid must be a member of no role: REVOKE what it was granted';
    END IF;
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
-- Large objects are objects too, and anybody may make them.
REVOKE EXECUTE ON FUNCTION pg_catalog.lo_creat(integer), pg_catalog.lo_create(oid), pg_catalog.lo_from_bytea(oid, bytea)
    FROM PUBLIC;

-- Made by "streamsight-admin migrate" before the first migration.
ALTER SCHEMA streamsight OWNER TO streamsight_owner;
ALTER TABLE streamsight.migration OWNER TO streamsight_owner;

CREATE SCHEMA api AUTHORIZATION streamsight_owner;
GRANT USAGE ON SCHEMA api TO streamsight_apid;

-- What streamsight_owner makes from here on is for nobody else until granted; by default everybody may execute a new
-- function.
ALTER DEFAULT PRIVILEGES FOR ROLE streamsight_owner REVOKE ALL ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE streamsight_owner REVOKE ALL ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE streamsight_owner REVOKE ALL ON SEQUENCES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE streamsight_owner REVOKE ALL ON TYPES FROM PUBLIC;
