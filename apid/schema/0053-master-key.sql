-- SPDX-License-Identifier: Apache-2.0
-- Another master key in place of the one there is: whatever lies under it says under which, so that for a while there can be two.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- The beginning of a hash of the key that totp_masked is masked with (apid/secret.h). Null: from before this, when there was but one.
ALTER TABLE account ADD COLUMN totp_key_id bytea CHECK (length(totp_key_id) = 8);

DROP FUNCTION api.challenge_parameters(text, text);
CREATE FUNCTION api.challenge_parameters(challenge_token text, purpose text, OUT account_id uuid, OUT totp_nonce bytea,
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

-- The default is for an apid from before this.
DROP FUNCTION api.accept_invitation(text, bytea, integer, bytea, bytea, bytea, text);
CREATE FUNCTION api.accept_invitation(token text, salt bytea, iterations integer, derived bytea, masked bytea, nonce bytea,
                                      challenge_token text, key_id bytea DEFAULT NULL)
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
END
$$;

-- Whether a code that apid derives anew for a repeated request was the one it was answered with: while there are two master keys it
-- may have been derived from either.
CREATE FUNCTION api.knows_code(token text, code text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin');
BEGIN
    RETURN EXISTS (SELECT FROM invitation i WHERE i.company_id = caller.company_id AND i.token_sha256 = token_hash(code))
        OR EXISTS (SELECT FROM enrolment_code c WHERE c.company_id = caller.company_id AND c.code_sha256 = token_hash(code));
END
$$;

-- For "streamsight-admin master-key rotate": delta is the old pad XOR the new one, so neither side sees the secret. False: somebody
-- has chosen another authenticator meanwhile, which is under the new key.
CREATE FUNCTION mask_anew(company uuid, account uuid, nonce bytea, old_key_id bytea, new_key_id bytea, delta bytea) RETURNS boolean
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
GRANT EXECUTE ON FUNCTION mask_anew(uuid, uuid, bytea, bytea, bytea, bytea) TO streamsight_admin;
GRANT SELECT (totp_nonce, totp_key_id) ON account TO streamsight_admin;

GRANT EXECUTE ON FUNCTION api.challenge_parameters(text, text), api.knows_code(text, text) TO streamsight_apid;
GRANT EXECUTE ON FUNCTION api.accept_invitation(text, bytea, integer, bytea, bytea, bytea, text, bytea)
    TO streamsight_apid, streamsight_admin;

RESET ROLE;
RESET search_path;
