-- SPDX-License-Identifier: Apache-2.0
-- Another master key in place of the one there is: whatever lies under it says under which, so that for a while there can be two.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- The beginning of a hash of the key that totp_masked is masked with (apid/secret.h). Null: from before this, when there was but one.
ALTER TABLE account ADD COLUMN totp_key_id bytea CHECK (length(totp_key_id) = 8);

GRANT SELECT (totp_nonce, totp_key_id) ON account TO streamsight_admin;

RESET ROLE;
RESET search_path;
