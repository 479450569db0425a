-- SPDX-License-Identifier: Apache-2.0
-- New recovery codes for those who have used theirs up, or lost them.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- For POST /v1/auth/recovery-codes: what the password was hashed with, and what the TOTP secret is masked with.
CREATE FUNCTION api.factor_parameters(token text, OUT company_salt bytea, OUT salt bytea, OUT iterations integer, OUT account_id uuid,
                                      OUT totp_nonce bytea, OUT totp_key_id bytea)
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
CREATE FUNCTION api.renew_recovery_codes(token text, derived bytea, code text, pad bytea, codes text, client_address text,
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
REVOKE EXECUTE ON FUNCTION api.factor_parameters(text), api.renew_recovery_codes(text, bytea, text, bytea, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.factor_parameters(text), api.renew_recovery_codes(text, bytea, text, bytea, text, text)
    TO streamsight_apid;

RESET ROLE;
RESET search_path;
