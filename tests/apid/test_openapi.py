"""docs/openapi.yaml and apid against each other: every route, every role on every endpoint in its own and in a foreign company,
and whatever hypothesis comes up with. A new endpoint without a rule fails here."""

import hashlib
import itertools
import pathlib
import re
import time
import uuid

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from services.people import totp
from services.postgres import cache_dir

from .client import Device, code_of

set_hypothesis_home_dir(str(cache_dir() / "hypothesis"))  # its tables of Unicode; not in the checkout
ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEC = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
ROLES = SPEC["components"]["schemas"]["Role"]["enum"]
OPERATIONS = [(method, path, operation) for path, item in SPEC["paths"].items() for method, operation in item.items()]
NAMES = {id(operation): f"{method} {path}" for method, path, operation in OPERATIONS}
RESOLVER = jsonschema.RefResolver.from_schema(SPEC)
_unique = itertools.count()


def kind(operation):
    """session, device or none: who an operation is for."""
    names = {name for way in operation["security"] for name in way}
    return {frozenset(): "none", frozenset({"device"}): "device", frozenset({"cookie", "bearer"}): "session"}[frozenset(names)]


def of_kind(wanted, **conditions):
    return [pytest.param(method, path, operation, id=NAMES[id(operation)]) for method, path, operation in OPERATIONS
            if kind(operation) == wanted and all(bool(operation.get(f"x-{key.replace('_', '-')}")) == value
                                                 for key, value in conditions.items())]


def check(operation, answer):
    """The answer is one that the file names, and looks as it says."""
    declared = operation["responses"].get(str(answer.status_code))
    assert declared, f"{answer.status_code} is not in the file: {answer.text}"
    if "$ref" in declared:
        declared = SPEC["components"]["responses"][declared["$ref"].rsplit("/", 1)[1]]
    if "content" not in declared:
        assert not answer.content
        return
    (media, content), = declared["content"].items()
    assert answer.headers["Content-Type"] == media
    jsonschema.Draft202012Validator(content["schema"], resolver=RESOLVER).validate(answer.json())


def success(operation):
    return {int(status) for status in operation["responses"] if int(status) < 300}


# --- the file and the source ----------------------------------------------------------------------------------------------

def test_routes_are_those_of_the_file():
    source = (ROOT / "apid" / "routes.c").read_text() + (ROOT / "apid" / "management.c").read_text()
    routes = re.findall(r'"(GET|PUT|POST|PATCH|DELETE)",\s*"(/v1/[^"]*)"', source)
    plain = lambda path: re.sub(r"\{\w+\}", "{}", path)
    assert len(routes) == len(set(routes))
    assert sorted((method, plain(path)) for method, path in routes) == \
        sorted((method.upper(), plain(path)) for method, path, _ in OPERATIONS)


def test_codes_are_those_of_the_file():
    source = (ROOT / "apid" / "problem.c").read_text()
    assert sorted(re.findall(r'=\s*\{\s*"([a-z_]+)",\s*\d+', source)) == sorted(SPEC["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])


def test_the_file_is_an_openapi_of_rules():
    assert SPEC["openapi"].startswith("3.1")
    for method, path, operation in OPERATIONS:
        name = f"{method} {path}"
        roles = operation.get("x-roles")
        assert (kind(operation) == "session") == bool(roles), f"{name}: who may?"
        assert set(roles or ()) <= set(ROLES) and operation["summary"], name
        assert success(operation) and {"500", "503"} <= set(operation["responses"]), name
        for content in operation.get("requestBody", {}).get("content", {}).values():
            jsonschema.Draft202012Validator.check_schema(content["schema"])
            assert kind(operation) != "session" or "example" in content, f"{name}: an example of a good body"
        assert [p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"] == re.findall(r"\{(\w+)\}", path), name


# --- each role on each endpoint -------------------------------------------------------------------------------------------

class Tenant:
    """A company with a user of each role and something of every kind; the manager is assigned its employee."""

    def __init__(self, apid, api, stack, sql, name):
        self.sql, self.api, self.apid = sql, api, apid
        self.company = apid.create_company(name)
        apid.set_bucket(self.company, stack.s3)
        self.users = {role: apid.user(self.company, role).log_in() for role in ROLES}
        self.employee = self.make("employee")

    def make(self, thing):
        """A new one of a kind, which a request may change; its id."""
        insert = lambda text: self.sql(f"INSERT INTO streamsight.{text} RETURNING id")
        if thing == "employee":
            made = insert(f"employee (company_id, name) VALUES ('{self.company}', 'Kim')")
            self.sql(f"INSERT INTO streamsight.assignment VALUES ('{self.company}', '{self.users['manager'].id}', '{made}')")
            return made
        if thing == "user":
            email = f"made{next(_unique)}.{uuid.uuid4()}@example.org"
            return insert("account (company_id, email, email_sha256, name, role) VALUES "
                          f"('{self.company}', '{email}', sha256('{email}'), 'Made', 'auditor')")
        if thing == "code":
            return insert(f"enrolment_code (code_sha256, company_id, expires_at) VALUES (sha256('{uuid.uuid4()}'), '{self.company}', "
                          "now() + interval '1 h')")
        device = Device(self.api).enroll(self.apid.enrolment_code(self.company)).log_in()
        if thing == "device":
            return device.id
        self.sql(f"UPDATE streamsight.device SET employee_id = '{self.employee}' WHERE id = '{device.id}'")
        recording = device.open()
        device.offer(recording, 0, b"zero")
        device.complete(recording, 0, b"zero")
        return recording if thing == "recording" else \
            self.sql(f"SELECT id FROM streamsight.segment WHERE recording_id = '{recording}'")

    def path(self, path):
        return re.sub(r"\{(\w+)\}", lambda match: self.make(match[1]), path)

    def body(self, operation, user=None):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if not content:
            return None
        revision = self.sql(f"SELECT max(revision) FROM streamsight.policy WHERE company_id = '{self.company}'")
        return {name: value.replace("UNIQUE", f"someone.{uuid.uuid4()}") if isinstance(value, str) and "UNIQUE" in value
                else int(revision) if value == "CURRENT" else self.code(user) if value == "TOTP" else value for name, value in content["example"].items()}

    def code(self, user):
        """A code of the user's authenticator; those of this half minute are good again."""
        if not user:
            return "123456"
        self.sql(f"UPDATE streamsight.account SET totp_last_step = 0 WHERE id = '{user.id}'")
        return totp(user.secret, int(time.time()) // 30)

    def rows(self):
        """What a request of somebody who may not must leave alone."""
        tables = ("company", "account", "employee", "assignment", "device", "enrolment_code", "policy", "bucket", "recording", "segment",
                  "viewing")
        return self.sql(";".join(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM streamsight.{table} t WHERE "
                                 f"{'id' if table == 'company' else 'company_id'} = '{self.company}'" for table in tables))


@pytest.fixture(scope="module")
def own(apid, api, stack, sql):
    return Tenant(apid, api, stack, sql, "Own Corp")


@pytest.fixture(scope="module")
def foreign(apid, api, stack, sql):
    return Tenant(apid, api, stack, sql, "Foreign Corp")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method, path, operation", of_kind("session", own_session=False))
def test_role(api, own, foreign, role, method, path, operation):
    token = own.users[role].token
    body = own.body(operation)
    target = own.path(path)
    if role not in operation["x-roles"]:
        before = own.rows()
        answer = api(method.upper(), target, body, token=token)
        assert code_of(answer) == (403, "role_insufficient")
        assert own.rows() == before
    else:
        answer = api(method.upper(), target, body, token=token)
        assert answer.status_code in success(operation), answer.text
    check(operation, answer)
    # The same in a company that is not theirs: nothing of it is seen or changed.
    if "{" in path:
        target = foreign.path(path)
        before = foreign.rows()
        answer = api(method.upper(), target, body, token=token)
        check(operation, answer)
        assert answer.status_code == (404 if role in operation["x-roles"] else 403), answer.text
        assert foreign.rows() == before
    elif role in operation["x-roles"] and answer.content:
        assert foreign.company not in answer.text and foreign.employee not in answer.text


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method, path, operation", of_kind("session", own_session=True))
def test_role_on_the_own_session(api, own, role, method, path, operation):
    user = own.users[role]
    before = user.token
    token, user.token = user.log_in(user.recovery_codes.pop()).token, before
    answer = api(method.upper(), path, own.body(operation, user), token=token)
    assert answer.status_code in success(operation), answer.text
    check(operation, answer)
    if "recovery-codes" in path:
        user.recovery_codes = answer.json()["recovery_codes"]
    if "everywhere" in path or "password" in path:
        user.token = user.log_in(user.recovery_codes.pop()).token


@pytest.mark.parametrize("method, path, operation", of_kind("session"))
def test_nobody_without_a_session(api, own, device, method, path, operation):
    target, before = own.path(path), own.rows()
    for token in (None, device.token, "x"):
        answer = api(method.upper(), target, own.body(operation), token=token)
        assert code_of(answer) == (401, "token_invalid")
        check(operation, answer)
    assert own.rows() == before


@pytest.mark.parametrize("method, path, operation", of_kind("device"))
def test_no_person_in_a_devices_place(api, own, method, path, operation):
    target = re.sub(r"\{sequence\}", "0", path)
    target = re.sub(r"\{(\w+)\}", str(uuid.uuid4()), target)
    for token in (None, own.users["owner"].token, "ssd_" + "x" * 43):
        answer = api(method.upper(), target, {}, token=token)
        assert answer.status_code in (401, 422)
        check(operation, answer)


# What a device of another company sends to each path, all of it well-formed; a new endpoint needs its line. With a recording of ours
# in the path it gets 404, but for a recording's opening: an id is unique in its company alone.
FOREIGN = {
    "post /v1/devices/self/leave": (lambda device, recording: {}, {422}),
    "post /v1/devices/self/diagnostics": (lambda device, recording: {"state": "idle"}, {204}),
    "get /v1/devices/self/policy": (lambda device, recording: None, {200}),
    "post /v1/devices/self/key": (lambda device, recording: {}, {422}),
    "put /v1/recordings/{recording}": (lambda device, recording: device.recording(), {201}),
    "post /v1/recordings/{recording}/segments": (lambda device, recording: device.signed_segment(recording, 1, b"one", b"zero"), {404}),
    "post /v1/recordings/{recording}/segments/{sequence}/complete":
        (lambda device, recording: {"sha256": hashlib.sha256(b"zero").hexdigest()}, {404}),
    "post /v1/recordings/{recording}/finish": (lambda device, recording: finish_body(device, recording), {404}),
}


def finish_body(device, recording):
    body = {"segments": 1, "ended_at": "2030-01-31T10:05:00.000000Z", "reason": "stopped"}
    return body | {"statement": device.statement("recording", body | {"device": device.id, "recording": recording})}


@pytest.mark.parametrize("method, path, operation", of_kind("device"))
def test_no_device_of_another_company(api, own, foreign, apid, method, path, operation):
    body, statuses = FOREIGN[f"{method} {path}"]
    stranger = Device(api).enroll(apid.enrolment_code(foreign.company)).log_in()
    recording = own.make("recording")
    before = own.rows()
    answer = stranger(method.upper(), path.replace("{recording}", recording).replace("{sequence}", "0"), body(stranger, recording))
    check(operation, answer)
    assert answer.status_code in statuses, answer.text
    assert own.company not in answer.text and own.rows() == before


# --- whatever comes -------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=40)
JSON = st.recursive(st.none() | st.booleans() | st.integers(-2 ** 63, 2 ** 63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6)


def fitting(schema):
    """Values that a schema allows, and some at its edges that it does not."""
    if "$ref" in schema:
        return fitting(SPEC["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    if "oneOf" in schema:
        return st.one_of(*map(fitting, schema["oneOf"]))
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if schema.get("format") == "uuid":
        return st.uuids().map(str) | TEXT
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda t: t.isoformat() + "Z") | TEXT
    return {"string": TEXT, "integer": st.integers(schema.get("minimum", 0) - 1, schema.get("maximum", 2 ** 31) + 1),
            "boolean": st.booleans(), "null": st.none(), "array": st.lists(JSON, max_size=3),
            "object": st.dictionaries(TEXT, JSON, max_size=3)}[schema["type"]]


@st.composite
def bodies(draw, schema):
    body = {name: draw(fitting(property) | JSON) for name, property in schema["properties"].items() if draw(st.integers(0, 5))}
    return body | draw(st.dictionaries(TEXT, JSON, max_size=1))


# An empty value of the query is no value
QUERY_TEXT = TEXT.filter(bool)


@pytest.mark.parametrize("method, path, operation", of_kind("session", own_session=False) + of_kind("device") + [
    # Whoever has logged out gets no other answer any more
    parameter for parameter in of_kind("session", own_session=True) if "logout" not in parameter.values[1]] + of_kind("none"))
@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_sent_gets_an_answer_of_the_file(api, foreign, fuzzed_device, method, path, operation, data):
    values = {}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            values[parameter["name"]] = str(data.draw(st.integers(0, 99999999)) if parameter["name"] == "sequence" else data.draw(st.uuids()))
    query = {parameter["name"]: data.draw(fitting(parameter["schema"]).map(str).filter(bool) | QUERY_TEXT)
             for parameter in operation.get("parameters", ()) if parameter["in"] == "query" and data.draw(st.booleans())}
    (media, content), = operation.get("requestBody", {}).get("content", {None: None}).items()
    body = data.draw(bodies(content["schema"])) if content else None
    arguments = {"params": query}
    if media == "application/x-www-form-urlencoded":
        arguments["data"], body = {name: str(value) for name, value in body.items()}, None
        arguments["headers"] = {"Content-Type": media}  # of an empty one, too
    if body and "password" in body and path.startswith("/v1/auth/"):
        body["password"] = None  # hashing is slow, and has tests of its own
    token = {"session": foreign.users["owner"].token, "device": fuzzed_device.token, "none": None}[kind(operation)]
    answer = api(method.upper(), re.sub(r"\{(\w+)\}", lambda match: values[match[1]], path), body, token=token, **arguments)
    assert answer.status_code != 500, answer.text
    check(operation, answer)


@pytest.fixture(scope="module")
def fuzzed_device(foreign, api, apid):
    return Device(api).enroll(apid.enrolment_code(foreign.company)).log_in()
