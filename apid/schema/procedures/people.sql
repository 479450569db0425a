-- SPDX-License-Identifier: Apache-2.0
-- What people manage in their company: users, employees and who may look at whom. Each procedure begins with the roles that it is for.
-- Another company's user or employee is as unknown as none.
SET ROLE streamsight_owner;
SET search_path = streamsight;

-- GET /v1/company
CREATE OR REPLACE FUNCTION api.show_company(token text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin', 'manager', 'auditor');
BEGIN
    RETURN (SELECT json_build_object('id', c.id, 'name', c.name, 'created_at', rfc3339(c.created_at)) FROM company c
            WHERE c.id = caller.company_id);
END
$$;

-- PATCH /v1/company
CREATE OR REPLACE FUNCTION api.change_company(token text, new_name text, client_address text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner');
BEGIN
    UPDATE company c SET name = new_name WHERE c.id = caller.company_id;
    PERFORM note(caller.company_id, 'user', caller.id, 'company.change', caller.company_id, client_address,
                 jsonb_build_object('name', new_name));
    RETURN api.show_company(token);
END
$$;

CREATE OR REPLACE FUNCTION find_user(caller account, wanted uuid) RETURNS account LANGUAGE plpgsql AS $$
DECLARE
    found account;
BEGIN
    SELECT a.* INTO found FROM account a WHERE a.company_id = caller.company_id AND a.id = wanted;
    IF found.id IS NULL THEN
        PERFORM fail('SS050', 'user_unknown');
    END IF;
    RETURN found;
END
$$;

-- The same, held until the end of this transaction: what is judged of them stays so.
CREATE OR REPLACE FUNCTION hold_user(caller account, wanted uuid) RETURNS account LANGUAGE plpgsql AS $$
DECLARE
    found account := find_user(caller, wanted);
BEGIN
    RETURN hold_account(found.company_id, found.id);
END
$$;

-- An admin has nothing to say about owners and admins, and makes none.
CREATE OR REPLACE FUNCTION require_above(caller account, role text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF caller.role <> 'owner' AND role IN ('owner', 'admin') THEN
        PERFORM fail('SS004', 'role_insufficient');
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION require_another_owner(caller account, than uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Two who take each other's place at the same moment do so one after the other. A company is never locked as if its key could change:
    -- each row of its trail looks whether it is there, and would wait.
    PERFORM FROM company c WHERE c.id = caller.company_id FOR NO KEY UPDATE;
    IF NOT EXISTS (SELECT FROM account a WHERE a.company_id = caller.company_id AND a.role = 'owner' AND a.state = 'active'
                   AND a.id <> than) THEN
        PERFORM fail('SS052', 'last_owner');
    END IF;
END
$$;

-- Whoever is invited begins anew: what there was before ends now.
CREATE OR REPLACE FUNCTION invite(held account, invitation text, lifetime interval) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz := now() + lifetime;
BEGIN
    PERFORM forget_credentials(held);
    INSERT INTO invitation (token_sha256, company_id, account_id, expires_at)
        VALUES (token_hash(invitation), held.company_id, held.id, until);
    RETURN until;
END
$$;

-- Whoever has joined can be let in again as they were; whoever has not is invited anew.
CREATE OR REPLACE FUNCTION disable(held account) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF held.state = 'invited' THEN
        PERFORM forget_credentials(held);
    END IF;
    PERFORM end_access(held);
    UPDATE account a SET state = 'disabled' WHERE a.company_id = held.company_id AND a.id = held.id;
END
$$;

-- For "streamsight-admin user invite" and "user disable", which see every company.
CREATE OR REPLACE FUNCTION invite_as_administrator(company uuid, wanted uuid, invitation text, lifetime interval) RETURNS timestamptz
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    until timestamptz;
BEGIN
    PERFORM enter_nobody(), enter_company(company);
    until := invite(hold_account(company, wanted), invitation, lifetime);
    PERFORM note(company, 'administrator', NULL, 'user.invite', wanted, NULL);
    RETURN until;
END
$$;

CREATE OR REPLACE FUNCTION disable_as_administrator(company uuid, wanted uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
BEGIN
    PERFORM enter_nobody(), enter_company(company);
    PERFORM disable(hold_account(company, wanted));
    PERFORM note(company, 'administrator', NULL, 'user.disable', wanted, NULL);
END
$$;

-- GET /v1/users
CREATE OR REPLACE FUNCTION api.list_users(token text, after_id uuid, page_size integer) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin', 'auditor');
    shown   integer := coalesce(page_size, 100);
BEGIN
    RETURN page_json('users', ARRAY(
        SELECT account_json(a) FROM account a
        WHERE a.company_id = caller.company_id AND (after_id IS NULL OR (a.created_at, a.id) >
            (SELECT b.created_at, b.id FROM account b WHERE b.company_id = caller.company_id AND b.id = after_id))
        ORDER BY a.created_at, a.id LIMIT shown + 1), shown);
END
$$;

-- GET /v1/users/{id}
CREATE OR REPLACE FUNCTION api.show_user(token text, wanted uuid) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin', 'auditor');
BEGIN
    RETURN account_json(find_user(caller, wanted));
END
$$;

-- POST /v1/users. invitation: without its dashes; apid shows it, here only its hash is kept.
CREATE OR REPLACE FUNCTION api.create_user(token text, address text, full_name text, new_role text, invitation text, client_address text,
                                           key bytea, request bytea, nonce bytea DEFAULT NULL) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    answer  json := repeated(caller, key, request);
    made    account;
BEGIN
    IF answer IS NOT NULL THEN
        RETURN answer;
    END IF;
    PERFORM require_above(caller, new_role);
    IF lower(address) !~ '^[^@[:space:]]+@[^@[:space:]]+$' THEN
        PERFORM fail('SS059', 'email_invalid');
    ELSIF length(invitation) < 24 THEN
        RAISE EXCEPTION 'token too weak' USING ERRCODE = 'SS901';
    END IF;
    BEGIN
        INSERT INTO account (company_id, email, email_sha256, name, role)
            VALUES (caller.company_id, lower(address), token_hash(lower(address)), full_name, new_role) RETURNING * INTO made;
    EXCEPTION WHEN unique_violation THEN
        PERFORM fail('SS051', 'user_exists');
    END;
    answer := json_build_object('user', account_json(made), 'expires_at', rfc3339(invite(made, invitation, interval '3 days')));
    PERFORM note(caller.company_id, 'user', caller.id, 'user.create', made.id, client_address,
                 jsonb_build_object('role', new_role));
    RETURN remember(caller, key, request, answer, nonce);
END
$$;

-- PATCH /v1/users/{id}. Null: as it was.
CREATE OR REPLACE FUNCTION api.change_user(token text, wanted uuid, new_name text, new_role text, new_state text, client_address text)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    found   account := hold_user(caller, wanted);
BEGIN
    PERFORM require_above(caller, found.role), require_above(caller, coalesce(new_role, found.role));
    IF found.role = 'owner' AND found.state = 'active' AND (coalesce(new_role, 'owner') <> 'owner' OR new_state = 'disabled') THEN
        PERFORM require_another_owner(caller, found.id);
    END IF;
    -- Whoever was disabled before they had joined needs an invitation.
    IF new_state = 'active' AND (found.state = 'invited' OR found.totp_masked IS NULL) THEN
        PERFORM fail('SS053', 'user_invited');
    END IF;
    IF new_state = 'disabled' THEN
        PERFORM disable(found);
    END IF;
    UPDATE account a SET name = coalesce(new_name, a.name), role = coalesce(new_role, a.role), state = coalesce(new_state, a.state)
        WHERE a.company_id = caller.company_id AND a.id = found.id RETURNING a.* INTO found;
    PERFORM note(caller.company_id, 'user', caller.id, 'user.change', found.id, client_address,
                 jsonb_strip_nulls(jsonb_build_object('name', new_name, 'role', new_role, 'state', new_state)));
    RETURN account_json(found);
END
$$;

-- POST /v1/users/{id}/invitation: for who has lost password or authenticator. Both, and the sessions, end now.
CREATE OR REPLACE FUNCTION api.invite_user(token text, wanted uuid, invitation text, client_address text, key bytea, request bytea,
                                           nonce bytea DEFAULT NULL)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    found   account := hold_user(caller, wanted);
    answer  json := repeated(caller, key, request);
    until   timestamptz;
BEGIN
    IF answer IS NOT NULL THEN
        RETURN answer;
    END IF;
    PERFORM require_above(caller, found.role);
    IF length(invitation) < 24 THEN
        RAISE EXCEPTION 'token too weak' USING ERRCODE = 'SS901';
    ELSIF found.role = 'owner' AND found.state = 'active' THEN
        PERFORM require_another_owner(caller, found.id);
    END IF;
    until := invite(found, invitation, interval '3 days');
    answer := json_build_object('user', account_json(find_user(caller, wanted)), 'expires_at', rfc3339(until));
    PERFORM note(caller.company_id, 'user', caller.id, 'user.invite', found.id, client_address);
    RETURN remember(caller, key, request, answer, nonce);
END
$$;

-- DELETE /v1/users/{id}/sessions
CREATE OR REPLACE FUNCTION api.end_user_sessions(token text, wanted uuid, client_address text)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    found   account := hold_user(caller, wanted);
    ended   json;
BEGIN
    PERFORM require_above(caller, found.role);
    ended := end_sessions(caller.company_id, found.id, NULL);
    PERFORM note(caller.company_id, 'user', caller.id, 'user.end_sessions', found.id, client_address);
    RETURN ended;
END
$$;

CREATE OR REPLACE FUNCTION employee_json(e employee) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', e.id, 'name', e.name, 'reference', e.reference, 'created_at', streamsight.rfc3339(e.created_at),
                             'left_at', streamsight.rfc3339(e.left_at))
$$;

-- One whom the caller may see: managers see whom they are assigned.
CREATE OR REPLACE FUNCTION find_employee(caller account, wanted uuid) RETURNS employee LANGUAGE plpgsql AS $$
DECLARE
    found employee;
BEGIN
    SELECT e.* INTO found FROM employee e WHERE e.company_id = caller.company_id AND e.id = wanted;
    IF found.id IS NULL OR caller.role = 'manager' AND NOT may_view(caller, found.id) THEN
        PERFORM fail('SS054', 'employee_unknown');
    END IF;
    RETURN found;
END
$$;

-- GET /v1/employees and, with a user, GET /v1/users/{id}/employees
CREATE OR REPLACE FUNCTION employees_page(company uuid, of_user uuid, after_id uuid, page_size integer) RETURNS json LANGUAGE sql STABLE
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
    SELECT page_json('employees', ARRAY(
        SELECT employee_json(e) FROM employee e
        WHERE e.company_id = company
            AND (of_user IS NULL OR e.id IN (SELECT a.employee_id FROM assignment a
                                             WHERE a.company_id = company AND a.account_id = of_user))
            AND (after_id IS NULL OR (e.name, e.id) >
                 (SELECT b.name, b.id FROM employee b WHERE b.company_id = company AND b.id = after_id))
        ORDER BY e.name, e.id LIMIT coalesce(page_size, 100) + 1), coalesce(page_size, 100))
$$;

CREATE OR REPLACE FUNCTION api.list_employees(token text, after_id uuid, page_size integer) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin', 'manager');
BEGIN
    RETURN employees_page(caller.company_id, CASE WHEN caller.role = 'manager' THEN caller.id END, after_id, page_size);
END
$$;

-- GET /v1/employees/{id}
CREATE OR REPLACE FUNCTION api.show_employee(token text, wanted uuid) RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller account := enter_user(token, 'owner', 'admin', 'manager');
BEGIN
    RETURN employee_json(find_employee(caller, wanted));
END
$$;

-- POST /v1/employees
CREATE OR REPLACE FUNCTION api.create_employee(token text, full_name text, personnel_number text, client_address text, key bytea,
                                               request bytea)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    answer  json := repeated(caller, key, request);
    made    employee;
BEGIN
    IF answer IS NOT NULL THEN
        RETURN answer;
    END IF;
    BEGIN
        INSERT INTO employee (company_id, name, reference) VALUES (caller.company_id, full_name, personnel_number)
            RETURNING * INTO made;
    EXCEPTION WHEN unique_violation THEN
        PERFORM fail('SS055', 'employee_exists');
    END;
    PERFORM note(caller.company_id, 'user', caller.id, 'employee.create', made.id, client_address);
    RETURN remember(caller, key, request, employee_json(made));
END
$$;

-- PATCH /v1/employees/{id}. Null: as it was.
CREATE OR REPLACE FUNCTION api.change_employee(token text, wanted uuid, new_name text, new_reference text, has_left text,
                                               client_address text)
    RETURNS json LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin');
    found   employee := find_employee(caller, wanted);
BEGIN
    BEGIN
        UPDATE employee e SET name = coalesce(new_name, e.name), reference = coalesce(new_reference, e.reference),
                left_at = CASE has_left WHEN 'left' THEN coalesce(e.left_at, now()) WHEN 'employed' THEN NULL ELSE e.left_at END
            WHERE e.company_id = caller.company_id AND e.id = found.id RETURNING e.* INTO found;
    EXCEPTION WHEN unique_violation THEN
        PERFORM fail('SS055', 'employee_exists');
    END;
    PERFORM note(caller.company_id, 'user', caller.id, 'employee.change', found.id, client_address,
                 jsonb_strip_nulls(jsonb_build_object('name', new_name, 'reference', new_reference, 'state', has_left)));
    RETURN employee_json(found);
END
$$;

-- GET /v1/users/{id}/employees
CREATE OR REPLACE FUNCTION api.list_assignments(token text, wanted uuid, after_id uuid, page_size integer) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller  account := enter_user(token, 'owner', 'admin', 'auditor');
    found   account := find_user(caller, wanted);
BEGIN
    RETURN employees_page(caller.company_id, found.id, after_id, page_size);
END
$$;

-- PUT and DELETE /v1/users/{id}/employees/{id}
CREATE OR REPLACE FUNCTION api.assign(token text, wanted uuid, employee uuid, client_address text)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller    account := enter_user(token, 'owner', 'admin');
    viewer    account := find_user(caller, wanted);
    assigned  employee := find_employee(caller, employee);
BEGIN
    INSERT INTO assignment (company_id, account_id, employee_id) VALUES (caller.company_id, viewer.id, assigned.id)
        ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM note(caller.company_id, 'user', caller.id, 'assignment.create', viewer.id, client_address,
                     jsonb_build_object('employee', assigned.id));
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION api.unassign(token text, wanted uuid, employee uuid, client_address text)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, streamsight, pg_temp AS $$
DECLARE
    caller    account := enter_user(token, 'owner', 'admin');
    viewer    account := find_user(caller, wanted);
    assigned  employee := find_employee(caller, employee);
BEGIN
    DELETE FROM assignment a WHERE a.company_id = caller.company_id AND a.account_id = viewer.id AND a.employee_id = assigned.id;
    IF FOUND THEN
        PERFORM note(caller.company_id, 'user', caller.id, 'assignment.remove', viewer.id, client_address,
                     jsonb_build_object('employee', assigned.id));
    END IF;
END
$$;

RESET ROLE;
RESET search_path;
