-- SPDX-License-Identifier: Apache-2.0
-- The audit trail grows with every look at a recording: it lies in a partition for each month, as the other ledgers do. Months
-- that are over can be detached, all ledgers' together; where the chain of hashes goes on after that is kept.
SET search_path = streamsight;

ALTER TABLE audit RENAME TO old_audit;
ALTER INDEX audit_pkey RENAME TO old_audit_pkey;
ALTER INDEX audit_subject RENAME TO old_audit_subject;
ALTER INDEX audit_time RENAME TO old_audit_time;
DROP TRIGGER chain ON old_audit;
DROP FUNCTION audit_content(old_audit);

SET ROLE streamsight_owner;

CREATE TABLE audit (
    company_id  uuid NOT NULL REFERENCES company,
    id          bigint NOT NULL,  -- unique in the company, see audit_chain()
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor       text NOT NULL CHECK (actor IN ('administrator', 'device', 'viewer', 'user', 'control-plane')),
    actor_id    uuid,
    action      text NOT NULL,
    subject_id  uuid,
    address     text,  -- of the client, as the gateway saw it
    detail      jsonb NOT NULL DEFAULT '{}',
    sha256      bytea NOT NULL CHECK (length(sha256) = 32),
    PRIMARY KEY (company_id, id, at)
) PARTITION BY RANGE (at);
CREATE INDEX audit_subject ON audit (company_id, subject_id, id);
CREATE INDEX audit_time ON audit (company_id, at, id);
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;
CREATE POLICY company ON audit USING (company_id = streamsight.current_company());
CREATE POLICY administrator ON audit TO streamsight_admin USING (true);
GRANT SELECT, INSERT ON audit TO streamsight_admin;

-- The last row of a company's trail that was detached: the next continues its hash.
CREATE TABLE audit_detached (
    company_id  uuid PRIMARY KEY REFERENCES company,
    id          bigint NOT NULL,
    sha256      bytea NOT NULL CHECK (length(sha256) = 32)
);
ALTER TABLE audit_detached ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_detached FORCE ROW LEVEL SECURITY;
CREATE POLICY chain ON audit_detached TO streamsight_owner USING (true);
CREATE POLICY administrator ON audit_detached TO streamsight_admin USING (true);
GRANT SELECT ON audit_detached TO streamsight_admin;

CREATE OR REPLACE FUNCTION make_partitions(from_time timestamptz, to_time timestamptz) RETURNS integer LANGUAGE plpgsql
    SET timezone = 'UTC' SET lock_timeout = '3s' AS $$
DECLARE
    ledger  text;
    month   timestamptz;
    name    text;
    made    integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7310582290457413990);
    FOREACH ledger IN ARRAY ARRAY['recording', 'segment', 'viewing', 'audit'] LOOP
        FOR month IN SELECT generate_series(date_trunc('month', from_time), to_time, interval '1 month') LOOP
            name := ledger || to_char(month, '_YYYY_MM');
            CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relname = name
                                  AND c.relnamespace = 'streamsight'::regnamespace);
            EXECUTE format('CREATE TABLE streamsight.%I PARTITION OF streamsight.%I FOR VALUES FROM (%L) TO (%L)',
                           name, ledger, month, month + interval '1 month');
            -- Row-level security of the whole does not hold for a partition that is named itself; without a policy of its own
            -- it shows nothing.
            EXECUTE format('ALTER TABLE streamsight.%I ENABLE ROW LEVEL SECURITY', name);
            EXECUTE format('ALTER TABLE streamsight.%I FORCE ROW LEVEL SECURITY', name);
            -- Nor do the whole's triggers that are for statements.
            IF ledger = 'audit' THEN
                EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON streamsight.%I '
                               'FOR EACH STATEMENT EXECUTE FUNCTION streamsight.audit_is_append_only()', name);
            END IF;
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

RESET ROLE;
SELECT set_config('streamsight.oldest', coalesce(min(at), now())::text, true) FROM old_audit;
SET ROLE streamsight_owner;
SELECT make_partitions(current_setting('streamsight.oldest')::timestamptz, now() + interval '3 months');
RESET ROLE;
INSERT INTO audit (company_id, id, at, actor, actor_id, action, subject_id, address, detail, sha256)
    SELECT a.company_id, a.id, a.at, a.actor, a.actor_id, a.action, a.subject_id, a.address, a.detail, a.sha256 FROM old_audit a;
DROP TABLE old_audit;
SET ROLE streamsight_owner;

CREATE FUNCTION audit_content(a audit) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_build_array(a.company_id, a.id, streamsight.rfc3339(a.at), a.actor, a.actor_id, a.action, a.subject_id, a.address,
                            a.detail)::text
$$;

CREATE OR REPLACE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    head  audit_head;
    now   timestamptz;
BEGIN
    INSERT INTO audit_head VALUES (NEW.company_id, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
    SELECT h.* INTO STRICT head FROM audit_head h WHERE h.company_id = NEW.company_id FOR UPDATE;
    now := clock_timestamp();
    -- The row's partition was chosen by the time that it came with. If the month has ended since, it has to come again: rows would
    -- else lie in another order than they are numbered in.
    IF date_trunc('month', now, 'UTC') <> date_trunc('month', NEW.at, 'UTC') THEN
        RAISE EXCEPTION 'the month has ended' USING ERRCODE = 'serialization_failure';
    END IF;
    NEW.id := head.id + 1;
    NEW.at := now;
    NEW.sha256 := sha256(head.sha256 || convert_to(audit_content(NEW), 'UTF8'));
    UPDATE audit_head h SET id = NEW.id, sha256 = NEW.sha256 WHERE h.company_id = NEW.company_id;
    RETURN NEW;
END
$$;
CREATE TRIGGER chain BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_chain();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

RESET ROLE;
-- Where detached months go, in which nobody has a right on them: to be saved and dropped.
CREATE SCHEMA streamsight_detached AUTHORIZATION streamsight_owner;

RESET search_path;
