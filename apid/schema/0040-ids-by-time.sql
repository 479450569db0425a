-- SPDX-License-Identifier: Apache-2.0
-- Segments' ids in the order of time (RFC 9562, version 7): an index over random ones would be written to all over, and a month's is
-- larger than memory. Of a random version 4 the first 48 bits become the time and the version's two lower bits are set.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE FUNCTION make_id() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substr(int8send((date_part('epoch', clock_timestamp()) * 1000)::bigint), 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid;
END
$$;
ALTER TABLE segment ALTER COLUMN id SET DEFAULT streamsight.make_id();

-- No bucket is ever removed, and nobody has the right to. To check at each segment that it is there still would write to the one row
-- that all of a company's devices share.
ALTER TABLE segment DROP CONSTRAINT segment_company_id_bucket_id_fkey1;

RESET ROLE;
RESET search_path;
