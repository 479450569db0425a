"""brokerd without a control plane: its interface, its peers, its files, and what it says when something is wrong."""

import base64
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import struct
import subprocess
import time
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import wire

MAGIC = b"SSKEY\0\0\1"  # brokerd/key-seal.h

PROPERTIES = {"State": "s", "Recording": "s", "RecordingSince": "t", "Reason": "s", "PauseReason": "s", "PausedUntil": "t", "Company": "s", "DeviceId": "s",
              "KeyThumbprint": "s",
              "Employee": "s", "PolicyRevision": "t", "BucketHost": "s", "Outputs": "a(usuu)", "SpoolSegments": "u",
              "SpoolBytes": "t", "LastUpload": "t", "LastError": "s", "Version": "s"}


def test_the_interface(lone):
    lone.run()
    text = lone.busctl("introspect", "org.streamsight.Agent1", "/org/streamsight/Agent1", "org.streamsight.Agent1")
    rows = [line.split() for line in text.splitlines() if line.startswith(".")]
    members = {(row[1], row[0].lstrip(".")): row for row in rows}
    for name, signature in PROPERTIES.items():
        row = members["property", name]
        assert row[2] == signature
        assert row[-1] == ("const" if name == "Version" else "emits-change"), name
    assert len(members) == len(PROPERTIES) + 10 + 5
    assert {name for kind, name in members if kind == "method"} == {"Enroll", "Unenroll", "RotateKey", "ReloadConfiguration",
                                                                   "GetDiagnostics", "Start", "Stop", "Pause", "Resume",
                                                                   "Flush"}
    assert {name for kind, name in members if kind == "signal"} == {"RecordingStarted", "RecordingStopped", "RecordingPaused",
                                                                    "RecordingResumed",
                                                                    "UploadFailed"}


def test_anyone_may_read(lone):
    lone.run()
    done = lone.cli("status", user="nobody")
    assert done.returncode == 0 and "unenrolled" in done.stdout
    assert json.loads(lone.cli("status", "--json", user="nobody").stdout)["State"] == "unenrolled"


def test_nobody_without_polkit_but_root(lone):
    """There is no polkit on this bus: that is a refusal, and it says so."""
    lone.run()
    for command in ("reload", "diagnostics"):
        done = lone.cli(command, user="nobody")
        assert done.returncode != 0 and "polkit" in done.stderr, done.stderr
    for command in ("unenroll", "rotate-key", "start", "stop", "pause", "resume", "flush"):
        done = lone.cli(command, user="nobody")
        assert done.returncode != 0 and "polkit" in done.stderr, done.stderr
        done = lone.cli(command)
        assert done.returncode != 0 and "not enrolled" in done.stderr, done.stderr
    done = lone.cli("enroll", user="nobody", input="ABCD\n")
    assert done.returncode != 0 and "polkit" in done.stderr


ANY = {"s": "x", "t": "0", "u": "0", "b": "false"}


def test_an_ordinary_user_is_refused_everything(lone):
    """Every method and every property that can be set, of every object, as introspection has them: also those to come."""
    def by_nobody(*words):
        return subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "busctl", f"--address={lone.bus_address}", *words],
                              capture_output=True, text=True, timeout=30)
    lone.run()
    tried = {}
    for path in lone.busctl("tree", "--list", "org.streamsight.Agent1").split():
        xml = by_nobody("introspect", "--xml-interface", "org.streamsight.Agent1", path).stdout
        for interface in ElementTree.fromstring(xml).iter("interface"):
            if interface.get("name").startswith("org.freedesktop.DBus."):
                continue
            member = ("org.streamsight.Agent1", path, interface.get("name"))
            for method in interface.iter("method"):
                types = [argument.get("type") for argument in method.iter("arg") if argument.get("direction") == "in"]
                tried[method.get("name")] = by_nobody("call", *member, method.get("name"), "".join(types), *(ANY[type] for type in types))
            for property in interface.iter("property"):
                if property.get("access") != "read":
                    tried[property.get("name")] = by_nobody("set-property", *member, property.get("name"), property.get("type"), ANY[property.get("type")])
    assert {"Enroll", "Stop", "GetDiagnostics", "LogLevel"} <= tried.keys()
    assert {name for name, done in tried.items() if done.returncode == 0 or not re.search("polkit|Access .*(not permitted|denied)", done.stderr)} == set(), tried


def test_without_an_address(lone):
    lone.config["url"] = ""
    lone.run()
    assert "No control plane is configured" in lone.status()["LastError"]
    assert "agent.conf" in lone.status()["LastError"]
    done = lone.cli("enroll", input="ABCD-EFGH\n")
    assert done.returncode != 0 and "URL=" in done.stderr


def test_unreachable_control_plane(lone):
    lone.run()
    done = lone.cli("enroll", input="ABCD-EFGH\n")
    assert done.returncode != 0 and "cannot be reached" in done.stderr
    status = lone.status()
    assert status["State"] == "unenrolled" and "cannot be reached" in status["LastError"]
    assert "https://127.0.0.1:1" in lone.log()
    assert "ABCD" not in lone.log()


def test_name_servers_that_do_not_answer(lone):
    """The bus is answered all the while, also as the request ends whose name is still being looked up."""
    servers = []
    for i in range(1, 4):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((f"127.0.53.{i}", 53))
        servers.append(server)
    (lone.dir / "resolv.conf").write_text("search example.org\n" + "".join(f"nameserver 127.0.53.{i}\n" for i in range(1, 4)))
    lone.limits = ["/bin/sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(lone.dir / "resolv.conf")]
    lone.config["url"] = "https://api.example.org"
    lone.run()
    enrolling = subprocess.Popen(["busctl", f"--address={lone.bus_address}", "--timeout=120", "call", "org.streamsight.Agent1", "/org/streamsight/Agent1",
                                  "org.streamsight.Agent1", "Enroll", "s", "ABCD"], stderr=subprocess.PIPE, text=True)
    longest = 0
    while enrolling.poll() is None:
        begin = time.monotonic()
        assert lone.status()["State"] == "unenrolled"
        longest = max(longest, time.monotonic() - begin)
        time.sleep(0.2)
    assert "cannot be reached" in enrolling.stderr.read()
    assert all(server.recv(512, socket.MSG_DONTWAIT) for server in servers), "they were asked"
    assert longest < 10, "were it to wait for the name, more than thirteen"
    for server in servers:
        server.close()


def test_no_code_at_all(lone):
    lone.run()
    done = lone.cli("enroll", input="--..--\n")
    assert done.returncode != 0 and "no enrolment code" in done.stderr
    done = lone.cli("enroll", input="")
    assert done.returncode != 0 and "standard input" in done.stderr
    done = lone.cli("enroll", "ABCD-EFGH")
    assert done.returncode != 0 and "not an argument" in done.stderr


def refuses_to_start(lone, saying):
    assert lone.launch().wait(20) != 0
    assert saying in lone.log(), lone.log()


def test_wrong_configuration(lone):
    lone.config["recording"] = "sometimes"
    refuses_to_start(lone, "[Capture] Recording= has an invalid value")
    lone.config.update(recording="off", fps=0)
    refuses_to_start(lone, "MaxFramesPerSecond= is out of range")
    lone.config.update(fps=5, url="http://api.example.org")
    refuses_to_start(lone, "must be an https URL")
    lone.config.update(url="https://api.example.org", ca="/nowhere.pem")
    refuses_to_start(lone, "/nowhere.pem")
    assert "keep the file below" not in lone.log()
    lone.config.update(ca="/run/nowhere.pem")
    refuses_to_start(lone, "/run/nowhere.pem, for [ControlPlane] CAFile=")
    assert "keep the file below /etc/streamsight" in lone.log()


def test_a_key_that_others_can_read_is_not_used(lone):
    device = lone.state / "device.json"
    device.write_text(json.dumps({"device_id": "0b9e5ad0-4c4b-4f0e-9a5e-2f1d7b1c0a11", "company": "Example Corp",
                                  "url": "https://127.0.0.1:1"}))
    device.chmod(0o600)
    key = lone.state / "device.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key],
                   check=True, capture_output=True)
    key.chmod(0o640)
    refuses_to_start(lone, "Cannot read this device's key")
    key.chmod(0o600)
    shutil.chown(key, "nobody")
    refuses_to_start(lone, "Cannot read this device's key")
    shutil.chown(key, "root")
    key.write_text("no key")
    refuses_to_start(lone, "Bad message")
    key.write_bytes(MAGIC + bytes(100))
    refuses_to_start(lone, "under another wrapping key")
    assert key.read_bytes() == MAGIC + bytes(100)
    key.unlink()
    refuses_to_start(lone, "Cannot read this device's key")


def enrolled_with_a_plain_key(lone):
    """As versions before the wrapping key left it. Returns the PEM."""
    device = lone.state / "device.json"
    device.write_text(json.dumps({"device_id": "0b9e5ad0-4c4b-4f0e-9a5e-2f1d7b1c0a11", "company": "Example Corp",
                                  "url": "https://127.0.0.1:1"}))
    device.chmod(0o600)
    lone.config.update(url="https://127.0.0.1:1")
    key = lone.state / "device.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key],
                   check=True, capture_output=True)
    key.chmod(0o600)
    return key.read_bytes()


def unsealed(lone):
    stored = (lone.state / "device.key").read_bytes()
    wrapping = AESGCM((lone.credentials / "wrapping-key").read_bytes())
    return wrapping.decrypt(stored[8:20], stored[20:], MAGIC)


def test_a_plain_key_is_stored_anew(lone):
    plain = enrolled_with_a_plain_key(lone)
    lone.run()
    lone.stop()
    assert unsealed(lone) == plain
    lone.run()
    assert unsealed(lone) == plain


def test_without_the_right_wrapping_key(lone):
    """It ends, says why, and changes nothing."""
    enrolled_with_a_plain_key(lone)
    lone.run()
    lone.stop()
    stored, wrapping = lone.state / "device.key", lone.credentials / "wrapping-key"
    before, right = stored.read_bytes(), wrapping.read_bytes()
    wrapping.write_bytes(bytes(32))
    refuses_to_start(lone, "under another wrapping key")
    wrapping.write_bytes(right[:31])
    refuses_to_start(lone, "Cannot read the credential wrapping-key")
    wrapping.unlink()
    refuses_to_start(lone, "Cannot read the credential wrapping-key")
    assert stored.read_bytes() == before
    wrapping.write_bytes(right)
    lone.run()


def test_the_key_is_nowhere_else(lone):
    """Not in plain on disk, in what the process was given or in what it says; locked in memory."""
    enrolled_with_a_plain_key(lone)
    lone.run()
    pem = unsealed(lone)
    scalar = serialization.load_pem_private_key(pem, None).private_numbers().private_value.to_bytes(32, "big")
    wrapping = (lone.credentials / "wrapping-key").read_bytes()
    material = [pem.splitlines()[1]]
    for secret in (scalar, wrapping):
        material += [secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret),
                     base64.urlsafe_b64encode(secret).rstrip(b"=")]
    lone.cli("enroll", input="ABCD-EFGH\n")
    places = {str(path): path.read_bytes() for path in lone.state.iterdir()}
    places |= {name: pathlib.Path(f"/proc/{lone.pid}/{name}").read_bytes() for name in ("cmdline", "environ")}
    places["log"] = lone.log().encode()
    assert len(places) == 5
    for place, text in places.items():
        assert not [m for m in material if m in text], place
    locked = re.search(r"VmLck:\s+(\d+) kB", pathlib.Path(f"/proc/{lone.pid}/status").read_text())
    assert int(locked[1]) > 0


def test_memory_that_cannot_be_locked_is_not_used(lone):
    lone.limits = ["prlimit", "--memlock=0", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"]
    refuses_to_start(lone, "Cannot lock memory for the device key")


def test_the_key_is_kept_private(lone):
    """Made before the control plane is asked, readable by nobody else, and not in a core."""
    lone.run()
    lone.cli("enroll", input="ABCD-EFGH\n")
    key = lone.state / "device.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert before.startswith(MAGIC)
    lone.cli("enroll", input="ABCD-EFGH\n")
    assert key.read_bytes() == before, "a lost answer must be asked for again with the same key"
    with open(f"/proc/{lone.pid}/limits") as limits:
        line, = (line for line in limits if line.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]
    # Nobody but root may look: a process that is not dumpable has its /proc owned by root (proc(5)). Being root
    # already, it shows in that even the same uid without capabilities may not read it.
    done = subprocess.run(["setpriv", "--bounding-set=-all", "--inh-caps=-all", "head", "-c1",
                           f"/proc/{lone.pid}/environ"], capture_output=True)
    assert done.returncode != 0


def test_another_user_is_no_peer(lone):
    lone.run()
    script = ("import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\ns.connect(sys.argv[1])\n"
              "s.settimeout(20)\nsys.exit(0 if s.recv(100)==b'' else 1)")
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/python3", "-c",
                           script, lone.broker_path], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    lone.wait_log("Refused a connection to broker.sock from user 65534")
    assert lone.status()["State"] == "unenrolled"


def linux():
    return tuple(int(word) for word in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())


def hostile(lone, saying, *datagrams, fds=()):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.connect(str(lone.broker_path))
        peer.settimeout(20)
        assert len(peer.recv(100)) == 8
        for datagram in datagrams:
            if datagram is datagrams[-1] and fds and linux() >= (6, 16):
                with pytest.raises(PermissionError):  # SO_PASSRIGHTS: they do not even arrive
                    socket.send_fds(peer, [datagram], list(fds))
                return
            socket.send_fds(peer, [datagram], list(fds) if datagram is datagrams[-1] else [])
        while peer.recv(1000):
            pass  # what it says to whoever connects
    lone.wait_log(saying)


def test_what_no_peer_may_say(lone):
    lone.run()
    hello = wire.pack(wire.HELLO, version=1)
    def segment(**over):
        return wire.pack(wire.SEGMENT_READY, **{"recording": b"r" * 16, "size": 100, "sha256": b"s" * 32, "previous_sha256": b"p" * 32,
                                                "md5": b"m" * 16, "start_realtime": 1, "end_realtime": 2, **over})
    ready = segment()
    hostile(lone, "SEGMENT_READY is not permitted now", ready)
    hostile(lone, "speaks version 2", wire.pack(wire.HELLO, version=2))
    hostile(lone, f"SEGMENT_READY has {len(ready) - 1} bytes", hello, ready[:-1])
    hostile(lone, f"SEGMENT_READY has {len(ready) + 4} bytes", hello, ready + b"\0" * 4)
    hostile(lone, "unknown type 0x999", hello, struct.pack("=II", 0x999, 0))
    hostile(lone, "unknown type 0x301", hello, wire.pack(wire.RECORD, recording=b"r" * 16, device=b"d" * 16))
    hostile(lone, "SEGMENT_READY came with 1 descriptors", hello, ready, fds=[0])
    hostile(lone, "SEGMENT_READY was refused", hello, segment(size=1 << 30))
    for start, end in ((0, 2), (2, 1), (1, 253402300800000000)):  # when no file could be kept of it, or RFC 3339 not say it
        hostile(lone, "SEGMENT_READY was refused", hello, segment(start_realtime=start, end_realtime=end))
    for other in ({"sha256": b"o" * 32}, {"previous_sha256": b"o" * 32}, {"size": 101}, {"final": 1}):  # of one that is announced
        hostile(lone, "SEGMENT_READY was refused", hello, ready, segment(**other))
    hostile(lone, "STATS was refused", hello, wire.pack_stats(text="x" * 256))
    hostile(lone, "FAILED was refused", hello, wire.pack(wire.FAILED, recording=b"r" * 16, text=b"x" * 256))
    for name in (b"\xff", b"DP-\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x1b[2J"):  # not for the bus, or not for a terminal
        hostile(lone, "STATS was refused", hello, wire.pack_stats(outputs=[("A NAME", 640, 480)]).replace(b"A NAME", name.ljust(6, b"\0")))
    assert lone.status()["State"] == "unenrolled"
    descriptors = len(os.listdir(f"/proc/{lone.pid}/fd"))
    for _ in range(50):
        hostile(lone, "unknown type", hello, struct.pack("=II", 0x999, 0), fds=[0, 0, 0])
    end = time.monotonic() + 20  # the last one may still be there
    while len(os.listdir(f"/proc/{lone.pid}/fd")) > descriptors:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_does_not_end_by_the_bus_name_of_another(lone):
    """A second instance finds the name taken and ends."""
    lone.run()
    first = lone._process
    assert lone.launch().wait(20) != 0
    assert "not another instance running" in lone.log()
    lone._process = first
    assert lone.status()["State"] == "unenrolled"


def test_ends_when_the_bus_does(lone):
    lone.run()
    process, lone._process = lone._process, None
    lone._bus.stop()
    assert process.wait(20) != 0


def test_log_level(lone):
    lone.run()
    path = ("org.streamsight.Agent1", "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1")
    assert '"info"' in lone.busctl("get-property", *path, "LogLevel")
    lone.busctl("set-property", *path, "LogLevel", "s", "debug")
    assert '"debug"' in lone.busctl("get-property", *path, "LogLevel")
    for property, type, value in (("LogLevel", "s", "loud"), ("LogLevel", "u", "7"), ("LogTarget", "s", "console"), ("Else", "s", "debug")):
        with pytest.raises(subprocess.CalledProcessError):
            lone.busctl("set-property", *path, property, type, value)
    assert '"debug"' in lone.busctl("get-property", *path, "LogLevel")
