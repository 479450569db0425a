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

-- POST /v1/devices/self/diagnostics. The last fifty are kept; one after the other, so that none is counted that is not there yet.
CREATE FUNCTION api.add_diagnostic(token text, said jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    PERFORM FROM device d WHERE d.company_id = caller.company_id AND d.id = caller.id FOR UPDATE;
    INSERT INTO diagnostic (company_id, device_id, report) VALUES (caller.company_id, caller.id, said);
    DELETE FROM diagnostic g WHERE g.company_id = caller.company_id AND g.device_id = caller.id AND g.received_at < (
        SELECT k.received_at FROM diagnostic k WHERE k.company_id = caller.company_id AND k.device_id = caller.id
        ORDER BY k.received_at DESC OFFSET 49 LIMIT 1);
END
$$;

-- GET /v1/devices/{id}/diagnostics, the newest first.
CREATE FUNCTION api.list_diagnostics(token text, wanted uuid) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    found   device := find_device(caller, wanted);
BEGIN
    RETURN json_build_object('reports', (
        SELECT coalesce(json_agg(json_build_object('received_at', rfc3339(g.received_at), 'report', g.report)
                                 ORDER BY g.received_at DESC), '[]')
        FROM diagnostic g WHERE g.company_id = found.company_id AND g.device_id = found.id));
END
$$;

GRANT EXECUTE ON FUNCTION api.add_diagnostic(text, jsonb), api.list_diagnostics(text, uuid) TO streamsight_apid;

RESET ROLE;
RESET search_path;
