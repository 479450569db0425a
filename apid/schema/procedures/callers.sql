-- SPDX-License-Identifier: Apache-2.0
-- Who is calling: each procedure of schema api begins with one of these, which turn what the caller proves into a company and open that
-- company's rows. They are not in schema api, so apid cannot call them.
--
-- Errors of schema api have SQLSTATEs of class SS, with the machine word of the HTTP API as message; apid/problem.c has the whole list.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE OR REPLACE FUNCTION fail(code text, word text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = word;
END
$$;

-- Whatever a session has set of these before means nothing: a procedure starts from no company at all.
CREATE OR REPLACE FUNCTION enter_nobody() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ignored text;
BEGIN
    ignored := pg_catalog.set_config('streamsight.company', '', true);
    ignored := pg_catalog.set_config('streamsight.secret', '', true);
    ignored := pg_catalog.set_config('streamsight.device', '', true);
END
$$;

CREATE OR REPLACE FUNCTION enter_company(company uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ignored text;
BEGIN
    ignored := pg_catalog.set_config('streamsight.company', company::text, true);
END
$$;

CREATE OR REPLACE FUNCTION token_hash(token text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    RETURN pg_catalog.sha256(pg_catalog.convert_to(token, 'UTF8'));
END
$$;

-- Whose token it is. With every request, so in few expressions: PostgreSQL makes each ready anew in each transaction.
CREATE OR REPLACE FUNCTION enter_device(token text) RETURNS device LANGUAGE plpgsql AS $$
DECLARE
    hash     bytea := sha256(convert_to(token, 'UTF8'));
    ignored  text := set_config('streamsight.company', '', true) || set_config('streamsight.device', '', true)
                     || set_config('streamsight.secret', encode(hash, 'hex'), true);
    company  uuid;
    device   uuid;
    expires  timestamptz;
    caller   device;
BEGIN
    SELECT t.company_id, t.device_id, t.expires_at INTO company, device, expires FROM device_token t WHERE t.token_sha256 = hash;
    IF company IS NULL THEN
        PERFORM fail('SS001', 'token_invalid');
    ELSIF expires <= now() THEN
        PERFORM fail('SS002', 'token_expired');
    END IF;
    ignored := set_config('streamsight.secret', '', true) || set_config('streamsight.company', company::text, true);
    SELECT d.* INTO STRICT caller FROM device d WHERE d.company_id = company AND d.id = device;
    IF caller.revoked_at IS NOT NULL THEN
        PERFORM fail('SS003', 'device_revoked');
    END IF;
    RETURN caller;
END
$$;

-- Whose session it is, if the role is one of these.
CREATE OR REPLACE FUNCTION enter_user(token text, VARIADIC roles text[]) RETURNS account LANGUAGE plpgsql AS $$
DECLARE
    hash    bytea := token_hash(token);
    known   session;
    caller  account;
BEGIN
    PERFORM enter_nobody();
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    SELECT s.* INTO known FROM session s WHERE s.token_sha256 = hash;
    PERFORM set_config('streamsight.secret', '', true);
    IF known.company_id IS NULL THEN
        PERFORM fail('SS001', 'token_invalid');
    ELSIF known.expires_at <= now() THEN
        PERFORM fail('SS002', 'token_expired');
    END IF;
    PERFORM enter_company(known.company_id);
    SELECT a.* INTO STRICT caller FROM account a WHERE a.company_id = known.company_id AND a.id = known.account_id;
    IF caller.state <> 'active' THEN
        PERFORM fail('SS001', 'token_invalid');
    ELSIF caller.role <> ALL (roles) THEN
        PERFORM fail('SS004', 'role_insufficient');
    END IF;
    RETURN caller;
END
$$;

-- One more row for the trail of the company that was entered.
CREATE OR REPLACE FUNCTION note(company uuid, actor text, actor_id uuid, action text, subject uuid, client_address text,
                                detail jsonb DEFAULT '{}') RETURNS void LANGUAGE sql
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    INSERT INTO audit (company_id, actor, actor_id, action, subject_id, address, detail)
        VALUES (company, actor, actor_id, action, subject, client_address, detail)
$$;

-- A request that was made before with the same Idempotency-Key by the same user gets what it got then. Whoever asks at the
-- same time waits.
CREATE OR REPLACE FUNCTION repeated(caller account, key bytea, request bytea) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    before idempotency;
BEGIN
    IF key IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(caller.id::text || encode(key, 'hex'), 1));
    DELETE FROM idempotency i WHERE i.company_id = caller.company_id AND i.account_id = caller.id
        AND i.created_at < now() - interval '1 day';
    SELECT i.* INTO before FROM idempotency i
        WHERE i.company_id = caller.company_id AND i.account_id = caller.id AND i.key_sha256 = key;
    IF before.answer IS NOT NULL AND before.request_sha256 <> request THEN
        PERFORM fail('SS070', 'idempotency_key_reused');
    END IF;
    RETURN before.answer;
END
$$;

-- nonce: what apid has derived the answer's secret from, and derives it from again; the secret itself is kept nowhere.
CREATE OR REPLACE FUNCTION remember(caller account, key bytea, request bytea, answer json, nonce bytea DEFAULT NULL) RETURNS json
    LANGUAGE plpgsql AS $$
BEGIN
    IF nonce IS NOT NULL THEN
        answer := (answer::jsonb || jsonb_build_object('nonce', '\x' || encode(nonce, 'hex')))::json;
    END IF;
    IF key IS NOT NULL THEN
        INSERT INTO idempotency (company_id, account_id, key_sha256, request_sha256, answer)
            VALUES (caller.company_id, caller.id, key, request, answer);
    END IF;
    RETURN answer;
END
$$;

-- {"NAME": [rows], "next": cursor}: of page_size + 1 rows the last is not shown, only that there are more.
CREATE OR REPLACE FUNCTION page_json(name text, rows json[], page_size integer) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT json_build_object(name, coalesce(array_to_json(rows[1:page_size]), '[]'),
                             'next', CASE WHEN cardinality(rows) > page_size THEN rows[page_size] ->> 'id' END)
$$;

RESET ROLE;
RESET search_path;
