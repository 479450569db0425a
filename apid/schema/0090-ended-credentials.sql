-- SPDX-License-Identifier: Apache-2.0
-- Credentials that were ended stay so.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- A login's password hashed with today's parameters: the account's, once the code was right as well.
ALTER TABLE challenge
    ADD COLUMN password_salt bytea CHECK (length(password_salt) = 32),
    ADD COLUMN password_iterations integer CHECK (password_iterations >= 210000),
    ADD COLUMN password_sha256 bytea CHECK (length(password_sha256) = 32),
    ADD CHECK (num_nulls(password_salt, password_iterations, password_sha256) IN (0, 3));

-- streamsight-admin invites and disables by procedures, which end what there was.
REVOKE UPDATE (state) ON account FROM streamsight_admin;

-- The procedures' own helpers that take other parameters now (procedures/).
DROP FUNCTION IF EXISTS invite(account, text);

RESET ROLE;
RESET search_path;
