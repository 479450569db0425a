-- SPDX-License-Identifier: Apache-2.0
-- The audit trail as a chain: each row of a company has the number after the one before, and a hash over that one's hash and
-- its own content. Whoever changes, removes or inserts a row has to make all later hashes anew, and that shows to anyone who has
-- kept one of them ("streamsight-admin audit verify" prints the last).
SET search_path = streamsight;
SET ROLE streamsight_owner;

ALTER TABLE audit ALTER COLUMN id DROP IDENTITY;
ALTER TABLE audit DROP CONSTRAINT audit_actor_check;
ALTER TABLE audit ADD CHECK (actor IN ('administrator', 'device', 'viewer', 'user', 'control-plane'));
ALTER TABLE audit ADD COLUMN detail jsonb NOT NULL DEFAULT '{}', ADD COLUMN sha256 bytea CHECK (length(sha256) = 32);
CREATE INDEX audit_time ON audit (company_id, at, id);

-- The end of each company's chain, and what its next row waits for.
CREATE TABLE audit_head (
    company_id  uuid PRIMARY KEY REFERENCES company,
    id          bigint NOT NULL,
    sha256      bytea NOT NULL CHECK (length(sha256) = 32)
);
ALTER TABLE audit_head ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_head FORCE ROW LEVEL SECURITY;
-- The trigger's alone, which serves whoever may add a row: what it protects are the rows.
CREATE POLICY chain ON audit_head TO streamsight_owner USING (true);

CREATE FUNCTION rfc3339(t timestamptz) RETURNS text LANGUAGE sql STABLE STRICT AS $$
    SELECT pg_catalog.to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- What is hashed: the hash before (32 zero bytes at first) and this JSON in UTF-8, which docs/api.md describes.
CREATE FUNCTION audit_content(a audit) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_build_array(a.company_id, a.id, streamsight.rfc3339(a.at), a.actor, a.actor_id, a.action, a.subject_id, a.address,
                            a.detail)::text
$$;

CREATE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    head audit_head;
BEGIN
    INSERT INTO audit_head VALUES (NEW.company_id, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
    SELECT h.* INTO STRICT head FROM audit_head h WHERE h.company_id = NEW.company_id FOR UPDATE;
    NEW.id := head.id + 1;
    NEW.at := clock_timestamp();
    NEW.sha256 := sha256(head.sha256 || convert_to(audit_content(NEW), 'UTF8'));
    UPDATE audit_head h SET id = NEW.id, sha256 = NEW.sha256 WHERE h.company_id = NEW.company_id;
    RETURN NEW;
END
$$;

-- What is there becomes the chain's beginning, numbered anew.
RESET ROLE;
ALTER TABLE audit DISABLE TRIGGER append_only;
DO $$
DECLARE
    a     audit;
    head  audit_head;
BEGIN
    FOR a IN SELECT * FROM audit ORDER BY company_id, id LOOP
        INSERT INTO audit_head VALUES (a.company_id, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
        SELECT * INTO STRICT head FROM audit_head WHERE company_id = a.company_id;
        head.id := head.id + 1;
        -- Numbers only become smaller, in order: none is taken twice.
        UPDATE audit SET id = head.id WHERE company_id = a.company_id AND id = a.id;
        a.id := head.id;
        head.sha256 := sha256(head.sha256 || convert_to(audit_content(a), 'UTF8'));
        UPDATE audit SET sha256 = head.sha256 WHERE company_id = a.company_id AND id = a.id;
        UPDATE audit_head SET id = head.id, sha256 = head.sha256 WHERE company_id = a.company_id;
    END LOOP;
END
$$;
ALTER TABLE audit ENABLE TRIGGER append_only;

SET ROLE streamsight_owner;
ALTER TABLE audit ALTER COLUMN sha256 SET NOT NULL;
CREATE TRIGGER chain BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_chain();

RESET ROLE;
RESET search_path;
