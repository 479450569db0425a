-- SPDX-License-Identifier: Apache-2.0
-- What has expired is removed, whoever's it was (forget_expired() in procedures/ledgers.sql): streamsight_admin sees when it did, and may
-- remove it.
SET ROLE streamsight_owner;
SET search_path = streamsight;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['device_token', 'assertion_jti', 'challenge', 'idempotency', 'login_failure'] LOOP
        EXECUTE format('CREATE POLICY administrator ON %I TO streamsight_admin USING (true)', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['device_token', 'assertion_jti', 'challenge', 'session', 'invitation', 'enrolment_code', 'idempotency',
                                'login_failure', 'live_recording'] LOOP
        EXECUTE format('GRANT SELECT (ctid), DELETE ON %I TO streamsight_admin', name);
    END LOOP;
END
$$;
GRANT SELECT (expires_at) ON device_token, assertion_jti, challenge TO streamsight_admin;
GRANT SELECT (created_at) ON idempotency TO streamsight_admin;
GRANT SELECT (failed_at) ON login_failure TO streamsight_admin;
DROP POLICY old ON login_failure;

-- The procedures' own helpers that take other parameters now (procedures/).
DROP FUNCTION IF EXISTS remember(account, bytea, bytea, json);

RESET ROLE;
RESET search_path;
