-- SPDX-License-Identifier: Apache-2.0
-- An address without an account is answered with as many iterations as apid would hash a new password with: were it always the
-- fewest, an address with an account would stand out wherever PasswordIterations= is higher.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- The default is for an apid from before this.
DROP FUNCTION api.login_parameters(text);
CREATE FUNCTION api.login_parameters(address text, usual integer DEFAULT 210000, OUT salt bytea, OUT iterations integer,
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

-- After login_password() said "challenge": the same password with today's parameters. Only then, so that a wrong password costs as
-- much whether it would be hashed anew or not.
CREATE FUNCTION api.renew_password(challenge_token text, new_salt bytea, new_iterations integer, new_derived bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    known challenge := enter_challenge(challenge_token, 'login');
BEGIN
    IF length(new_salt) <> 32 OR length(new_derived) <> 64 THEN
        RAISE EXCEPTION 'hash too weak' USING ERRCODE = 'SS901';
    END IF;
    UPDATE account a SET password_salt = new_salt, password_iterations = new_iterations, password_sha256 = sha256(new_derived)
        WHERE a.company_id = known.company_id AND a.id = known.account_id;
END
$$;

GRANT EXECUTE ON FUNCTION api.login_parameters(text, integer), api.renew_password(text, bytea, integer, bytea) TO streamsight_apid;

RESET ROLE;
RESET search_path;
