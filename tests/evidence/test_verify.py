"""streamsight-verify: each way to tamper with a recording is found, and named."""

import base64
import hashlib
import json
import os
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from apid.client import b64url, jwk, jws


@pytest.fixture
def judge(recording, copy, run_verify):
    """Judges the copy; returns its status and the findings as (word, name or recording, the rest)."""
    def run(*more):
        status, lines, error = run_verify("--key", recording.thumbprint, *more, copy)
        assert not error, error
        return status, [(line.split()[0], *line.split(None, 1)[1].split(": ", 1)) for line in lines]
    return run


def words(findings):
    return sorted(finding[0] for finding in findings)


def beside(path):
    return path.with_name(path.name + ".jws")


def test_nothing_is_wrong(recording, judge):
    status, findings = judge()
    assert status == 0 and [(word, name) for word, name, _ in findings] == [("good", recording.id)]


def test_altered(recording, copy, judge):
    files = recording.files(copy)
    for at in (0, 10000, files[2].stat().st_size - 1):  # one bit, wherever it is
        data = bytearray(files[2].read_bytes())
        data[at] ^= 1
        files[2].write_bytes(data)
        status, findings = judge()
        assert status == 1 and words(findings) == ["altered", "missing"]
        assert [name for word, name, _ in findings if word == "altered"] == [str(files[2])]
        data[at] ^= 1
        files[2].write_bytes(data)
    assert judge()[0] == 0
    for data in (files[2].read_bytes()[:-1], files[2].read_bytes() + b"\0", b""):
        files[2].write_bytes(data)
        assert words(judge()[1]) == ["altered", "missing"]


@pytest.mark.parametrize("gone, said", [([0], "segment 0"), ([2], "segment 2"), ([1, 2, 3], "segments 1 to 3")])
def test_missing(recording, copy, judge, gone, said):
    files = recording.files(copy)
    for sequence in gone:
        files[sequence].unlink()
        beside(files[sequence]).unlink()
    status, findings = judge()
    assert status == 1 and findings == [("missing", recording.id, said)]


def test_cut_at_the_end(recording, copy, judge):
    """Here it is the absence of the final segment that shows; with the statement about the end, also how many there were."""
    files = recording.files(copy)
    for path in files[3:]:
        path.unlink()
        beside(path).unlink()
    status, findings = judge()
    assert status == 1 and [(word, name) for word, name, _ in findings] == [("unfinished", recording.id)]
    (copy / "end.jws").write_text(recording.end + "\n")
    assert judge() == (1, [("missing", recording.id, "segments 3 to 4")])


def test_everything_is_gone_but_the_end(recording, copy, judge):
    shutil.rmtree(copy)
    copy.mkdir()
    (copy / "end.jws").write_text(recording.end)
    assert judge() == (1, [("missing", recording.id, "all of its 5 segments")])


def test_a_segment_taken_away_without_its_statement(recording, copy, judge):
    files = recording.files(copy)
    files[1].unlink()
    status, findings = judge()
    assert status == 1 and words(findings) == ["missing", "missing"]
    assert ("missing", str(beside(files[1])), f"segment 1 of recording {recording.id} is not here") in findings


def test_reordered(recording, copy, judge):
    """Two change places, with their statements."""
    files = recording.files(copy)
    for a, b in ((files[1], files[2]), (beside(files[1]), beside(files[2]))):
        a.rename(copy / "x")
        b.rename(a)
        (copy / "x").rename(b)
    status, findings = judge()
    assert status == 1 and [(word, name) for word, name, _ in findings] == [("moved", str(files[1])), ("moved", str(files[2]))]
    assert findings[0][2] == f"it is segment 2 of recording {recording.id}"


def test_exchanged_statements(recording, copy, judge):
    files = recording.files(copy)
    one, two = beside(files[1]).read_text(), beside(files[2]).read_text()
    beside(files[1]).write_text(two)
    beside(files[2]).write_text(one)
    status, findings = judge()
    assert status == 1 and words(findings) == ["altered", "altered", "missing"]


def test_duplicated(recording, copy, judge):
    files = recording.files(copy)
    shutil.copy(files[1], files[1].with_name("again.sss"))
    shutil.copy(beside(files[1]), files[1].with_name("again.sss.jws"))
    status, findings = judge()
    assert status == 1 and words(findings) == ["duplicate"]


def test_foreign(recording, other, copy, judge):
    """A segment of another recording of the same device, under the name of one of this."""
    files, theirs = recording.files(copy), other.files(other.folder)
    shutil.copy(theirs[1], files[1])
    shutil.copy(beside(theirs[1]), beside(files[1]))
    status, findings = judge()
    assert status == 1 and words(findings) == ["foreign", "missing", "moved"]
    # With a name of its own, and even in a folder that says nothing.
    flat = copy / "flat"
    flat.mkdir()
    for path in recording.files(recording.folder) + [theirs[1]]:
        shutil.copy(path, flat)
        shutil.copy(beside(path), flat)
    shutil.rmtree(copy / files[0].relative_to(copy).parts[0])
    status, findings = judge()
    assert status == 1 and {(word, name) for word, name, _ in findings} == {
        ("good", recording.id), ("missing", other.id), ("unfinished", other.id)}


def test_somebody_elses_key(recording, copy, run_verify):
    """A whole recording signed anew, with everything right but the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    for path in recording.files(copy):
        payload = beside(path).read_text().split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        beside(path).write_text(jws(key, claims, {"alg": "ES256", "jwk": jwk(key), "typ": "streamsight-segment+jwt"}))
    status, lines, _ = run_verify("--key", recording.thumbprint, copy)
    assert status == 1 and [line.split()[0] for line in lines] == ["foreign"] * 5
    named = json.dumps(jwk(key), sort_keys=True, separators=(",", ":")).encode()
    theirs = b64url(hashlib.sha256(named).digest())
    assert theirs in lines[0]
    assert run_verify("--key", theirs, copy)[0] == 0  # so it was the key alone


@pytest.mark.parametrize("statement, word", [
    (None, "unsigned"), ("", "forged"), ("x", "forged"), ("a.b.c", "forged"), (lambda s: s[:-4] + "AAAA", "forged"),
    (lambda s: s + "x" * 1024, "forged"), (lambda s: s.rsplit(".", 1)[0] + ".", "forged")])
def test_unsigned_and_forged(recording, copy, judge, statement, word):
    path = beside(recording.files(copy)[2])
    if statement is None:
        path.unlink()
    else:
        path.write_text(statement(path.read_text()) if callable(statement) else statement)
    status, findings = judge()
    assert status == 1 and words(findings) == sorted([word, "missing"])


def test_what_is_no_file(recording, copy, judge):
    path = recording.files(copy)[2]
    path.rename(copy / "elsewhere")
    path.symlink_to(copy / "elsewhere")
    status, findings = judge()
    assert status == 1 and "unreadable" in words(findings)
    path.unlink()
    os.mkfifo(path)
    assert "unreadable" in words(judge()[1])
    path.unlink()
    with open(path, "wb") as file:
        file.truncate(17 << 20)
    assert "unreadable" in words(judge()[1])


def test_an_interrupted_recording_with_its_end_is_whole(other, copy, run_verify, stack):
    shutil.rmtree(copy)
    shutil.copytree(other.folder, copy)
    (copy / "end.jws").write_text(stack.apid.admin("recording", "statement", other.id))
    status, lines, _ = run_verify("--key", other.thumbprint, copy)
    assert status == 0 and lines[0].startswith("good")


def test_names_do_not_reach_the_terminal(recording, copy, judge):
    """Nor what is beyond ASCII of what terminals obey."""
    (copy / "a\x1b[2Jb\nc\x9b2J.sss").write_bytes(b"x")
    lines = [name for word, name, _ in judge()[1] if word == "unsigned"]
    assert lines == [f"{copy}/a [2Jb c 2J.sss"]


def test_a_key_is_of_one_device(recording, copy, run_verify, forge, tmp_path):
    """Who has got hold of one workstation's key makes no recording of another's with it."""
    keys = tmp_path / "keys"
    keys.write_text(f"{recording.thumbprint} {recording.device} pc-17\n")
    status, lines, _ = run_verify("--key", keys, copy)
    assert status == 0 and lines[0].endswith(f"signed with {recording.thumbprint}")
    keys.write_text(f"{recording.thumbprint} {'1' * 8}-1111-4111-8111-{'1' * 12} pc-16\n")
    status, lines, _ = run_verify("--key", keys, copy)
    assert status == 1 and {line.split()[0] for line in lines} == {"foreign"} and recording.device in lines[0]
    # One that nobody has said whose it is.
    status, words, _ = forge((2, {"device": "3" * 8 + "-3333-4333-8333-" + "3" * 12}))
    assert status == 1 and words == ["foreign", "unfinished"]


def test_keys_from_files(recording, copy, run_verify, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"# our workstations\n{'A' * 43} pc-16\n{recording.thumbprint} pc-17.example.org\n\n")
    assert run_verify("--key", keys, copy)[0] == 0
    header = beside(recording.files(copy)[0]).read_text().split(".")[0]
    named = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["jwk"]
    x, y = (int.from_bytes(base64.urlsafe_b64decode(named[c] + "="), "big") for c in "xy")
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    pem = tmp_path / "key.pem"
    pem.write_bytes(public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    assert run_verify("--key", pem, copy)[0] == 0
    for bad in ("nonsense", "", "-----BEGIN PUBLIC KEY-----\n"):
        pem.write_text(bad)
        status, _, error = run_verify("--key", pem, copy)
        assert status == 2 and str(pem) in error


def test_questions_without_an_answer(recording, copy, run_verify, from_bucket, stack, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, said in (([copy], "--key"), (["--key", recording.thumbprint], "which folder"),
                            (["--key", recording.thumbprint, tmp_path / "none"], "No such file"),
                            (["--key", recording.thumbprint, empty], "no segment at all"),
                            (["--key", "short", copy], "neither"), (["--key", recording.thumbprint, "--save", "x", copy], "--bucket"),
                            (["--key", recording.thumbprint, "--bucket", "b", "p"], "belong together"), (["--nonsense"], "nonsense")):
        status, lines, error = run_verify(*arguments)
        assert status == 2 and not lines and said in error, (arguments, lines, error)
    status, _, error = from_bucket("--key", recording.thumbprint, "x", user=stack.s3.tenant)  # may not list
    assert status == 2 and "403 AccessDenied" in error


def test_the_program_says_how_it_is_used(build):
    done = subprocess.run([build / "cli" / "streamsight-verify", "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "--key" in done.stdout


@pytest.fixture
def forge(tmp_path, run_verify):
    """Judges segments that a device with a key of the test's signed: changes to an honest recording of three."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = json.dumps(jwk(key), sort_keys=True, separators=(",", ":")).encode()
    folder = tmp_path / "forged"
    folder.mkdir()

    def run(*changes, more=()):
        bodies = [b"zero", b"one", b"two"]
        hashes = [hashlib.sha256(body).hexdigest() for body in bodies]
        claims = [{"device": "1" * 8 + "-1111-4111-8111-" + "1" * 12, "recording": "2" * 8 + "-2222-4222-8222-" + "2" * 12,
                   "ended_at": "2030-01-31T10:00:00Z", "started_at": "2030-01-31T10:00:00Z", "final": i == 2, "sequence": i,
                   "sha256": hashes[i], "previous_sha256": hashes[i - 1] if i else None, "size": len(bodies[i])} for i in range(3)]
        for i, change in changes:
            claims[i] |= change
        for i, (body, said) in enumerate([*zip(bodies, claims), *((body, claims[2] | said) for body, said in more)]):
            path = folder / f"{i}.sss"
            path.write_bytes(body)
            header = {"alg": "ES256", "jwk": jwk(key), "typ": "streamsight-segment+jwt"}
            beside(path).write_text(jws(key, said | {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}, header))
        status, lines, error = run_verify("--key", b64url(hashlib.sha256(named).digest()), folder)
        return status, [line.split()[0] for line in lines], error
    return run


def test_a_device_that_contradicts_itself(forge):
    assert forge() == (0, ["good"], "")
    assert forge((1, {"previous_sha256": "0" * 64}))[:2] == (1, ["broken"])
    assert forge((2, {"previous_sha256": "0" * 64}))[:2] == (1, ["broken"])
    assert forge((1, {"final": True}))[:2] == (1, ["contrary"])  # it went on after its end
    assert forge(more=[(b"other two", {})])[:2] == (1, ["contrary"])  # two segments with one number
