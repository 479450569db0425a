"""The master key is replaced while people log in and devices upload."""

import secrets
import subprocess
import uuid

import pytest

from services.process import ServiceError

from .client import Device, code_of
from .test_management import Staff


@pytest.fixture
def keyring(stack, apid, second, tmp_path):
    """A second apid, and streamsight-admin, with a master key file of their own. Both are those of the first at first."""
    file = tmp_path / "master-key"
    file.touch(mode=0o600)
    known = apid.config_file.parent / "master-key"
    file.write_bytes(known.read_bytes())

    class Keyring:
        old = known.read_bytes()
        new = secrets.token_bytes(32)

        def start(self, content):
            """An apid that has these keys; returns how to ask it."""
            file.write_bytes(content)
            return second(None, (f"MasterKeyFile={known}", f"MasterKeyFile={file}"))[1]

        def admin(self, *args, stdin=""):
            config = tmp_path / "admin.conf"
            config.write_text(apid.admin_config_file.read_text().replace(str(known), str(file)))
            done = subprocess.run([apid.admin_program, "--config", config, *args], input=stdin, capture_output=True, text=True, timeout=60)
            if done.returncode != 0:
                raise ServiceError(done.stderr)
            return done.stdout.strip()

    yield Keyring()
    # Back, for the tests that come after: the same way.
    file.write_bytes(Keyring.old + Keyring.new)
    Keyring().admin("master-key", "rotate")


def test_rotation(keyring, stack, apid, api, sql, company, http):
    # One for each login, as a code is good once: else the test would wait for the clock
    users = [apid.user(company) for _ in range(5)]
    admin = apid.user(company, "admin").log_in()
    device = Device(api).enroll(apid.enrolment_code(company)).log_in()
    repeated = {"headers": {"Idempotency-Key": str(uuid.uuid4())}}
    create = lambda of: of("POST", "/v1/enrolment-codes", {}, token=admin.token, **repeated).json()["code"]
    code = create(api)
    recording, sequence = device.open(), 0
    kept = lambda: sql(f"SELECT secret FROM streamsight.bucket WHERE company_id = '{company}'") + \
        sql(f"SELECT totp_masked, totp_key_id FROM streamsight.account WHERE email = '{users[0].email}'")

    def log_in(of):
        user = users.pop()
        user.url = of.url
        user.log_in()

    def works(of):
        """The tenant's key signs URLs that the S3 server takes, and the authenticator's codes are taken."""
        nonlocal sequence
        device.api = of
        data, before = str(sequence).encode(), str(sequence - 1).encode() if sequence else None
        offer = device.offer(recording, sequence, data, before)
        assert offer.status_code == 201, offer.text
        assert http.put(offer.json()["url"], data=data, headers=offer.json()["headers"]).status_code == 200
        assert device.complete(recording, sequence, data).status_code == 204
        sequence += 1
        log_in(of)

    works(api)
    first = kept()
    both = keyring.start(keyring.new + keyring.old)
    works(both)
    assert create(both) == code  # of the old key, to a request that is repeated
    # Who joins, and what is set, meanwhile is under the new key.
    joiner = apid.user(company, "auditor")
    joiner.url = both.url
    joiner.invitation = apid.admin("user", "invite", joiner.log_in().id)
    joiner.accept()
    assert kept() == first
    said = keyring.admin("master-key", "rotate")
    assert "authenticators are under the first key" in said and kept() != first
    works(both)
    joiner.log_in()
    assert keyring.admin("master-key", "rotate").startswith("0 buckets and 0 authenticators")
    alone = keyring.start(keyring.new)
    # Not a code that nobody has been given.
    gone = alone("POST", "/v1/enrolment-codes", {}, token=admin.token, **repeated)
    assert code_of(gone) == (422, "idempotency_key_reused") and "Ask with another key" in gone.json()["detail"]
    works(alone)
    joiner.url = alone.url
    joiner.log_in()
    # The old one opens nothing any more.
    gone = keyring.start(keyring.old)
    user, device.api = users[0], gone
    user.url = gone.url
    assert code_of(device.offer(recording, sequence, b"x", str(sequence - 1).encode())) == (500, "internal")
    challenge = user.begin().json()["challenge"]
    assert code_of(user.post("/v1/auth/totp", {"challenge": challenge, "code": "123456"})) == (500, "internal")
    assert int(sql(f"SELECT count(*) FROM streamsight.audit WHERE company_id = '{company}' AND action = 'master_key.rotate'")) == 2
    secret = stack.s3.tenant.secret_access_key
    assert secret not in said and user.secret not in said


def test_a_key_that_is_missing_changes_nothing(keyring, apid, company, sql):
    """Something that is under neither: all stays as it was."""
    keyring.start(keyring.old)
    everything = "SELECT md5(string_agg(secret::text, ',' ORDER BY id)) FROM streamsight.bucket"
    before = sql(everything)
    keyring.start(secrets.token_bytes(64))
    with pytest.raises(ServiceError, match="under none of the master keys"):
        keyring.admin("master-key", "rotate")
    assert sql(everything) == before


def test_what_was_made_before_keys_had_names(keyring, apid, company, sql):
    users = [apid.user(company) for _ in range(3)]
    for user in users:
        sql(f"UPDATE streamsight.account SET totp_key_id = NULL WHERE email = '{user.email}'")
    users[0].log_in()
    users[1].url = keyring.start(keyring.new + keyring.old).url
    users[1].log_in()
    keyring.admin("master-key", "rotate")
    users[2].url = keyring.start(keyring.new).url
    users[2].log_in()
