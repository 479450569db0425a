-- SPDX-License-Identifier: Apache-2.0
-- The tables that grow, in a partition for each month: what is old can be detached as a whole, and what is written and asked
-- for today lies together. A recording is in the month in which the control plane first heard of it, and so are its segments.
SET search_path = streamsight;

ALTER TABLE segment RENAME TO old_segment;
ALTER TABLE recording RENAME TO old_recording;
ALTER INDEX segment_pkey RENAME TO old_segment_pkey;
ALTER INDEX segment_company_id_id_key RENAME TO old_segment_id;
ALTER INDEX recording_pkey RENAME TO old_recording_pkey;
ALTER INDEX recording_time RENAME TO old_recording_time;
ALTER INDEX recording_device_time RENAME TO old_recording_device_time;

SET ROLE streamsight_owner;

CREATE TABLE recording (
    company_id   uuid NOT NULL,
    id           uuid NOT NULL,  -- the device's choice; unique in the company, see api.open_recording()
    device_id    uuid NOT NULL,
    employee_id  uuid,  -- whose the device was when it began
    hostname     text NOT NULL CHECK (length(hostname) BETWEEN 1 AND 255),
    reason       text NOT NULL CHECK (reason IN ('policy', 'manual')),
    outputs      jsonb NOT NULL CHECK (jsonb_typeof(outputs) = 'array'),
    started_at   timestamptz NOT NULL,  -- by the device's clock
    created_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    ended_at     timestamptz,  -- by the device's clock
    end_reason   text,
    segments     integer CHECK (segments >= 0),
    PRIMARY KEY (company_id, id, created_at),
    FOREIGN KEY (company_id, device_id) REFERENCES device (company_id, id),
    FOREIGN KEY (company_id, employee_id) REFERENCES employee (company_id, id),
    CHECK (num_nulls(finished_at, ended_at, end_reason, segments) IN (0, 4))
) PARTITION BY RANGE (created_at);
CREATE INDEX recording_time ON recording (company_id, started_at DESC, id DESC);
CREATE INDEX recording_device_time ON recording (company_id, device_id, started_at DESC, id DESC);
CREATE INDEX recording_employee_time ON recording (company_id, employee_id, started_at DESC, id DESC);

CREATE TABLE segment (
    company_id            uuid NOT NULL,
    recording_id          uuid NOT NULL,
    recording_created_at  timestamptz NOT NULL,
    sequence              integer NOT NULL CHECK (sequence BETWEEN 0 AND 99999999),
    id                    uuid NOT NULL DEFAULT gen_random_uuid(),
    bucket_id             uuid NOT NULL,
    object_key            text NOT NULL CHECK (octet_length(object_key) <= 1024),  -- S3's limit
    sha256                bytea NOT NULL CHECK (length(sha256) = 32),
    previous_sha256       bytea CHECK (length(previous_sha256) = 32),
    md5                   bytea NOT NULL CHECK (length(md5) = 16),
    size                  integer NOT NULL CHECK (size BETWEEN 1 AND 16777216),
    frames                integer NOT NULL CHECK (frames >= 0),
    started_at            timestamptz NOT NULL,  -- by the device's clock
    ended_at              timestamptz NOT NULL,  -- by the device's clock
    offered_at            timestamptz NOT NULL DEFAULT now(),
    completed_at          timestamptz,
    PRIMARY KEY (company_id, recording_id, sequence, recording_created_at),
    UNIQUE (company_id, id, recording_created_at),
    FOREIGN KEY (company_id, recording_id, recording_created_at) REFERENCES recording (company_id, id, created_at),
    FOREIGN KEY (company_id, bucket_id) REFERENCES bucket (company_id, id),
    CHECK ((sequence = 0) = (previous_sha256 IS NULL))
) PARTITION BY RANGE (recording_created_at);

-- Each right to look at a segment that was given.
CREATE TABLE viewing (
    company_id    uuid NOT NULL,
    id            uuid NOT NULL DEFAULT gen_random_uuid(),
    viewed_at     timestamptz NOT NULL DEFAULT now(),
    account_id    uuid NOT NULL,
    recording_id  uuid NOT NULL,
    segment_id    uuid NOT NULL,
    address       text,
    PRIMARY KEY (company_id, id, viewed_at),
    FOREIGN KEY (company_id, account_id) REFERENCES account (company_id, id)
) PARTITION BY RANGE (viewed_at);
CREATE INDEX viewing_recording ON viewing (company_id, recording_id, viewed_at DESC);
CREATE INDEX viewing_account ON viewing (company_id, account_id, viewed_at DESC);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['recording', 'segment', 'viewing'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY company ON %I USING (company_id = streamsight.current_company())', name);
    END LOOP;
END
$$;

-- Makes the partitions, of whole months in UTC, that are missing for the time between. Returns how many it made.
CREATE FUNCTION make_partitions(from_time timestamptz, to_time timestamptz) RETURNS integer LANGUAGE plpgsql
    SET timezone = 'UTC' SET lock_timeout = '3s' AS $$
DECLARE
    ledger  text;
    month   timestamptz;
    name    text;
    made    integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7310582290457413990);
    FOREACH ledger IN ARRAY ARRAY['recording', 'segment', 'viewing'] LOOP
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
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

-- What is there is of every company: read it above row-level security.
RESET ROLE;
SELECT set_config('streamsight.oldest', coalesce(min(created_at), now())::text, true) FROM old_recording;
SET ROLE streamsight_owner;
SELECT make_partitions(current_setting('streamsight.oldest')::timestamptz, now() + interval '3 months');
RESET ROLE;
INSERT INTO recording (company_id, id, device_id, employee_id, hostname, reason, outputs, started_at, created_at, finished_at,
                       ended_at, end_reason, segments)
    SELECT r.company_id, r.id, r.device_id, d.employee_id, r.hostname, r.reason, r.outputs, r.started_at, r.created_at,
           r.finished_at, r.ended_at, r.end_reason, r.segments
    FROM old_recording r JOIN device d ON d.company_id = r.company_id AND d.id = r.device_id;
INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, id, bucket_id, object_key, sha256,
                     previous_sha256, md5, size, frames, started_at, ended_at, offered_at, completed_at)
    SELECT s.company_id, s.recording_id, r.created_at, s.sequence, s.id, s.bucket_id, s.object_key, s.sha256,
           s.previous_sha256, s.md5, s.size, s.frames, s.started_at, s.ended_at, s.offered_at, s.completed_at
    FROM old_segment s JOIN old_recording r ON r.company_id = s.company_id AND r.id = s.recording_id;
DROP TABLE old_segment, old_recording;

RESET search_path;
