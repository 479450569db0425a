"""A control plane with two companies in it, for fuzz-request-database:

    PYTHONPATH=tests /usr/bin/python3 -m fuzz.request_database --build DIR COMMAND…

starts PostgreSQL and Redis, lets apid fill them, ends that apid and runs the command beside what is left. In the folder that
$STREAMSIGHT_FUZZ names the command finds apid.conf, "words" (request-words.h), devices' keys, and "mark": what the other company's rows
bear. The callers whose requests are made up are the first company's; of the other the words hold what anybody may know.
"""

import argparse
import hashlib
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from apid.client import Api, Device, jwk, compact, session_token
from services.apid import DATABASE
from services.stack import Stack

ROLES = ("owner", "admin", "manager", "auditor")


class Company:
    """One with a user of each role and something of every kind, all of it with its mark; words: what requests may name it by."""

    def __init__(self, apid, api, sql, mark):
        self.id, self.mark = apid.create_company(f"Company {mark}"), mark
        self.password = secrets.token_urlsafe(12)
        self.users = {name: apid.user(self.id, name.rstrip("2"), name=f"{name} {mark}", password=self.password).log_in()
                      for name in (*ROLES, "owner2")}

        def owner(method, path, body=None, **arguments):
            answer = api(method, path, body, token=self.users["owner"].token, **arguments)
            assert answer.status_code < 300, answer.text
            return answer.json() if answer.content else None

        owner("POST", "/v1/buckets", {"endpoint": "https://s3.example.org", "region": "eu-1", "bucket": f"b-{mark}", "prefix": mark, "path_style": False,
                                      "access_key_id": mark, "secret_access_key": secrets.token_hex(20)})
        owner("POST", "/v1/policies", {"revision": 1, "frames_per_second": 3})
        employees = [owner("POST", "/v1/employees", {"name": f"Employee {n} {mark}", "reference": f"{n} {mark}"})["id"] for n in range(2)]
        owner("PUT", f"/v1/users/{self.users['manager'].id}/employees/{employees[0]}")
        guest = owner("POST", "/v1/users", {"email": f"guest.{secrets.token_hex(8)}@example.org", "name": f"Guest {mark}", "role": "auditor"},
                      headers={"Idempotency-Key": "known"})
        codes = [owner("POST", "/v1/enrolment-codes", {"employee_id": employees[0]}) for _ in range(2)]
        owner("DELETE", f"/v1/enrolment-codes/{codes[1]['id']}")
        self.devices = {name: Device(api, f"{name}.{mark}").enroll(apid.enrolment_code(self.id)).log_in() for name in ("device", "device2", "gone")}
        device, other = self.devices["device"], self.devices["device2"]
        owner("PUT", f"/v1/devices/{device.id}/employee", {"employee_id": employees[0]})
        assert device("POST", "/v1/devices/self/diagnostics", {"said": mark}).status_code == 204
        recordings = [device.open(), other.open()]
        for recorder, recording in zip((device, other), recordings):
            assert recorder.offer(recording, 0, b"first").status_code == 201
            assert recorder.complete(recording, 0, b"first").status_code == 204
        assert device.offer(recordings[0], 1, b"second", b"first").status_code == 201
        assert other.finish(recordings[1], 1, reason=f"stopped {mark}").status_code == 204
        segments = sql(f"SELECT id FROM streamsight.segment WHERE company_id = '{self.id}' ORDER BY recording_id <> '{recordings[0]}', sequence").split()
        owner("POST", f"/v1/segments/{segments[0]}/url")
        owner("POST", f"/v1/devices/{self.devices['gone'].id}/revoke")

        self.words = {"company": self.id, "guest": guest["user"]["id"], "code": codes[0]["id"], "code2": codes[1]["id"],
                      "bucket": sql(f"SELECT id FROM streamsight.bucket WHERE company_id = '{self.id}'"),
                      "cursor": f"2030-01-31T10:00:00.000000Z_{recordings[0]}"}
        for name, found in (("employee", employees), ("recording", recordings), ("segment", segments)):
            self.words |= {f"{name}{n or ''}": value for n, value in enumerate(found)}
        self.words |= {name: somebody.id for name, somebody in (self.users | self.devices).items()}
        self.words |= {f"email.{name}": user.email for name, user in self.users.items()}
        # What its own people alone know.
        self.secrets = {"password": self.password, "invitation": guest["invitation"], "enrolment": codes[0]["code"]}
        self.secrets |= {f"as.{name}": somebody.token for name, somebody in (self.users | self.devices).items()}
        self.secrets |= {f"secret.{name}": user.secret for name, user in self.users.items()}
        self.secrets |= {f"recovery.{name}": user.recovery_codes[0] for name, user in self.users.items()}
        self.secrets |= {f"session.{name}": "streamsight:session:" + hashlib.sha256(session_token(user.token).encode()).hexdigest()
                         for name, user in self.users.items()}


def make_lasting(sql):
    """Nothing ends while requests are made up, and a password is hashed once, as fuzz-request-database does, so that it costs no tenth of a
    second each time."""
    sql("UPDATE streamsight.session SET expires_at = now() + interval '30 days'; UPDATE streamsight.device_token SET expires_at = now() + "
        "interval '30 days'; UPDATE streamsight.account SET totp_last_step = NULL; UPDATE streamsight.enrolment_code SET expires_at = "
        "expires_at + interval '30 days' WHERE withdrawn_at IS NULL; UPDATE streamsight.invitation SET expires_at = now() + interval '30 days'")


def hash_once(sql, company):
    for user in company.users.values():
        salt = sql(f"SELECT encode(c.salt || a.password_salt, 'hex') FROM streamsight.account a JOIN streamsight.company c ON c.id = a.company_id "
                   f"WHERE a.id = '{user.id}'")
        derived = hashlib.pbkdf2_hmac("sha512", company.password.encode(), bytes.fromhex(salt), 1)
        sql(f"UPDATE streamsight.account SET password_sha256 = sha256('\\x{derived.hex()}') WHERE id = '{user.id}'")


# Only what was written to since it was settled last is looked at.
_SETTLE = """
CREATE SCHEMA fuzz;
CREATE TABLE fuzz.touched (name text NOT NULL);
CREATE FUNCTION fuzz.touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO fuzz.touched VALUES (TG_TABLE_NAME);
    RETURN NULL;
END
$$;
CREATE FUNCTION fuzz.settle(own uuid) RETURNS text LANGUAGE plpgsql SET session_replication_role = replica AS $$
DECLARE
    said  text := '';
    part  text;
    name  text;
BEGIN
    FOR name IN SELECT DISTINCT t.name FROM fuzz.touched t LOOP
        EXECUTE format('SELECT fuzz.%I($1)', 'settle_' || name) INTO part USING own;
        said := said || part;
    END LOOP;
    DELETE FROM fuzz.touched;
    IF EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'streamsight_apid' AND xact_start IS NOT NULL) THEN
        said := said || ' !transaction';
    END IF;
    RETURN said;
END
$$;
"""

_SETTLE_TABLE = """
CREATE TABLE fuzz.{table} AS TABLE streamsight.{table};
CREATE TRIGGER touch AFTER INSERT OR UPDATE OR DELETE ON streamsight.{table} FOR EACH STATEMENT EXECUTE FUNCTION fuzz.touch();
CREATE FUNCTION fuzz.settle_{table}(own uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    changed       bigint;
    foreign_ones  bigint;
BEGIN
    WITH gone AS (DELETE FROM streamsight.{table} t WHERE NOT EXISTS (SELECT FROM fuzz.{table} f WHERE f::text = t::text) RETURNING *)
        SELECT count(*), count(*) FILTER (WHERE {company} <> own{unless}) INTO changed, foreign_ones FROM gone;
    WITH back AS (INSERT INTO streamsight.{table} SELECT f.* FROM fuzz.{table} f
                  WHERE NOT EXISTS (SELECT FROM streamsight.{table} t WHERE t::text = f::text) RETURNING *)
        SELECT changed + count(*), foreign_ones + count(*) FILTER (WHERE {company} <> own) INTO changed, foreign_ones FROM back;
    RETURN CASE WHEN foreign_ones > 0 THEN ' !{table}' WHEN changed > 0 THEN ' {table}' ELSE '' END;
END
$$;
"""


def make_settle(sql):
    """fuzz.settle(company) makes every table what it is now, and names those that were not; with '!' those in which another company's
    rows were not. All that may happen there is that somebody is noted for a wrong password who knows a user's address."""
    tables = sql("SELECT relname, EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'company_id') FROM pg_class c "
                 "WHERE relnamespace = 'streamsight'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'migration'")
    text = _SETTLE
    for table, owned in (line.split("|") for line in tables.splitlines()):
        company = "id" if table == "company" else "company_id" if owned == "t" and table != "audit_head" else "NULL::uuid"
        text += _SETTLE_TABLE.format(table=table, company=company, unless=" AND action <> 'login.refused'" if table == "audit" else "")
    sql(text)


def write_words(folder, own, other, further):
    words = own.words | own.secrets | {f"foreign.{name}": value for name, value in other.words.items()} | further
    (folder / "words").write_text("".join(f"{name} {value}\n" for name, value in words.items()))
    (folder / "mark").write_text(other.mark)


def write_keys(folder, keys):
    for name, key in keys.items():
        (folder / f"{name}.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                               serialization.NoEncryption()))


def prepare(stack):
    """Returns the folder for the command."""
    stack.start("apid")
    sql = lambda text: stack.postgres.sql(text, DATABASE)
    api = Api(stack.apid)
    companies = [Company(stack.apid, api, sql, "m" + secrets.token_hex(8)) for _ in range(2)]
    stack.apid.stop()
    make_lasting(sql)
    for company in companies:
        hash_once(sql, company)
    make_settle(sql)
    folder = stack.run_dir / "apid"
    spare = ec.generate_private_key(ec.SECP256R1())
    write_keys(folder, {name: device.key for name, device in companies[0].devices.items()} | {"spare": spare})
    write_words(folder, *companies, {"url": stack.apid.public_url, "database": stack.postgres.owner_dsn(DATABASE),
                                     "jwk.spare": compact(jwk(spare)).decode(), "jwk.device": compact(jwk(companies[0].devices["device"].key)).decode()})
    return folder


def main():
    parser = argparse.ArgumentParser(prog="request_database", description="A filled control plane for a fuzzer.")
    parser.add_argument("--build", metavar="DIR", required=True, help="meson's build directory, with apid and streamsight-admin")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run_dir = pathlib.Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm"))
    try:
        with Stack(options.build, run_dir) as stack:
            return subprocess.run(options.command, env=os.environ | {"STREAMSIGHT_FUZZ": str(prepare(stack))}).returncode
    finally:
        shutil.rmtree(run_dir)


if __name__ == "__main__":
    sys.exit(main())
