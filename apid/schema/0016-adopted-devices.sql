-- SPDX-License-Identifier: Apache-2.0
-- A device that joins with a code made for somebody is theirs.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE FUNCTION adopt_device() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
BEGIN
    IF NEW.employee_id IS NOT NULL AND OLD.device_id IS NULL AND NEW.device_id IS NOT NULL THEN
        UPDATE device d SET employee_id = NEW.employee_id WHERE d.company_id = NEW.company_id AND d.id = NEW.device_id;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER adopt AFTER UPDATE ON enrolment_code FOR EACH ROW EXECUTE FUNCTION adopt_device();

RESET ROLE;
RESET search_path;
