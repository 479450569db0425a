-- SPDX-License-Identifier: Apache-2.0
-- A port is one of 1 to 65535. Nothing was ever put into a bucket at another: such an endpoint is as if it had named none.
SET search_path = streamsight;

UPDATE bucket SET endpoint = regexp_replace(endpoint, ':[0-9]+$', '')
    WHERE endpoint !~ ':[1-9][0-9]{0,4}$' OR substring(endpoint FROM ':([0-9]{1,5})$')::integer > 65535;
ALTER TABLE bucket DROP CONSTRAINT bucket_endpoint_check,
    ADD CHECK (endpoint ~ '^https://[a-z0-9.-]+(:[1-9][0-9]{0,4})?$'
               AND coalesce(substring(endpoint FROM ':([0-9]{1,5})$')::integer <= 65535, true));

RESET search_path;
