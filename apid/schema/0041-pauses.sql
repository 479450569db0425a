-- SPDX-License-Identifier: Apache-2.0
-- For how many seconds a recording may be paused at the workstation, and whether a locked session is recorded. NULL and false: not.
SET ROLE streamsight_owner;
SET search_path = streamsight;

ALTER TABLE policy ADD COLUMN pause_seconds integer CHECK (pause_seconds BETWEEN 0 AND 86400);
ALTER TABLE policy ADD COLUMN record_locked boolean NOT NULL DEFAULT false;

RESET ROLE;
RESET search_path;
