-- SPDX-License-Identifier: Apache-2.0
-- What workstations report of themselves, so that a fault can be found without going there. Bounded for each device: nothing that a
-- device does makes it grow further.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE TABLE diagnostic (
    company_id   uuid NOT NULL,
    device_id    uuid NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    report       jsonb NOT NULL CHECK (length(report::text) <= 32768),
    PRIMARY KEY (company_id, device_id, received_at),
    FOREIGN KEY (company_id, device_id) REFERENCES device (company_id, id)
);
ALTER TABLE diagnostic ENABLE ROW LEVEL SECURITY;
ALTER TABLE diagnostic FORCE ROW LEVEL SECURITY;
CREATE POLICY company ON diagnostic USING (company_id = streamsight.current_company());
CREATE POLICY administrator ON diagnostic TO streamsight_admin USING (true);
GRANT SELECT ON diagnostic TO streamsight_admin;

RESET ROLE;
RESET search_path;
