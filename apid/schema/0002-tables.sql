-- SPDX-License-Identifier: Apache-2.0
-- The tables. Every row belongs to a company and every key begins with it, but for those that are looked up by something
-- unguessable before the company is known: the hash of a token or code, and a device's id.
-- Of tokens and codes only the SHA-256 is kept: they are random and long, so no salt is needed.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE TABLE company (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- What is recorded on this company's workstations. A workstation's own configuration can only narrow it.
CREATE TABLE policy (
    company_id         uuid PRIMARY KEY REFERENCES company,
    revision           bigint NOT NULL DEFAULT 1,
    recording          text NOT NULL DEFAULT 'automatic' CHECK (recording IN ('automatic', 'manual', 'off')),
    frames_per_second  integer NOT NULL DEFAULT 5 CHECK (frames_per_second BETWEEN 1 AND 30),
    jpeg_quality       integer NOT NULL DEFAULT 85 CHECK (jpeg_quality BETWEEN 1 AND 100),
    segment_seconds    integer NOT NULL DEFAULT 60 CHECK (segment_seconds BETWEEN 1 AND 60),
    segment_bytes      integer NOT NULL DEFAULT 8388608 CHECK (segment_bytes BETWEEN 65536 AND 16777216),
    changed_at         timestamptz NOT NULL DEFAULT now()
);

-- A place for recordings, and the tenant's key for it. Never changed but for the key: segments keep naming the bucket
-- that they were put into after the company has moved to another, which is a new row.
CREATE TABLE bucket (
    company_id     uuid NOT NULL REFERENCES company,
    id             uuid NOT NULL,
    endpoint       text NOT NULL CHECK (endpoint ~ '^https://[a-z0-9.-]+(:[0-9]+)?$'),
    region         text NOT NULL CHECK (region ~ '^[a-z0-9-]{1,64}$'),
    bucket         text NOT NULL CHECK (bucket ~ '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$'),
    prefix         text NOT NULL CHECK (prefix = '' OR prefix ~ '^[^/].*[^/]$|^[^/]$'),
    path_style     boolean NOT NULL,
    sse            text CHECK (sse IN ('AES256', 'aws:kms')),
    access_key_id  text NOT NULL CHECK (access_key_id ~ '^[!-~]{1,128}$'),
    secret         bytea NOT NULL,  -- the secret key under the master key, see apid/secret.h
    current        boolean NOT NULL DEFAULT true,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id)
);
CREATE UNIQUE INDEX bucket_current ON bucket (company_id) WHERE current;

CREATE TABLE device (
    company_id  uuid NOT NULL REFERENCES company,
    id          uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    hostname    text NOT NULL CHECK (length(hostname) BETWEEN 1 AND 255),
    employee    text NOT NULL DEFAULT '',
    public_key  bytea NOT NULL CHECK (length(public_key) = 65),  -- uncompressed P-256 point
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz,
    PRIMARY KEY (company_id, id),
    UNIQUE (company_id, public_key)
);

CREATE TABLE enrolment_code (
    code_sha256  bytea PRIMARY KEY CHECK (length(code_sha256) = 32),
    company_id   uuid NOT NULL REFERENCES company,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    device_id    uuid,
    FOREIGN KEY (company_id, device_id) REFERENCES device (company_id, id)
);

CREATE TABLE device_token (
    token_sha256  bytea PRIMARY KEY CHECK (length(token_sha256) = 32),
    company_id    uuid NOT NULL,
    device_id     uuid NOT NULL,
    expires_at    timestamptz NOT NULL,
    FOREIGN KEY (company_id, device_id) REFERENCES device (company_id, id)
);
CREATE INDEX device_token_device ON device_token (company_id, device_id, expires_at);

-- Client assertions seen, kept for as long as one could be accepted (RFC 7523 §3, item 7).
CREATE TABLE assertion_jti (
    company_id  uuid NOT NULL,
    device_id   uuid NOT NULL,
    jti_sha256  bytea NOT NULL CHECK (length(jti_sha256) = 32),
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (company_id, device_id, jti_sha256),
    FOREIGN KEY (company_id, device_id) REFERENCES device (company_id, id)
);

CREATE TABLE recording (
    company_id   uuid NOT NULL,
    id           uuid NOT NULL,  -- the device's choice
    device_id    uuid NOT NULL,
    hostname     text NOT NULL CHECK (length(hostname) BETWEEN 1 AND 255),
    reason       text NOT NULL CHECK (reason IN ('policy', 'manual')),
    outputs      jsonb NOT NULL CHECK (jsonb_typeof(outputs) = 'array'),
    started_at   timestamptz NOT NULL,  -- by the device's clock
    created_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    ended_at     timestamptz,  -- by the device's clock
    end_reason   text,
    segments     integer CHECK (segments >= 0),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, device_id) REFERENCES device (company_id, id),
    CHECK (num_nulls(finished_at, ended_at, end_reason, segments) IN (0, 4))
);
CREATE INDEX recording_time ON recording (company_id, started_at DESC, id DESC);
CREATE INDEX recording_device_time ON recording (company_id, device_id, started_at DESC, id DESC);

CREATE TABLE segment (
    company_id       uuid NOT NULL,
    recording_id     uuid NOT NULL,
    sequence         integer NOT NULL CHECK (sequence BETWEEN 0 AND 99999999),
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    bucket_id        uuid NOT NULL,
    object_key       text NOT NULL CHECK (octet_length(object_key) <= 1024),  -- S3's limit
    sha256           bytea NOT NULL CHECK (length(sha256) = 32),
    previous_sha256  bytea CHECK (length(previous_sha256) = 32),
    md5              bytea NOT NULL CHECK (length(md5) = 16),
    size             integer NOT NULL CHECK (size BETWEEN 1 AND 16777216),
    frames           integer NOT NULL CHECK (frames >= 0),
    started_at       timestamptz NOT NULL,  -- by the device's clock
    ended_at         timestamptz NOT NULL,  -- by the device's clock
    offered_at       timestamptz NOT NULL DEFAULT now(),
    completed_at     timestamptz,
    PRIMARY KEY (company_id, recording_id, sequence),
    UNIQUE (company_id, id),
    FOREIGN KEY (company_id, recording_id) REFERENCES recording (company_id, id),
    FOREIGN KEY (company_id, bucket_id) REFERENCES bucket (company_id, id),
    CHECK ((sequence = 0) = (previous_sha256 IS NULL))
);

CREATE TABLE viewer_token (
    token_sha256  bytea PRIMARY KEY CHECK (length(token_sha256) = 32),
    company_id    uuid NOT NULL REFERENCES company,
    id            uuid NOT NULL DEFAULT gen_random_uuid(),  -- how the audit trail names it
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL
);

-- Who did what. Rows are only ever added.
CREATE TABLE audit (
    company_id  uuid NOT NULL REFERENCES company,
    id          bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor       text NOT NULL CHECK (actor IN ('administrator', 'device', 'viewer')),
    actor_id    uuid,  -- of a device or viewer token
    action      text NOT NULL,
    subject_id  uuid,
    address     text,  -- of the client, as the gateway saw it
    PRIMARY KEY (company_id, id)
);
CREATE INDEX audit_subject ON audit (company_id, subject_id, id);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'streamsight.audit is append-only' USING ERRCODE = 'SS900';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

RESET ROLE;
RESET search_path;
