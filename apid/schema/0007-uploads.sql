-- SPDX-License-Identifier: Apache-2.0
-- What apid signs a URL from. secret: as encrypted, see apid/secret.h.
SET ROLE streamsight_owner;

CREATE TYPE api.upload AS (
    company_id uuid, bucket_id uuid, endpoint text, region text, bucket text, path_style boolean, sse text,
    access_key_id text, secret bytea, object_key text);
GRANT USAGE ON TYPE api.upload TO streamsight_apid;

RESET ROLE;
