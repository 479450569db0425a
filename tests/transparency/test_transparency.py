"""Whoever is recorded can see it: under the bus policy that is shipped, and whatever the configuration says."""

import json
import pathlib
import re
import subprocess

import pytest
from brokerd import agent

ROOT = pathlib.Path(__file__).resolve().parents[2]
POLICY = ROOT / "policy/dbus/org.streamsight.Agent1.conf"

# Every setting there is, with values at both of its ends. A new one is to be added here on purpose, and is then tested as well:
# none may hide that the screen is recorded.
SETTINGS = {
    ("ControlPlane", "URL"): ["", "https://127.0.0.1:1"],
    ("ControlPlane", "CAFile"): ["", "/etc/ssl/certs/ca-certificates.crt"],
    ("Bucket", "Hosts"): ["", "s3.example.org"],
    ("Bucket", "CAFile"): ["", "/nonexistent"],
    ("Capture", "Recording"): ["off", "manual", "automatic"],
    ("Capture", "MaxFramesPerSecond"): ["1", "100"],
    ("Capture", "MaxJPEGQuality"): ["1", "100"],
    ("Capture", "MaxBytesPerMinute"): ["1000000", "4000000000"],
    ("Capture", "MaxCPUMillisecondsPerSecond"): ["1", "1000"],
    ("Capture", "MaxPauseSeconds"): ["0", "86400"],
    ("Capture", "RecordLocked"): ["no", "yes"],
}
REMOTE = {"revision", "company", "device_id", "employee", "recording", "frames_per_second", "jpeg_quality", "segment_seconds",
          "segment_bytes", "bytes_per_minute", "cpu_ms_per_second", "pause_seconds", "record_locked", "bucket_host"}


@pytest.fixture
def shipped_bus(monkeypatch, tmp_path):
    """The tests' private bus with a system bus's defaults and the policy as installed; brokerd runs as root in the tests."""
    policy = tmp_path / "org.streamsight.Agent1.conf"
    policy.write_text(POLICY.read_text().replace('user="streamsight-brokerd"', 'user="root"'))
    # As /usr/share/dbus-1/system.conf: no name may be owned and no method called but what a policy allows.
    strict = agent._BUS.replace('<allow own="*"/>', '<deny own="*"/>').replace(
        '<allow send_type="method_call"/>',
        '<deny send_type="method_call"/><allow send_destination="org.freedesktop.DBus"/>')
    assert strict.count("<deny") == 2
    monkeypatch.setattr(agent, "_BUS", strict.replace("</busconfig>", f"<include>{policy}</include></busconfig>"))


def run(build, values):
    """brokerd with these settings, asked by an ordinary user: its properties."""
    sections = {}
    for (section, key), value in values.items():
        sections.setdefault(section, []).append(f"{key}={value}")
    with agent.Agent(build) as made:
        config = "\n".join(f"[{name}]\n" + "\n".join(lines) for name, lines in sections.items())
        original, agent._CONFIG = agent._CONFIG, config.replace("{", "{{").replace("}", "}}") + "\n"
        try:
            made.run()
        finally:
            agent._CONFIG = original
        done = subprocess.run(
            ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "busctl", f"--address={made.bus_address}",
             "--json=short", "call", "org.streamsight.Agent1", "/org/streamsight/Agent1", "org.freedesktop.DBus.Properties",
             "GetAll", "s", "org.streamsight.Agent1"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["data"][0]


@pytest.mark.parametrize("end", [0, -1])
def test_no_setting_hides_it(build, shipped_bus, end):
    properties = run(build, {setting: values[end] for setting, values in SETTINGS.items()})
    assert {"State", "Recording", "RecordingSince", "Reason", "Company", "Employee", "BucketHost"} <= set(properties)


def test_the_settings_are_all_known():
    for daemon in "brokerd", "uploadd":
        text = (ROOT / daemon / "settings.c").read_text()
        assert set(re.findall(r'\{ "(\w+)", "(\w+)", \w+parse', text)) == set(SETTINGS), daemon
    members = re.findall(r'\{ "(\w+)", parse_', (ROOT / "policy/capture/capture-policy-json.c").read_text())
    assert set(members) == REMOTE


def test_the_bus_policy_denies_nobody_to_look():
    text = POLICY.read_text()
    assert re.findall(r"<deny [^>]*>", text) == ['<deny own="org.streamsight.Agent1"/>']
    assert 'send_interface="org.freedesktop.DBus.Properties"' in text.split('<policy context="default">')[1]


def test_nobody_else_can_speak_for_the_agent(build, shipped_bus):
    """Neither before it has started nor while it runs can another user have its name."""
    with agent.Agent(build) as made:
        def take_the_name():
            replace = 1 | 2 | 4  # allow replacement, replace, do not queue
            return subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "busctl", f"--address={made.bus_address}", "call",
                                   "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName", "su",
                                   "org.streamsight.Agent1", str(replace)], capture_output=True, text=True, timeout=30)
        before = take_the_name()
        assert before.returncode != 0 and "Access denied" in before.stderr, before
        made.run()
        while_it_runs = take_the_name()
        assert while_it_runs.returncode != 0 and "Access denied" in while_it_runs.stderr, while_it_runs


def test_the_notifier_takes_no_setting():
    """It reads no file, argument or variable; every user's manager starts it, and a preset cannot leave that out."""
    for source in (ROOT / "notifier").glob("*.c"):
        assert not re.findall(r"\b(config_load|getopt\w*|getenv|open|fopen|openat)\(", source.read_text()), source
    unit = (ROOT / "notifier/streamsight-notifier.service").read_text()
    assert not re.findall(r"^(Condition|Assert|EnvironmentFile|ExecCondition)", unit, re.M)
    assert "default.target.wants" in (ROOT / "notifier/meson.build").read_text()
    assert "notifier" not in (ROOT / "packaging/preset/90-streamsight.preset").read_text()
