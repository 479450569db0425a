-- SPDX-License-Identifier: Apache-2.0
-- GET /v1/recordings?from=: by an index. That a recording ends after a time says nothing of when it began: each one there was had to be
-- looked at for it. But few go on for longer than a day; those, and those that have no end yet, are in an index of their own.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE INDEX recording_long ON recording (company_id, started_at DESC, id DESC)
    WHERE ended_at IS NULL OR ended_at - started_at > interval '24 hours';

-- Of indexes that seem to cost the same, as all do for a planner that has seen the month's partition empty, PostgreSQL takes the one that
-- was made last: the key, by which a recording is looked for with every request of a device. All others begin with the company as well,
-- and all of the company's recordings of the month would be looked at.
ALTER TABLE recording DROP CONSTRAINT recording_pkey, ADD PRIMARY KEY (company_id, id, created_at);

RESET ROLE;
RESET search_path;
