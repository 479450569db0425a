-- SPDX-License-Identifier: Apache-2.0
-- What is checked of each segment, once and no more.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- A segment's own checks in one function: PostgreSQL reads a constraint's text and makes it ready to be computed at each INSERT, which took
-- longer for nine of them than all else that a row takes.
CREATE FUNCTION segment_is_sound(sequence integer, object_key text, sha256 bytea, previous_sha256 bytea, md5 bytea, size integer,
                                 frames integer, statement text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN sequence BETWEEN 0 AND 99999999
        AND octet_length(object_key) <= 1024  -- S3's limit
        AND length(sha256) = 32
        AND length(md5) = 16
        AND size BETWEEN 1 AND 16777216
        AND frames >= 0
        AND (sequence = 0) = (previous_sha256 IS NULL)
        AND coalesce(length(previous_sha256), 32) = 32
        AND coalesce(octet_length(statement), 0) <= 1023;
END
$$;
ALTER TABLE segment
    DROP CONSTRAINT segment_check1, DROP CONSTRAINT segment_frames_check1, DROP CONSTRAINT segment_md5_check1,
    DROP CONSTRAINT segment_object_key_check1, DROP CONSTRAINT segment_previous_sha256_check1, DROP CONSTRAINT segment_sequence_check1,
    DROP CONSTRAINT segment_sha256_check1, DROP CONSTRAINT segment_size_check1, DROP CONSTRAINT segment_statement_check,
    ADD CHECK (segment_is_sound(sequence, object_key, sha256, previous_sha256, md5, size, frames, statement));

-- Whoever announces a segment has just locked the recording that it is of, and recordings are never removed but with their segments
-- (detach_ledgers()): to look for it a second time shows nothing.
ALTER TABLE segment DROP CONSTRAINT segment_company_id_recording_id_recording_created_at_fkey;

RESET ROLE;
RESET search_path;
