-- SPDX-License-Identifier: Apache-2.0
-- Segments are announced one after the other, at each of which the recording and the segment before it were looked for in all months'
-- partitions. What is asked then is now kept in a row of its own for each recording that goes on; only what does not follow on it is
-- looked for as before.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- sequence: the highest that is known, -1 if none is; sha256: that segment's. Room is left for a row's next version beside it.
CREATE TABLE live_recording (
    company_id  uuid NOT NULL,
    id          uuid NOT NULL,
    device_id   uuid NOT NULL,
    created_at  timestamptz NOT NULL,
    sequence    integer NOT NULL DEFAULT -1,
    sha256      bytea,
    PRIMARY KEY (company_id, id)
) WITH (fillfactor = 50);
ALTER TABLE live_recording ENABLE ROW LEVEL SECURITY;
ALTER TABLE live_recording FORCE ROW LEVEL SECURITY;
CREATE POLICY company ON live_recording USING (company_id = streamsight.current_company());
CREATE POLICY administrator ON live_recording TO streamsight_admin USING (true);
GRANT SELECT, DELETE ON live_recording TO streamsight_admin;

-- What is there is of every company: above row-level security. Older ones than of these days are found as before.
RESET ROLE;
INSERT INTO live_recording (company_id, id, device_id, created_at, sequence, sha256)
    SELECT r.company_id, r.id, r.device_id, r.created_at, coalesce(s.sequence, -1), s.sha256 FROM recording r LEFT JOIN LATERAL (
        SELECT g.sequence, g.sha256 FROM segment g WHERE g.company_id = r.company_id AND g.recording_id = r.id
            AND g.recording_created_at = r.created_at ORDER BY g.sequence DESC LIMIT 1) s ON true
    WHERE r.finished_at IS NULL AND r.created_at > now() - interval '7 days';

SET ROLE streamsight_owner;

-- An id is looked for by itself: it is unique in the world, and what is found is shown to its company alone. An index that began with the
-- company was as good as the key's for a planner that had seen the month's partition empty, and then all of the company's segments of
-- the month were looked at for each.
ALTER TABLE segment DROP CONSTRAINT segment_company_id_id_recording_created_at_key;
CREATE INDEX segment_id ON segment (id);

RESET ROLE;
RESET search_path;
