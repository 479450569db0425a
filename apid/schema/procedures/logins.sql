-- SPDX-License-Identifier: Apache-2.0
-- Logins: a password, then a code of the authenticator, then a session. The database compares both itself, so that whoever has apid's role
-- but neither of the two gets no session; and it has no procedure that makes one without both.
SET ROLE streamsight_owner;
SET search_path = streamsight;

CREATE OR REPLACE FUNCTION account_json(a account) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', a.id, 'email', a.email, 'name', a.name, 'role', a.role, 'state', a.state,
                             'created_at', streamsight.rfc3339(a.created_at))
$$;

CREATE OR REPLACE FUNCTION xor(a bytea, b bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    FOR i IN 0 .. length(a) - 1 LOOP
        a := set_byte(a, i, get_byte(a, i) # get_byte(b, i));
    END LOOP;
    RETURN a;
END
$$;

-- RFC 4226 §5.3 for RFC 6238's time steps of 30 s, six digits.
CREATE OR REPLACE FUNCTION totp_code(secret bytea, step bigint) RETURNS text LANGUAGE plpgsql STABLE STRICT
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
CREATE OR REPLACE FUNCTION totp_step(secret bytea, code text, last_step bigint) RETURNS bigint LANGUAGE sql STABLE
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT min(n.step) FROM (SELECT floor(extract(epoch FROM now()) / 30)::bigint + around AS step
                             FROM generate_series(-1, 1) AS around) AS n
    WHERE n.step > coalesce(last_step, 0) AND totp_code(secret, n.step) = code
$$;

-- The failures of an address, held until the end of this transaction: guesses at one account come one after the other.
CREATE OR REPLACE FUNCTION hold_failures(hash bytea) RETURNS login_failure LANGUAGE plpgsql AS $$
DECLARE
    held login_failure;
BEGIN
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    -- In one statement: between two the row could be forgotten.
    INSERT INTO login_failure AS f (email_sha256) VALUES (hash) ON CONFLICT (email_sha256) DO UPDATE SET failures = f.failures
        RETURNING f.* INTO held;
    PERFORM set_config('streamsight.secret', '', true);
    RETURN held;
END
$$;

-- After hold_failures(). From the fifth in a row on one has to wait: 5 s, 10 s, 20 s, … 15 minutes. Returns that many seconds.
CREATE OR REPLACE FUNCTION count_failure(hash bytea) RETURNS integer LANGUAGE plpgsql AS $$
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

CREATE OR REPLACE FUNCTION forget_failures(hash bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    DELETE FROM login_failure f WHERE f.email_sha256 = hash;
    PERFORM set_config('streamsight.secret', '', true);
END
$$;

CREATE OR REPLACE FUNCTION seconds_until(t timestamptz) RETURNS integer LANGUAGE sql VOLATILE AS $$
    SELECT greatest(0, ceil(extract(epoch FROM t - clock_timestamp())))::integer
$$;

-- An account as it is now, held until the end of this transaction: what it can be entered with is given, taken away and used by one after the
-- other. Who holds failures as well holds them first; what is noted is noted last.
CREATE OR REPLACE FUNCTION hold_account(company uuid, wanted uuid) RETURNS account LANGUAGE plpgsql AS $$
DECLARE
    held account;
BEGIN
    SELECT a.* INTO held FROM account a WHERE a.company_id = company AND a.id = wanted FOR NO KEY UPDATE;
    RETURN held;
END
$$;

-- Ends sessions; returns the hashes of their tokens, in hexadecimal, as a JSON array.
CREATE OR REPLACE FUNCTION end_sessions(company uuid, account uuid, only_this bytea) RETURNS json LANGUAGE sql
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    WITH ended AS (DELETE FROM session s WHERE s.company_id = company AND s.account_id = account
                   AND (only_this IS NULL OR s.token_sha256 = only_this) RETURNING s.token_sha256)
    SELECT coalesce(json_agg(encode(e.token_sha256, 'hex')), '[]') FROM ended e
$$;

-- All that is under way for an account: sessions, logins, invitations.
CREATE OR REPLACE FUNCTION end_access(held account) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM session s WHERE s.company_id = held.company_id AND s.account_id = held.id;
    DELETE FROM challenge c WHERE c.company_id = held.company_id AND c.account_id = held.id;
    DELETE FROM invitation i WHERE i.company_id = held.company_id AND i.account_id = held.id;
END
$$;

-- And all that it could be entered with, for good: from here on it is joined by an invitation, as if for the first time.
CREATE OR REPLACE FUNCTION forget_credentials(held account) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE account a SET state = 'invited', password_salt = NULL, password_iterations = NULL, password_sha256 = NULL, totp_masked = NULL,
            totp_nonce = NULL, totp_key_id = NULL, totp_last_step = NULL
        WHERE a.company_id = held.company_id AND a.id = held.id;
    DELETE FROM recovery_code r WHERE r.company_id = held.company_id AND r.account_id = held.id;
    PERFORM end_access(held);
END
$$;

-- Enters the company of a challenge that is still good.
CREATE OR REPLACE FUNCTION enter_challenge(token text, wanted text) RETURNS challenge LANGUAGE plpgsql AS $$
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

-- The same, with nobody else at its account until the end of this transaction.
CREATE OR REPLACE FUNCTION hold_challenge(token text, wanted text) RETURNS challenge LANGUAGE plpgsql AS $$
DECLARE
    known  challenge := enter_challenge(token, wanted);
    held   account := hold_account(known.company_id, known.account_id);
BEGIN
    IF held.state <> (CASE wanted WHEN 'login' THEN 'active' ELSE 'invited' END) THEN
        PERFORM fail('SS005', 'challenge_invalid');
    END IF;
    RETURN enter_challenge(token, wanted);
END
$$;

CREATE OR REPLACE FUNCTION enter_invitation(token text) RETURNS account LANGUAGE plpgsql AS $$
DECLARE
    hash   bytea := token_hash(token);
    known  invitation;
    guest  account;
BEGIN
    PERFORM enter_nobody();
    PERFORM set_config('streamsight.secret', encode(hash, 'hex'), true);
    SELECT i.* INTO known FROM invitation i WHERE i.token_sha256 = hash AND i.expires_at > now();
    PERFORM enter_nobody();
    PERFORM enter_company(known.company_id);
    guest := hold_account(known.company_id, known.account_id);
    -- Again, now that nobody else is at it: it may be used, or another have taken its place.
    IF guest.state IS DISTINCT FROM 'invited'
            OR NOT EXISTS (SELECT FROM invitation i WHERE i.token_sha256 = hash AND i.account_id = guest.id) THEN
        PERFORM fail('SS006', 'invitation_invalid');
    END IF;
    RETURN guest;
END
$$;

-- What to hash a password with. An address without an account gets as good an answer, always the same, with as many iterations as apid
-- would hash a new password with: were it always the fewest, an address with an account would stand out wherever PasswordIterations= is
-- higher.
CREATE OR REPLACE FUNCTION api.login_parameters(address text, usual integer DEFAULT 210000, OUT salt bytea, OUT iterations integer,
                                                OUT locked integer)
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
        SELECT sha256(d.secret || 'c' || hash) || sha256(d.secret || 'a' || hash), usual INTO salt, iterations FROM decoy d;
    ELSE
        PERFORM enter_company(known.company_id);
        SELECT c.salt || known.password_salt, known.password_iterations INTO salt, iterations FROM company c
            WHERE c.id = known.company_id;
    END IF;
END
$$;

-- POST /v1/auth/login. derived: PBKDF2's 64 bytes. outcome: challenge, refused or locked; the first makes challenge_token good for five
-- minutes.
CREATE OR REPLACE FUNCTION api.login_password(address text, derived bytea, challenge_token text, client_address text, OUT outcome text,
                                              OUT retry_after integer)
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
    PERFORM enter_nobody(), enter_company(known.company_id);
    known := hold_account(known.company_id, known.id);
    IF known.state IS DISTINCT FROM 'active' OR known.password_sha256 <> sha256(derived) THEN
        retry_after := count_failure(hash);
        outcome := 'refused';
        IF known.id IS NOT NULL THEN
            PERFORM note(known.company_id, 'user', known.id, 'login.refused', known.id, client_address, '{"factor": "password"}');
        END IF;
        RETURN;
    END IF;

    DELETE FROM challenge c WHERE c.company_id = known.company_id AND c.account_id = known.id
        AND (c.expires_at < now() OR c.purpose = 'enrol');
    INSERT INTO challenge (token_sha256, company_id, account_id, purpose, expires_at)
        VALUES (token_hash(challenge_token), known.company_id, known.id, 'login', now() + interval '5 minutes');
    outcome := 'challenge';
    retry_after := 0;
END
$$;

-- After login_password() said "challenge": the same password with today's parameters. Only then, so that a wrong password costs as
-- much whether it would be hashed anew or not. It counts once the code was right, too: that it is the same password is apid's word.
CREATE OR REPLACE FUNCTION api.renew_password(challenge_token text, new_salt bytea, new_iterations integer, new_derived bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    known challenge := enter_challenge(challenge_token, 'login');
BEGIN
    IF length(new_salt) <> 32 OR length(new_derived) <> 64 THEN
        RAISE EXCEPTION 'hash too weak' USING ERRCODE = 'SS901';
    END IF;
    UPDATE challenge c SET password_salt = new_salt, password_iterations = new_iterations, password_sha256 = sha256(new_derived)
        WHERE c.token_sha256 = known.token_sha256;
END
$$;

-- What apid needs to derive the pad of the TOTP secret from its master key.
CREATE OR REPLACE FUNCTION api.challenge_parameters(challenge_token text, purpose text, OUT account_id uuid, OUT totp_nonce bytea,
                                                    OUT totp_key_id bytea)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    known challenge := enter_challenge(challenge_token, purpose);
BEGIN
    SELECT a.id, a.totp_nonce, a.totp_key_id INTO STRICT account_id, totp_nonce, totp_key_id FROM account a
        WHERE a.company_id = known.company_id AND a.id = known.account_id;
END
$$;

-- POST /v1/auth/totp. code: six digits, or a recovery code without its dashes. outcome: session, refused or locked. expires: in
-- seconds since 1970.
CREATE OR REPLACE FUNCTION api.login_totp(challenge_token text, code text, pad bytea, session_token text, client_address text,
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
    known := hold_challenge(challenge_token, 'login');
    SELECT a.* INTO STRICT caller FROM account a WHERE a.company_id = known.company_id AND a.id = known.account_id;
    IF held.locked_until > clock_timestamp() THEN
        outcome := 'locked';
        retry_after := seconds_until(held.locked_until);
        RETURN;
    END IF;

    IF factor = 'totp' THEN
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

    UPDATE account a SET password_salt = known.password_salt, password_iterations = known.password_iterations,
            password_sha256 = known.password_sha256
        WHERE a.company_id = caller.company_id AND a.id = caller.id AND known.password_sha256 IS NOT NULL;
    DELETE FROM challenge c WHERE c.token_sha256 = known.token_sha256;
    DELETE FROM session s WHERE s.company_id = caller.company_id AND s.account_id = caller.id AND s.expires_at < now() - interval '1 day';
    INSERT INTO session (token_sha256, company_id, account_id, expires_at)
        VALUES (token_hash(session_token), caller.company_id, caller.id, now() + interval '12 hours')
        RETURNING extract(epoch FROM session.expires_at)::bigint INTO expires;
    PERFORM forget_failures(caller.email_sha256);
    PERFORM note(caller.company_id, 'user', caller.id, 'login', caller.id, client_address, json_build_object('factor', factor)::jsonb);
    IF known.password_sha256 IS NOT NULL THEN
        PERFORM note(caller.company_id, 'user', caller.id, 'password.renew', caller.id, client_address,
                     jsonb_build_object('iterations', known.password_iterations));
    END IF;
    outcome := 'session';
    retry_after := 0;
    account := account_json(caller);
END
$$;

-- GET /v1/auth/session
CREATE OR REPLACE FUNCTION api.session(token text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
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

-- POST /v1/auth/logout, and with everywhere POST /v1/auth/logout-everywhere
CREATE OR REPLACE FUNCTION api.logout(token text, everywhere boolean, client_address text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin', 'manager', 'auditor');
    ended   json := end_sessions(caller.company_id, caller.id, CASE WHEN NOT everywhere THEN token_hash(token) END);
BEGIN
    PERFORM note(caller.company_id, 'user', caller.id, CASE WHEN everywhere THEN 'logout.everywhere' ELSE 'logout' END, caller.id,
                 client_address);
    RETURN ended;
END
$$;

CREATE OR REPLACE FUNCTION api.invitation_parameters(token text, OUT account_id uuid, OUT email text, OUT company_salt bytea)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    guest account := enter_invitation(token);
BEGIN
    SELECT guest.id, guest.email, c.salt INTO STRICT account_id, email, company_salt FROM company c WHERE c.id = guest.company_id;
END
$$;

-- POST /v1/auth/invitation. May be repeated until the authenticator is confirmed; the last password and secret count. key_id has a default
-- for an apid from before there could be two master keys.
CREATE OR REPLACE FUNCTION api.accept_invitation(token text, salt bytea, iterations integer, derived bytea, masked bytea, nonce bytea,
                                                 challenge_token text, key_id bytea DEFAULT NULL, client_address text DEFAULT NULL)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    guest account := enter_invitation(token);
BEGIN
    IF length(challenge_token) < 43 OR length(derived) <> 64 THEN
        RAISE EXCEPTION 'token too weak' USING ERRCODE = 'SS901';
    END IF;
    UPDATE account a SET password_salt = salt, password_iterations = iterations, password_sha256 = sha256(derived),
            totp_masked = masked, totp_nonce = nonce, totp_key_id = key_id, totp_last_step = NULL
        WHERE a.company_id = guest.company_id AND a.id = guest.id;
    DELETE FROM challenge c WHERE c.company_id = guest.company_id AND c.account_id = guest.id;
    INSERT INTO challenge (token_sha256, company_id, account_id, purpose, expires_at)
        VALUES (token_hash(challenge_token), guest.company_id, guest.id, 'enrol', now() + interval '30 minutes');
    PERFORM note(guest.company_id, 'user', guest.id, 'user.accept', guest.id, client_address);
END
$$;

-- POST /v1/auth/totp/confirm. codes: the new recovery codes, separated by spaces. True if the code was right: the account is
-- active from then on, and the invitation used.
CREATE OR REPLACE FUNCTION api.confirm_totp(challenge_token text, code text, pad bytea, codes text, client_address text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    known  challenge := hold_challenge(challenge_token, 'enrol');
    guest  account;
    step   bigint;
BEGIN
    SELECT a.* INTO STRICT guest FROM account a WHERE a.company_id = known.company_id AND a.id = known.account_id;
    step := totp_step(xor(guest.totp_masked, pad), code, NULL);
    IF step IS NULL THEN
        UPDATE challenge c SET attempts = c.attempts + 1 WHERE c.token_sha256 = known.token_sha256;
        RETURN false;
    END IF;
    UPDATE account a SET state = 'active', totp_last_step = step WHERE a.company_id = guest.company_id AND a.id = guest.id;
    PERFORM end_access(guest);
    DELETE FROM recovery_code r WHERE r.company_id = guest.company_id AND r.account_id = guest.id;
    INSERT INTO recovery_code (company_id, account_id, code_sha256)
        SELECT guest.company_id, guest.id, token_hash(c) FROM unnest(string_to_array(codes, ' ')) AS c;
    PERFORM note(guest.company_id, 'user', guest.id, 'user.activate', guest.id, client_address);
    RETURN true;
END
$$;

-- For POST /v1/auth/password: what the present password was hashed with, and half of what the next one will be.
CREATE OR REPLACE FUNCTION api.password_parameters(token text, OUT company_salt bytea, OUT salt bytea, OUT iterations integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin', 'manager', 'auditor');
BEGIN
    SELECT c.salt, caller.password_salt, caller.password_iterations INTO STRICT company_salt, salt, iterations FROM company c
        WHERE c.id = caller.company_id;
END
$$;

-- POST /v1/auth/password. Other sessions end, and what was begun with the old password. outcome: changed (with the ended), refused or locked.
CREATE OR REPLACE FUNCTION api.change_password(token text, derived bytea, new_salt bytea, new_iterations integer, new_derived bytea,
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
    -- Again, now that nobody else is at it: another password may have been chosen meanwhile, or the session have ended.
    PERFORM hold_account(caller.company_id, caller.id);
    caller := enter_user(token, 'owner', 'admin', 'manager', 'auditor');
    IF caller.password_sha256 <> sha256(derived) THEN
        PERFORM note(caller.company_id, 'user', caller.id, 'password.refused', caller.id, client_address);
        outcome := 'refused';
        retry_after := count_failure(caller.email_sha256);
        RETURN;
    END IF;
    UPDATE account a SET password_salt = new_salt, password_iterations = new_iterations, password_sha256 = sha256(new_derived)
        WHERE a.company_id = caller.company_id AND a.id = caller.id;
    DELETE FROM challenge c WHERE c.company_id = caller.company_id AND c.account_id = caller.id;
    WITH gone AS (DELETE FROM session s WHERE s.company_id = caller.company_id AND s.account_id = caller.id
                  AND s.token_sha256 <> token_hash(token) RETURNING s.token_sha256)
    SELECT coalesce(json_agg(encode(g.token_sha256, 'hex')), '[]') INTO ended FROM gone g;
    PERFORM note(caller.company_id, 'user', caller.id, 'password.change', caller.id, client_address);
    outcome := 'changed';
    retry_after := 0;
END
$$;

-- For POST /v1/auth/recovery-codes: what the password was hashed with, and what the TOTP secret is masked with.
CREATE OR REPLACE FUNCTION api.factor_parameters(token text, OUT company_salt bytea, OUT salt bytea, OUT iterations integer,
                                                 OUT account_id uuid, OUT totp_nonce bytea, OUT totp_key_id bytea)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin', 'manager', 'auditor');
BEGIN
    SELECT c.salt, caller.password_salt, caller.password_iterations, caller.id, caller.totp_nonce, caller.totp_key_id
        INTO STRICT company_salt, salt, iterations, account_id, totp_nonce, totp_key_id FROM company c WHERE c.id = caller.company_id;
END
$$;

-- POST /v1/auth/recovery-codes. codes: separated by spaces. A session alone is not enough, nor is one of the old codes: who has lost
-- the authenticator needs another one. outcome: renewed, refused (which of the two was wrong is not said) or locked.
CREATE OR REPLACE FUNCTION api.renew_recovery_codes(token text, derived bytea, code text, pad bytea, codes text, client_address text,
                                                    OUT outcome text, OUT retry_after integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin', 'manager', 'auditor');
    held    login_failure := hold_failures(caller.email_sha256);
    step    bigint;
BEGIN
    IF held.locked_until > clock_timestamp() THEN
        outcome := 'locked';
        retry_after := seconds_until(held.locked_until);
        RETURN;
    END IF;
    -- Again, now that nobody else is at it: the code may have been used meanwhile.
    PERFORM hold_account(caller.company_id, caller.id);
    caller := enter_user(token, 'owner', 'admin', 'manager', 'auditor');
    step := totp_step(xor(caller.totp_masked, pad), code, caller.totp_last_step);
    IF caller.password_sha256 <> sha256(derived) OR step IS NULL THEN
        PERFORM note(caller.company_id, 'user', caller.id, 'recovery_codes.refused', caller.id, client_address);
        outcome := 'refused';
        retry_after := count_failure(caller.email_sha256);
        RETURN;
    END IF;
    UPDATE account a SET totp_last_step = step WHERE a.company_id = caller.company_id AND a.id = caller.id;
    DELETE FROM recovery_code r WHERE r.company_id = caller.company_id AND r.account_id = caller.id;
    INSERT INTO recovery_code (company_id, account_id, code_sha256)
        SELECT caller.company_id, caller.id, token_hash(c) FROM unnest(string_to_array(codes, ' ')) AS c;
    PERFORM forget_failures(caller.email_sha256);
    PERFORM note(caller.company_id, 'user', caller.id, 'recovery_codes.renew', caller.id, client_address);
    outcome := 'renewed';
    retry_after := 0;
END
$$;

-- For "streamsight-admin master-key rotate": delta is the old pad XOR the new one, so neither side sees the secret. False: somebody
-- has chosen another authenticator meanwhile, which is under the new key.
CREATE OR REPLACE FUNCTION mask_anew(company uuid, account uuid, nonce bytea, old_key_id bytea, new_key_id bytea, delta bytea)
    RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
BEGIN
    PERFORM enter_nobody(), enter_company(company);
    UPDATE account a SET totp_masked = xor(a.totp_masked, delta), totp_key_id = new_key_id
        WHERE a.company_id = company AND a.id = mask_anew.account AND a.totp_nonce = nonce
            AND a.totp_key_id IS NOT DISTINCT FROM old_key_id AND length(delta) = 20;
    RETURN FOUND;
END
$$;

RESET ROLE;
RESET search_path;
