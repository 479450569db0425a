-- SPDX-License-Identifier: Apache-2.0
-- What is known of a recording once need not be counted again, be it its size or how much of it is there.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- How large its segments are together, of a recording that has ended with all of them: nothing is added to it, or completed, any more. Of
-- others it is null. A value in each row that is there would have taken as long as writing it anew: they go on being counted.
ALTER TABLE recording ADD COLUMN bytes bigint;

-- How many of the first segments were complete when the device last wanted to finish it, and was refused.
ALTER TABLE live_recording ADD COLUMN complete integer NOT NULL DEFAULT 0;

-- recording_long, of one employee: for those who may look at some only.
CREATE INDEX recording_employee_long ON recording (company_id, employee_id, started_at DESC, id DESC)
    WHERE ended_at IS NULL OR ended_at - started_at > interval '24 hours';

RESET ROLE;
RESET search_path;
