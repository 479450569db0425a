-- SPDX-License-Identifier: Apache-2.0
-- The tenant's own key of their key management service, and one row only for each place.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- What Amazon and Ceph name a key by: an id, an alias or an ARN.
ALTER TABLE bucket ADD COLUMN sse_kms_key_id text CHECK (sse_kms_key_id ~ '^[!-~]+$' AND length(sse_kms_key_id) <= 2048),
    ADD CHECK (sse_kms_key_id IS NULL OR sse = 'aws:kms');
ALTER TYPE api.upload ADD ATTRIBUTE sse_kms_key_id text;

RESET ROLE;
RESET search_path;
