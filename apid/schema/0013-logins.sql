-- SPDX-License-Identifier: Apache-2.0
-- Logins: a password, then a code of the authenticator, then a session. The database compares both itself, so that whoever
-- has apid's role but neither of the two gets no session; and it has no procedure that makes one without both.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- One more row for the trail of the company that was entered.
CREATE FUNCTION note(company uuid, actor text, actor_id uuid, action text, subject uuid, client_address text,
                     detail jsonb DEFAULT '{}') RETURNS void LANGUAGE sql
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    INSERT INTO audit (company_id, actor, actor_id, action, subject_id, address, detail)
        VALUES (company, actor, actor_id, action, subject, client_address, detail)
$$;

CREATE FUNCTION account_json(a account) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', a.id, 'email', a.email, 'name', a.name, 'role', a.role, 'state', a.state,
                             'created_at', streamsight.rfc3339(a.created_at))
$$;

-- Whose session it is, if the role is one of these.
CREATE FUNCTION enter_user(token text, VARIADIC roles text[]) RETURNS account LANGUAGE plpgsql AS $$
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

CREATE FUNCTION xor(a bytea, b bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    FOR i IN 0 .. length(a) - 1 LOOP
        a := set_byte(a, i, get_byte(a, i) # get_byte(b, i));
    END LOOP;
    RETURN a;
END
$$;

-- RFC 4226 §5.3 for RFC 6238's time steps of 30 s, six digits.
CREATE FUNCTION totp_code(secret bytea, step bigint) RETURNS text LANGUAGE plpgsql STABLE STRICT
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    digest  bytea := hmac(int8send(step), secret, 'sha1');
    at      integer := get_byte(digest, 19) & 15;
BEGIN
    RETURN lpad(((((get_byte(digest, at) & 127) << 24) | (get_byte(digest, at + 1) << 16) | (get_byte(digest, at + 2) << 8)
                  | get_byte(digest, at + 3)) % 1000000)::text, 6, '0');
END
$$;

-- The step that a code is of, if it is of now or a neighbour (RFC 6238 §5.2) and later than the last one taken; else null.
CREATE FUNCTION totp_step(secret bytea, code text, last_step bigint) RETURNS bigint LANGUAGE sql STABLE
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT min(n.step) FROM (SELECT floor(extract(epoch FROM now()) / 30)::bigint + around AS step
                             FROM generate_series(-1, 1) AS around) AS n
    WHERE n.step > coalesce(last_step, 0) AND totp_code(secret, n.step) = code
$$;

-- The failures of an address, held until the end of this transaction: guesses at one account come one after the other.
CREATE FUNCTION hold_failures(hash bytea) RETURNS login_failure LANGUAGE plpgsql AS $$
DECLARE
    held login_failure;
BEGIN
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    INSERT INTO login_failure (email_sha256) VALUES (hash) ON CONFLICT DO NOTHING;
    SELECT f.* INTO STRICT held FROM login_failure f WHERE f.email_sha256 = hash FOR UPDATE;
    PERFORM set_config('streamsight.secret', '', true);
    RETURN held;
END
$$;

-- After hold_failures(). From the fifth in a row on one has to wait: 5 s, 10 s, 20 s, … 15 minutes. Returns that many seconds.
CREATE FUNCTION count_failure(hash bytea) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    n     integer;
    wait  integer;
BEGIN
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    UPDATE login_failure f SET failed_at = clock_timestamp(),
            failures = CASE WHEN f.failed_at < now() - interval '1 day' THEN 1 ELSE f.failures + 1 END
        WHERE f.email_sha256 = hash RETURNING f.failures INTO STRICT n;
    wait := CASE WHEN n < 5 THEN 0 ELSE least(900, 5 * 2 ^ least(n - 5, 20))::integer END;
    UPDATE login_failure f SET locked_until = CASE WHEN wait > 0 THEN clock_timestamp() + wait * interval '1 second' END
        WHERE f.email_sha256 = hash;
    PERFORM set_config('streamsight.secret', '', true);
    RETURN wait;
END
$$;

CREATE FUNCTION forget_failures(hash bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    DELETE FROM login_failure f WHERE f.email_sha256 = hash;
    PERFORM set_config('streamsight.secret', '', true);
END
$$;

CREATE FUNCTION seconds_until(t timestamptz) RETURNS integer LANGUAGE sql VOLATILE AS $$
    SELECT greatest(0, ceil(extract(epoch FROM t - clock_timestamp())))::integer
$$;

-- What to hash a password with. An address without an account gets as good an answer, always the same.
CREATE FUNCTION api.login_parameters(address text, OUT salt bytea, OUT iterations integer, OUT locked integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    hash   bytea := token_hash(lower(address));
    known  account;
BEGIN
    PERFORM enter_nobody();
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    SELECT a.* INTO known FROM account a WHERE a.email_sha256 = hash;
    SELECT coalesce(max(seconds_until(f.locked_until)), 0) INTO locked FROM login_failure f WHERE f.email_sha256 = hash;
    PERFORM enter_nobody();
    IF known.password_salt IS NULL THEN
        SELECT sha256(d.secret || 'c' || hash) || sha256(d.secret || 'a' || hash), 210000 INTO salt, iterations FROM decoy d;
    ELSE
        PERFORM enter_company(known.company_id);
        SELECT c.salt || known.password_salt, known.password_iterations INTO salt, iterations FROM company c
            WHERE c.id = known.company_id;
    END IF;
END
$$;

-- POST /v1/auth/login. derived: PBKDF2's 64 bytes. new_*: of the same password with today's parameters, if those of
-- login_parameters() were others. outcome: challenge, refused or locked; the first makes challenge_token good for five minutes.
CREATE FUNCTION api.login_password(address text, derived bytea, challenge_token text, new_salt bytea, new_iterations integer,
                                   new_derived bytea, client_address text, OUT outcome text, OUT retry_after integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    hash   bytea := token_hash(lower(address));
    held   login_failure;
    known  account;
BEGIN
    IF length(challenge_token) < 43 OR length(derived) <> 64 THEN
        RAISE EXCEPTION 'token too weak' USING ERRCODE = 'SS901';
    END IF;
    PERFORM enter_nobody();
    held := hold_failures(hash);
    IF held.locked_until > clock_timestamp() THEN
        outcome := 'locked';
        retry_after := seconds_until(held.locked_until);
        RETURN;
    END IF;
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    SELECT a.* INTO known FROM account a WHERE a.email_sha256 = hash;
    PERFORM enter_nobody();
    IF known.state IS DISTINCT FROM 'active' OR known.password_sha256 <> sha256(derived) THEN
        retry_after := count_failure(hash);
        outcome := 'refused';
        IF known.id IS NOT NULL THEN
            PERFORM enter_company(known.company_id);
            PERFORM note(known.company_id, 'user', known.id, 'login.refused', known.id, client_address, '{"factor": "password"}');
        END IF;
        RETURN;
    END IF;

    PERFORM enter_company(known.company_id);
    IF new_derived IS NOT NULL AND new_iterations >= 210000 AND length(new_salt) = 32 THEN
        UPDATE account a SET password_salt = new_salt, password_iterations = new_iterations, password_sha256 = sha256(new_derived)
            WHERE a.company_id = known.company_id AND a.id = known.id;
    END IF;
    DELETE FROM challenge c WHERE c.company_id = known.company_id AND c.account_id = known.id
        AND (c.expires_at < now() OR c.purpose = 'enrol');
    INSERT INTO challenge (token_sha256, company_id, account_id, purpose, expires_at)
        VALUES (token_hash(challenge_token), known.company_id, known.id, 'login', now() + interval '5 minutes');
    outcome := 'challenge';
    retry_after := 0;
END
$$;

-- Enters the company of a challenge that is still good.
CREATE FUNCTION enter_challenge(token text, wanted text) RETURNS challenge LANGUAGE plpgsql AS $$
DECLARE
    hash   bytea := token_hash(token);
    known  challenge;
BEGIN
    PERFORM enter_nobody();
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    SELECT c.* INTO known FROM challenge c WHERE c.token_sha256 = hash;
    PERFORM enter_nobody();
    IF known.company_id IS NULL OR known.purpose <> wanted OR known.expires_at <= now() OR known.attempts >= 5 THEN
        PERFORM fail('SS005', 'challenge_invalid');
    END IF;
    PERFORM enter_company(known.company_id);
    RETURN known;
END
$$;

-- What apid needs to derive the pad of the TOTP secret from its master key.
CREATE FUNCTION api.challenge_parameters(challenge_token text, purpose text, OUT account_id uuid, OUT totp_nonce bytea)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    known challenge := enter_challenge(challenge_token, purpose);
BEGIN
    SELECT a.id, a.totp_nonce INTO STRICT account_id, totp_nonce FROM account a
        WHERE a.company_id = known.company_id AND a.id = known.account_id;
END
$$;

-- POST /v1/auth/totp. code: six digits, or a recovery code without its dashes. outcome: session, refused or locked. expires: in
-- seconds since 1970.
CREATE FUNCTION api.login_totp(challenge_token text, code text, pad bytea, session_token text, client_address text,
                               OUT outcome text, OUT retry_after integer, OUT expires bigint, OUT account json)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
#variable_conflict use_column
DECLARE
    known   challenge := enter_challenge(challenge_token, 'login');
    caller  account;
    held    login_failure;
    step    bigint;
    factor  text := CASE WHEN code ~ '^[0-9]{6}$' THEN 'totp' ELSE 'recovery_code' END;
BEGIN
    IF length(session_token) < 43 THEN
        RAISE EXCEPTION 'token too weak' USING ERRCODE = 'SS901';
    END IF;
    SELECT a.* INTO STRICT caller FROM account a WHERE a.company_id = known.company_id AND a.id = known.account_id;
    held := hold_failures(caller.email_sha256);
    -- Again, now that nobody else is at it.
    known := enter_challenge(challenge_token, 'login');
    SELECT a.* INTO STRICT caller FROM account a WHERE a.company_id = known.company_id AND a.id = known.account_id;
    IF held.locked_until > clock_timestamp() THEN
        outcome := 'locked';
        retry_after := seconds_until(held.locked_until);
        RETURN;
    END IF;

    IF caller.state <> 'active' THEN
        PERFORM fail('SS005', 'challenge_invalid');
    ELSIF factor = 'totp' THEN
        step := totp_step(xor(caller.totp_masked, pad), code, caller.totp_last_step);
        UPDATE account a SET totp_last_step = step WHERE a.company_id = caller.company_id AND a.id = caller.id AND step IS NOT NULL;
    ELSE
        UPDATE recovery_code r SET used_at = now() WHERE r.company_id = caller.company_id AND r.account_id = caller.id
            AND r.code_sha256 = token_hash(code) AND r.used_at IS NULL;
    END IF;
    IF NOT FOUND THEN
        UPDATE challenge c SET attempts = c.attempts + 1 WHERE c.token_sha256 = known.token_sha256;
        PERFORM note(caller.company_id, 'user', caller.id, 'login.refused', caller.id, client_address,
                     json_build_object('factor', factor)::jsonb);
        retry_after := count_failure(caller.email_sha256);
        outcome := 'refused';
        RETURN;
    END IF;

    DELETE FROM challenge c WHERE c.token_sha256 = known.token_sha256;
    DELETE FROM session s WHERE s.company_id = caller.company_id AND s.account_id = caller.id AND s.expires_at < now() - interval '1 day';
    INSERT INTO session (token_sha256, company_id, account_id, expires_at)
        VALUES (token_hash(session_token), caller.company_id, caller.id, now() + interval '12 hours')
        RETURNING extract(epoch FROM session.expires_at)::bigint INTO expires;
    PERFORM forget_failures(caller.email_sha256);
    PERFORM note(caller.company_id, 'user', caller.id, 'login', caller.id, client_address, json_build_object('factor', factor)::jsonb);
    outcome := 'session';
    retry_after := 0;
    account := account_json(caller);
END
$$;

-- GET /v1/auth/session
CREATE FUNCTION api.session(token text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin', 'manager', 'auditor');
BEGIN
    RETURN (SELECT json_build_object('user', account_json(caller), 'company', json_build_object('id', c.id, 'name', c.name),
                                     'expires_at', rfc3339(s.expires_at),
                                     'recovery_codes', (SELECT count(*) FROM recovery_code r WHERE r.company_id = c.id
                                                        AND r.account_id = caller.id AND r.used_at IS NULL))
            FROM company c JOIN session s ON s.company_id = c.id AND s.token_sha256 = token_hash(token)
            WHERE c.id = caller.company_id);
END
$$;

-- Ends sessions; returns the hashes of their tokens, in hexadecimal, as a JSON array.
CREATE FUNCTION end_sessions(company uuid, account uuid, only_this bytea) RETURNS json LANGUAGE sql
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    WITH ended AS (DELETE FROM session s WHERE s.company_id = company AND s.account_id = account
                   AND (only_this IS NULL OR s.token_sha256 = only_this) RETURNING s.token_sha256)
    SELECT coalesce(json_agg(encode(e.token_sha256, 'hex')), '[]') FROM ended e
$$;

-- POST /v1/auth/logout, and with everywhere POST /v1/auth/logout-everywhere
CREATE FUNCTION api.logout(token text, everywhere boolean, client_address text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin', 'manager', 'auditor');
BEGIN
    PERFORM note(caller.company_id, 'user', caller.id, CASE WHEN everywhere THEN 'logout.everywhere' ELSE 'logout' END, caller.id,
                 client_address);
    RETURN end_sessions(caller.company_id, caller.id, CASE WHEN NOT everywhere THEN token_hash(token) END);
END
$$;

CREATE FUNCTION enter_invitation(token text) RETURNS account LANGUAGE plpgsql AS $$
DECLARE
    hash   bytea := token_hash(token);
    known  invitation;
    guest  account;
BEGIN
    PERFORM enter_nobody();
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    SELECT i.* INTO known FROM invitation i WHERE i.token_sha256 = hash AND i.expires_at > now();
    PERFORM enter_nobody();
    IF known.company_id IS NULL THEN
        PERFORM fail('SS006', 'invitation_invalid');
    END IF;
    PERFORM enter_company(known.company_id);
    SELECT a.* INTO STRICT guest FROM account a WHERE a.company_id = known.company_id AND a.id = known.account_id FOR UPDATE;
    IF guest.state <> 'invited' THEN
        PERFORM fail('SS006', 'invitation_invalid');
    END IF;
    RETURN guest;
END
$$;

CREATE FUNCTION api.invitation_parameters(token text, OUT account_id uuid, OUT email text, OUT company_salt bytea)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    guest account := enter_invitation(token);
BEGIN
    SELECT guest.id, guest.email, c.salt INTO STRICT account_id, email, company_salt FROM company c WHERE c.id = guest.company_id;
END
$$;

-- POST /v1/auth/invitation. May be repeated until the authenticator is confirmed; the last password and secret count.
CREATE FUNCTION api.accept_invitation(token text, salt bytea, iterations integer, derived bytea, masked bytea, nonce bytea,
                                      challenge_token text)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    guest account := enter_invitation(token);
BEGIN
    IF length(challenge_token) < 43 OR length(derived) <> 64 THEN
        RAISE EXCEPTION 'token too weak' USING ERRCODE = 'SS901';
    END IF;
    UPDATE account a SET password_salt = salt, password_iterations = iterations, password_sha256 = sha256(derived),
            totp_masked = masked, totp_nonce = nonce, totp_last_step = NULL
        WHERE a.company_id = guest.company_id AND a.id = guest.id;
    DELETE FROM challenge c WHERE c.company_id = guest.company_id AND c.account_id = guest.id;
    INSERT INTO challenge (token_sha256, company_id, account_id, purpose, expires_at)
        VALUES (token_hash(challenge_token), guest.company_id, guest.id, 'enrol', now() + interval '30 minutes');
END
$$;

-- POST /v1/auth/totp/confirm. codes: the new recovery codes, separated by spaces. True if the code was right: the account is
-- active from then on, and the invitation used.
CREATE FUNCTION api.confirm_totp(challenge_token text, code text, pad bytea, codes text, client_address text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    known  challenge := enter_challenge(challenge_token, 'enrol');
    guest  account;
    step   bigint;
BEGIN
    SELECT a.* INTO STRICT guest FROM account a WHERE a.company_id = known.company_id AND a.id = known.account_id FOR UPDATE;
    IF guest.state <> 'invited' THEN
        PERFORM fail('SS005', 'challenge_invalid');
    END IF;
    step := totp_step(xor(guest.totp_masked, pad), code, NULL);
    IF step IS NULL THEN
        UPDATE challenge c SET attempts = c.attempts + 1 WHERE c.token_sha256 = known.token_sha256;
        RETURN false;
    END IF;
    UPDATE account a SET state = 'active', totp_last_step = step WHERE a.company_id = guest.company_id AND a.id = guest.id;
    DELETE FROM challenge c WHERE c.company_id = guest.company_id AND c.account_id = guest.id;
    DELETE FROM invitation i WHERE i.company_id = guest.company_id AND i.account_id = guest.id;
    DELETE FROM recovery_code r WHERE r.company_id = guest.company_id AND r.account_id = guest.id;
    INSERT INTO recovery_code (company_id, account_id, code_sha256)
        SELECT guest.company_id, guest.id, token_hash(c) FROM unnest(string_to_array(codes, ' ')) AS c;
    PERFORM note(guest.company_id, 'user', guest.id, 'user.activate', guest.id, client_address);
    RETURN true;
END
$$;

-- For POST /v1/auth/password: what the present password was hashed with, and half of what the next one will be.
CREATE FUNCTION api.password_parameters(token text, OUT company_salt bytea, OUT salt bytea, OUT iterations integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin', 'manager', 'auditor');
BEGIN
    SELECT c.salt, caller.password_salt, caller.password_iterations INTO STRICT company_salt, salt, iterations FROM company c
        WHERE c.id = caller.company_id;
END
$$;

-- POST /v1/auth/password. Other sessions end. outcome: changed (with the ended), refused or locked.
CREATE FUNCTION api.change_password(token text, derived bytea, new_salt bytea, new_iterations integer, new_derived bytea,
                                    client_address text, OUT outcome text, OUT retry_after integer, OUT ended json)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin', 'manager', 'auditor');
    held    login_failure := hold_failures(caller.email_sha256);
BEGIN
    IF held.locked_until > clock_timestamp() THEN
        outcome := 'locked';
        retry_after := seconds_until(held.locked_until);
        RETURN;
    END IF;
    IF caller.password_sha256 <> sha256(derived) THEN
        PERFORM note(caller.company_id, 'user', caller.id, 'password.refused', caller.id, client_address);
        outcome := 'refused';
        retry_after := count_failure(caller.email_sha256);
        RETURN;
    END IF;
    UPDATE account a SET password_salt = new_salt, password_iterations = new_iterations, password_sha256 = sha256(new_derived)
        WHERE a.company_id = caller.company_id AND a.id = caller.id;
    WITH gone AS (DELETE FROM session s WHERE s.company_id = caller.company_id AND s.account_id = caller.id
                  AND s.token_sha256 <> token_hash(token) RETURNING s.token_sha256)
    SELECT coalesce(json_agg(encode(g.token_sha256, 'hex')), '[]') INTO ended FROM gone g;
    PERFORM note(caller.company_id, 'user', caller.id, 'password.change', caller.id, client_address);
    outcome := 'changed';
    retry_after := 0;
END
$$;

GRANT EXECUTE ON FUNCTION api.login_parameters(text), api.login_password(text, bytea, text, bytea, integer, bytea, text),
    api.challenge_parameters(text, text), api.login_totp(text, text, bytea, text, text), api.session(text),
    api.logout(text, boolean, text), api.invitation_parameters(text),
    api.accept_invitation(text, bytea, integer, bytea, bytea, bytea, text), api.confirm_totp(text, text, bytea, text, text),
    api.password_parameters(text), api.change_password(text, bytea, bytea, integer, bytea, text) TO streamsight_apid;

RESET ROLE;
RESET search_path;
