"""Who waits for whom in the database: nobody for a person who types, for a dump, or in a circle."""

import os
import pty
import subprocess
import time

import pytest

from .client import session_token

BUCKET = ["--endpoint", "https://s3.example.org", "--region", "r", "--bucket", "recordings", "--prefix", "p", "--access-key-id", "K"]


@pytest.fixture
def session(stack):
    """Opens a psql that stays: session(text) → it has text to do, and does it while others go on."""
    opened = []

    def start(text):
        psql = subprocess.Popen(["/usr/lib/postgresql/15/bin/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", stack.postgres.owner_dsn("streamsight")],
                                text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        opened.append(psql)
        psql.stdin.write(text + ";\n")
        psql.stdin.flush()
        return psql
    yield start
    for psql in opened:
        psql.kill()
        psql.wait()


def until(sql, condition):
    """Waits until one of the server's processes is like that."""
    end = time.monotonic() + 20
    while sql(f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {condition})") != "t":
        assert time.monotonic() < end, sql("SELECT pid, state, wait_event, query FROM pg_stat_activity")
        time.sleep(0.02)


def noted(company):
    return f"INSERT INTO streamsight.audit (company_id, actor, action) VALUES ('{company}', 'administrator', 'x')"


def test_nobody_waits_for_a_secret_that_is_typed(apid, company, sql):
    main, terminal = pty.openpty()
    with subprocess.Popen([apid.admin_program, "--config", apid.admin_config_file, "bucket", "set", "--company", company, *BUCKET],
                          stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as typed:
        try:
            assert typed.stderr.read(len("Secret access key: ")) == b"Secret access key: "
            sql(f"SET lock_timeout = '2s'; {noted(company)}")
        finally:
            os.write(main, b"secret\n")
            made = typed.stdout.read().decode().strip()
    assert typed.returncode == 0
    assert sql(f"SELECT id FROM streamsight.bucket WHERE company_id = '{company}' AND current") == made


CHANGES = {
    "policy": "api.create_policy('{token}', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "bucket": "api.set_bucket('{token}', gen_random_uuid(), 'https://s3.example.org', 'r', 'recordings', NULL, true, NULL, NULL, 'K', '\\x00', NULL)",
    "owner": "api.change_user('{token}', '{other}', NULL, 'auditor', NULL, NULL)"}


@pytest.mark.parametrize("change", [*CHANGES, "streamsight-admin"])
def test_a_company_is_changed_while_its_trail_grows(apid, session, sql, change):
    """A row of the trail waits for the one before, then looks whether there is such a company. Whoever changes the company does it the other
    way round."""
    company = apid.create_company()
    owner, other = apid.user(company).log_in(), apid.user(company).log_in()
    first = session(f"BEGIN; SELECT FROM streamsight.audit_head WHERE company_id = '{company}' FOR UPDATE")
    until(sql, "query LIKE '%audit_head%' AND state = 'idle in transaction'")
    if change in CHANGES:
        second = session("SELECT " + CHANGES[change].format(token=session_token(owner.token), other=other.id))
    else:
        second = subprocess.Popen([apid.admin_program, "--config", apid.admin_config_file, "bucket", "set", "--company", company, *BUCKET],
                                  text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        second.stdin.write("secret\n")
        second.stdin.flush()
    until(sql, "wait_event_type = 'Lock' AND state = 'active'")
    assert first.communicate(f"{noted(company)}; COMMIT;\n", timeout=30)[0] == ""
    said = second.communicate(timeout=30)[0]
    assert second.returncode == first.returncode == 0, said
    # Its secret is under no key, which would stop whoever gives them all another.
    sql(f"DELETE FROM streamsight.bucket WHERE company_id = '{company}' AND length(secret) = 1")
