-- SPDX-License-Identifier: Apache-2.0
-- Who streamsight-admin is from day to day: a role that sees and changes what its commands need in every company, and no
-- superuser. It reads no password hash, no TOTP secret and no token's hash, changes no recording, and can only add to the audit
-- trail. Migrations are the superuser's, as they make roles.
DO $$
BEGIN
    BEGIN
        CREATE ROLE streamsight_admin LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOBYPASSRLS;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'streamsight_admin'
               AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)) THEN
        RAISE EXCEPTION 'streamsight_admin must have no special attribute: '
            'ALTER ROLE ... NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS';
    END IF;
END
$$;

SET ROLE streamsight_owner;
SET search_path = streamsight;

GRANT USAGE ON SCHEMA streamsight, api TO streamsight_admin;
-- A bucket's secret is there under the master key, which streamsight-admin has anyway.
GRANT SELECT ON policy, bucket, device, recording, segment, employee, assignment, viewing, audit, audit_head, migration
    TO streamsight_admin;
GRANT SELECT (id, name, created_at) ON company TO streamsight_admin;
GRANT SELECT (company_id, id, email, name, role, state, created_at) ON account TO streamsight_admin;
GRANT SELECT (company_id, id, created_at, expires_at, used_at, device_id, employee_id) ON enrolment_code TO streamsight_admin;
GRANT SELECT (company_id, account_id, created_at, expires_at) ON session, invitation TO streamsight_admin;

GRANT INSERT ON company, policy, bucket, account, invitation, enrolment_code, audit TO streamsight_admin;
GRANT UPDATE (name) ON company TO streamsight_admin;  -- also to lock a company's row
GRANT UPDATE (access_key_id, secret, current) ON bucket TO streamsight_admin;
GRANT UPDATE (revoked_at) ON device TO streamsight_admin;
GRANT UPDATE (state) ON account TO streamsight_admin;
GRANT DELETE ON session, invitation TO streamsight_admin;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['company', 'policy', 'bucket', 'device', 'recording', 'segment', 'employee', 'assignment', 'viewing',
                                'account', 'invitation', 'session', 'enrolment_code', 'audit', 'audit_head'] LOOP
        EXECUTE format('CREATE POLICY administrator ON %I TO streamsight_admin USING (true)', name);
    END LOOP;
END
$$;

RESET ROLE;
RESET search_path;
