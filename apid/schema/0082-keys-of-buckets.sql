-- SPDX-License-Identifier: Apache-2.0
-- A key of the tenant's key management service is for "aws:kms" alone. Where nothing was said of encryption the check was neither true nor
-- false, and held: such a key was kept and never named to the bucket, whatever its owner believed.
SET search_path = streamsight;

UPDATE bucket SET sse_kms_key_id = NULL WHERE sse IS NULL;
ALTER TABLE bucket DROP CONSTRAINT bucket_check, ADD CHECK (sse_kms_key_id IS NULL OR sse IS NOT DISTINCT FROM 'aws:kms');

RESET search_path;
