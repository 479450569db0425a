-- SPDX-License-Identifier: Apache-2.0
-- People: those who log in (account), those who are recorded (employee), and who may look at whom (assignment).
SET search_path = streamsight;

-- pgcrypto's HMAC-SHA-1 is what TOTP (RFC 6238) needs and PostgreSQL itself lacks. Of its functions nobody gets more.
CREATE EXTENSION pgcrypto SCHEMA streamsight;
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
             WHERE e.extname = 'pgcrypto' AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION hmac(bytea, bytea, text) TO streamsight_owner;

SET ROLE streamsight_owner;

-- Half of what a password is hashed with; the other half is the account's own. Two random UUIDs are 244 random bits.
ALTER TABLE company ADD COLUMN salt bytea NOT NULL CHECK (length(salt) = 32)
    DEFAULT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());

-- Somebody who is recorded. They need no account.
CREATE TABLE employee (
    company_id  uuid NOT NULL REFERENCES company,
    id          uuid NOT NULL DEFAULT gen_random_uuid(),
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    reference   text CHECK (length(reference) BETWEEN 1 AND 100),  -- a personnel number
    created_at  timestamptz NOT NULL DEFAULT now(),
    left_at     timestamptz,
    PRIMARY KEY (company_id, id),
    UNIQUE (company_id, reference)
);
CREATE INDEX employee_name ON employee (company_id, name, id);

-- Somebody who logs in. The e-mail address is unique in the whole control plane, as it is all that a login begins with.
CREATE TABLE account (
    company_id           uuid NOT NULL REFERENCES company,
    id                   uuid NOT NULL DEFAULT gen_random_uuid(),
    email                text NOT NULL CHECK (email = lower(email) AND email ~ '^[^@[:space:]]+@[^@[:space:]]+$'
                                              AND length(email) <= 254),
    email_sha256         bytea NOT NULL UNIQUE CHECK (length(email_sha256) = 32),
    name                 text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    role                 text NOT NULL CHECK (role IN ('owner', 'admin', 'manager', 'auditor')),
    state                text NOT NULL DEFAULT 'invited' CHECK (state IN ('invited', 'active', 'disabled')),
    created_at           timestamptz NOT NULL DEFAULT now(),
    -- PBKDF2-HMAC-SHA-512 over the password, salted with company.salt and this salt, gives 64 bytes; what is kept is their
    -- SHA-256, so that what lies here is not what the procedures accept.
    password_salt        bytea CHECK (length(password_salt) = 32),
    password_iterations  integer CHECK (password_iterations >= 210000),
    password_sha256      bytea CHECK (length(password_sha256) = 32),
    -- The TOTP secret XOR a pad that apid derives from the master key, this id and the nonce: what lies here is worth nothing
    -- without the master key, and apid never gets to see it after the enrolment.
    totp_masked          bytea CHECK (length(totp_masked) = 20),
    totp_nonce           bytea CHECK (length(totp_nonce) = 16),
    totp_last_step       bigint,  -- no code of this step or an earlier one is taken again
    PRIMARY KEY (company_id, id),
    CHECK (num_nulls(password_salt, password_iterations, password_sha256) IN (0, 3)),
    CHECK (num_nulls(totp_masked, totp_nonce) IN (0, 2)),
    CHECK (state <> 'active' OR (password_sha256 IS NOT NULL AND totp_masked IS NOT NULL))
);

CREATE TABLE recovery_code (
    company_id   uuid NOT NULL,
    account_id   uuid NOT NULL,
    code_sha256  bytea NOT NULL CHECK (length(code_sha256) = 32),
    used_at      timestamptz,
    PRIMARY KEY (company_id, account_id, code_sha256),
    FOREIGN KEY (company_id, account_id) REFERENCES account (company_id, id)
);

-- What a new user, or one who has lost password or authenticator, is given to choose them with.
CREATE TABLE invitation (
    token_sha256  bytea PRIMARY KEY CHECK (length(token_sha256) = 32),
    company_id    uuid NOT NULL,
    account_id    uuid NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    FOREIGN KEY (company_id, account_id) REFERENCES account (company_id, id) ON DELETE CASCADE
);
CREATE INDEX invitation_account ON invitation (company_id, account_id);

-- Between the password and the second factor: of a login, or of the enrolment of an authenticator.
CREATE TABLE challenge (
    token_sha256  bytea PRIMARY KEY CHECK (length(token_sha256) = 32),
    company_id    uuid NOT NULL,
    account_id    uuid NOT NULL,
    purpose       text NOT NULL CHECK (purpose IN ('login', 'enrol')),
    attempts      integer NOT NULL DEFAULT 0,
    expires_at    timestamptz NOT NULL,
    FOREIGN KEY (company_id, account_id) REFERENCES account (company_id, id)
);
CREATE INDEX challenge_account ON challenge (company_id, account_id);

CREATE TABLE session (
    token_sha256  bytea PRIMARY KEY CHECK (length(token_sha256) = 32),
    company_id    uuid NOT NULL,
    account_id    uuid NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    FOREIGN KEY (company_id, account_id) REFERENCES account (company_id, id)
);
CREATE INDEX session_account ON session (company_id, account_id);

-- Failed logins by e-mail address, whether there is such an account or not, so that the answer does not tell.
CREATE TABLE login_failure (
    email_sha256  bytea PRIMARY KEY CHECK (length(email_sha256) = 32),
    failures      integer NOT NULL DEFAULT 0,
    failed_at     timestamptz NOT NULL DEFAULT now(),
    locked_until  timestamptz
);

-- What the salts of addresses without an account are made from, so that they stay the same.
CREATE TABLE decoy (
    secret bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
);
INSERT INTO decoy DEFAULT VALUES;

-- A manager sees the recordings of these employees.
CREATE TABLE assignment (
    company_id   uuid NOT NULL,
    account_id   uuid NOT NULL,
    employee_id  uuid NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, account_id, employee_id),
    FOREIGN KEY (company_id, account_id) REFERENCES account (company_id, id),
    FOREIGN KEY (company_id, employee_id) REFERENCES employee (company_id, id)
);
CREATE INDEX assignment_employee ON assignment (company_id, employee_id);

-- What a repeated request was answered, without its secrets: those apid derives again from the key.
CREATE TABLE idempotency (
    company_id      uuid NOT NULL,
    account_id      uuid NOT NULL,
    key_sha256      bytea NOT NULL CHECK (length(key_sha256) = 32),
    request_sha256  bytea NOT NULL CHECK (length(request_sha256) = 32),  -- method, path and body
    answer          json NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, account_id, key_sha256),
    FOREIGN KEY (company_id, account_id) REFERENCES account (company_id, id)
);

-- From a name in the device's row to an employee.
RESET ROLE;
INSERT INTO employee (company_id, name) SELECT DISTINCT company_id, left(employee, 200) FROM device WHERE employee <> '';
ALTER TABLE device ADD COLUMN employee_id uuid;
ALTER TABLE device ADD FOREIGN KEY (company_id, employee_id) REFERENCES employee (company_id, id);
UPDATE device d SET employee_id = e.id FROM employee e WHERE e.company_id = d.company_id AND e.name = left(d.employee, 200);
ALTER TABLE device DROP COLUMN employee;
CREATE INDEX device_employee ON device (company_id, employee_id);

-- The key that took the place of the one it was enrolled with, and when.
ALTER TABLE device ADD COLUMN key_changed_at timestamptz;

ALTER TABLE enrolment_code ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(), ADD COLUMN employee_id uuid,
    ADD COLUMN withdrawn_at timestamptz,
    ADD FOREIGN KEY (company_id, employee_id) REFERENCES employee (company_id, id), ADD UNIQUE (company_id, id);

-- A policy is never changed: another revision takes its place, and says who made it.
ALTER TABLE policy DROP CONSTRAINT policy_pkey, ADD PRIMARY KEY (company_id, revision);
ALTER TABLE policy ADD COLUMN changed_by uuid, ADD FOREIGN KEY (company_id, changed_by) REFERENCES account (company_id, id);

SET ROLE streamsight_owner;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['employee', 'account', 'recovery_code', 'invitation', 'challenge', 'session', 'assignment',
                                'idempotency'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY company ON %I USING (company_id = streamsight.current_company())', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['login_failure', 'decoy'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    END LOOP;
END
$$;
CREATE POLICY lookup ON session FOR SELECT USING (token_sha256 = streamsight.current_secret());
CREATE POLICY lookup ON challenge FOR SELECT USING (token_sha256 = streamsight.current_secret());
CREATE POLICY lookup ON invitation FOR SELECT USING (token_sha256 = streamsight.current_secret());
CREATE POLICY lookup ON account FOR SELECT USING (email_sha256 = streamsight.current_secret());
CREATE POLICY lookup ON login_failure USING (email_sha256 = streamsight.current_secret());
-- Old ones of everybody are forgotten (api.maintain()); otherwise they are found by the address alone.
CREATE POLICY old ON login_failure USING (failed_at < now() - interval '1 day');
CREATE POLICY everybody ON decoy FOR SELECT USING (true);

RESET ROLE;
RESET search_path;
