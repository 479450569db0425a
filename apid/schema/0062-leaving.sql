-- SPDX-License-Identifier: Apache-2.0
-- A workstation leaves by itself.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- DELETE /v1/devices/self. What it has recorded stays, as when somebody takes it out of service.
CREATE FUNCTION api.leave_device(token text, client_address text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller device := enter_device(token);
BEGIN
    UPDATE device d SET revoked_at = now() WHERE d.company_id = caller.company_id AND d.id = caller.id AND d.revoked_at IS NULL;
    IF FOUND THEN
        PERFORM note(caller.company_id, 'device', caller.id, 'device.leave', caller.id, client_address);
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION api.leave_device(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.leave_device(text, text) TO streamsight_apid;

RESET ROLE;
RESET search_path;
