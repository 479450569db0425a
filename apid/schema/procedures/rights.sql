-- SPDX-License-Identifier: Apache-2.0
-- The last of these files. What an earlier version had in schema api and they do not could still be called: it goes. So does what helped it
-- and has other parameters now: which of the two is meant by a name would be PostgreSQL's to choose.
DO $$
DECLARE
    left_over regprocedure;
BEGIN
    FOR left_over IN SELECT p.oid FROM pg_proc p
            WHERE p.xmin <> pg_current_xact_id()::xid AND (p.pronamespace = 'api'::regnamespace
                OR p.pronamespace = 'streamsight'::regnamespace AND EXISTS (SELECT FROM pg_proc made
                    WHERE made.pronamespace = p.pronamespace AND made.proname = p.proname AND made.xmin = pg_current_xact_id()::xid)) LOOP
        EXECUTE 'DROP FUNCTION ' || left_over;
    END LOOP;
END
$$;

-- Who may do what. It is said here alone, and for everything anew.
--
-- Every role may by default connect to a database and make temporary tables in it. What is said of the database as a whole is in no backup.
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC, streamsight_apid, streamsight_admin', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO streamsight_apid, streamsight_admin', current_database());
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA api, streamsight FROM PUBLIC, streamsight_apid, streamsight_admin;

-- Schema api is what apid may do, and nothing else is.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA api TO streamsight_apid;

SET search_path = streamsight;
-- streamsight-admin makes an owner as apid does when an invitation is accepted; the rest is its own.
GRANT EXECUTE ON FUNCTION api.invitation_parameters, api.accept_invitation, api.confirm_totp TO streamsight_admin;
GRANT EXECUTE ON FUNCTION invite_as_administrator, disable_as_administrator TO streamsight_admin;
GRANT EXECUTE ON FUNCTION current_company, current_secret, current_device, rfc3339, mask_anew, place_id, detach_ledgers
    TO streamsight_admin;
GRANT EXECUTE ON FUNCTION audit_ends, forget_live_recordings, forget_expired TO streamsight_owner, streamsight_admin;
RESET search_path;
