-- SPDX-License-Identifier: Apache-2.0
-- Which keys a device has had, and until when. What it signed with the last one before it got another is still on its way for
-- some days, and the trail says which key took the place of which.
SET search_path = streamsight;
SET ROLE streamsight_owner;

CREATE TABLE device_key (
    company_id  uuid NOT NULL,
    device_id   uuid NOT NULL,
    public_key  bytea NOT NULL CHECK (length(public_key) = 65),
    since       timestamptz NOT NULL DEFAULT now(),
    until       timestamptz,  -- null: it is the present one
    PRIMARY KEY (company_id, device_id, public_key),
    UNIQUE (company_id, public_key),
    FOREIGN KEY (company_id, device_id) REFERENCES device (company_id, id)
);
ALTER TABLE device_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE device_key FORCE ROW LEVEL SECURITY;
CREATE POLICY company ON device_key USING (company_id = streamsight.current_company());
CREATE POLICY administrator ON device_key TO streamsight_admin USING (true);
GRANT SELECT ON device_key TO streamsight_admin;

-- What is there is of every company: above row-level security.
RESET ROLE;
INSERT INTO device_key (company_id, device_id, public_key, since)
    SELECT d.company_id, d.id, d.public_key, coalesce(d.key_changed_at, d.created_at) FROM device d;
SET ROLE streamsight_owner;

-- No key comes back, neither to its device nor to another of the company.
CREATE FUNCTION keep_device_key() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
BEGIN
    UPDATE device_key k SET until = now() WHERE k.company_id = NEW.company_id AND k.device_id = NEW.id AND k.until IS NULL;
    INSERT INTO device_key (company_id, device_id, public_key) VALUES (NEW.company_id, NEW.id, NEW.public_key);
    RETURN NEW;
END
$$;
CREATE TRIGGER keep_key_made AFTER INSERT ON device FOR EACH ROW EXECUTE FUNCTION keep_device_key();
CREATE TRIGGER keep_key AFTER UPDATE OF public_key ON device FOR EACH ROW WHEN (OLD.public_key <> NEW.public_key)
    EXECUTE FUNCTION keep_device_key();

RESET ROLE;
RESET search_path;
