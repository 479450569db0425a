"""docs/OPERATIONS.md, block for block, on a machine with what is shipped: unit, configuration, gateway and all."""

import json
import pathlib

import pytest

from .machine import Server, blocks, image

pytestmark = pytest.mark.vm


@pytest.fixture(scope="module")
def server(build, ca, tmp_path_factory):
    """After all of the guide has been done, once: (Server, what each section's blocks printed)."""
    run_dir = tmp_path_factory.mktemp("operations")
    certificate = ca.issue("gateway", ["DNS:api.example.org"])
    with Server(image(build, run_dir), run_dir / "vm") as server:
        # What the guide takes for granted: names, the gateway's certificate, the tenant's key, authorities.
        server.run("echo 127.0.0.1 localhost api.example.org s3.example.org >/etc/hosts; mkdir -p -m 755 /etc/ssl/streamsight; "
                   "umask 077; echo SECRETACCESSKEYFORTHETENANTSBUCKETONLY >/root/secret-access-key")
        server.vm.write("/etc/ssl/streamsight/fullchain.pem", pathlib.Path(certificate.cert_file).read_bytes())
        server.vm.write("/etc/ssl/streamsight/privkey.pem", pathlib.Path(certificate.key_file).read_bytes(), 0o600)
        # not by update-ca-certificates, which starts several programs for each authority that there is: minutes in emulation
        server.vm.run("cat >>/etc/ssl/certs/ca-certificates.crt", check=True, input=pathlib.Path(ca.cert_file).read_bytes())
        printed = {}
        for section, commands in blocks():
            printed[section] = printed.get(section, "") + server.run(commands)
        yield server, printed


def test_it_is_what_runs(server):
    machine, printed = server
    assert machine.run("systemctl is-active streamsight-apid nginx redis-server postgresql@15-main").split() == ["active"] * 4
    assert machine.run("systemctl --failed --no-legend --plain") == ""
    assert machine.run("stat -c %U /proc/$(systemctl show -P MainPID streamsight-apid)").strip() == "streamsight-apid"
    assert '{"status":"ok"}' in printed["The gateway"] and "ready" in printed["apid"] and "# EOF" in printed["Watch"]
    assert "authenticators are under the first key" in printed["The master key"]
    assert machine.run("stat -c %s /etc/streamsight/master-key /etc/streamsight/session-keys").split() == ["32", "32"]


def test_somebody_joins_and_logs_in(server):
    """On the terminal, with a password and a code, through the gateway: the keys and the way to each server are right."""
    machine, _ = server
    machine.vm.write("/root/join.py", (pathlib.Path(__file__).parent / "join.py").read_bytes())
    assert json.loads(machine.run("python3 /root/join.py </root/invitation"))["user"]["email"] == "owner@example.com"


def test_what_is_secret_is_closed(server):
    machine, _ = server
    as_apid = "runuser -u streamsight-apid -- "
    for path in ("/etc/streamsight/master-key", "/etc/streamsight/session-keys", "/etc/streamsight/redis-password",
                 "/etc/ssl/streamsight/privkey.pem", "/etc/redis/streamsight.key"):
        assert "Permission denied" in machine.fails(as_apid + f"cat {path}"), path
    # Only who is meant to gets into the database: by what they are.
    assert "failed" in machine.fails(as_apid + "psql -d streamsight -U streamsight_admin -c 'SELECT 1'")
    assert "permission denied" in machine.fails(as_apid + "psql -d streamsight -U streamsight_apid -c 'SELECT * FROM streamsight.company'")
    assert "failed" in machine.fails("runuser -u nobody -- psql -d streamsight -U streamsight_apid -c 'SELECT 1'")
    assert "reject" in machine.fails("psql 'host=127.0.0.1 dbname=streamsight user=streamsight_apid' -c 'SELECT 1'")


# As the unit says, and not because something happens to be missing. What is not named here gets EPERM.
REFUSALS = {
    "done": ["its credential", "its configuration", "its folder", "PostgreSQL", "Redis"],
    "EACCES": ["the master key", "the gateway's key", "shadow", "root's home", "write to /run", "a shell"],
    "EROFS": ["write to /etc", "write to /var"],
    "ENOENT": ["others' temporary files", "a device", "another process", "the machine's state"],
    "ENOEXEC": ["a program by the loader"],
    "EAFNOSUPPORT": ["netlink", "packets"],
    "no answer": ["TCP elsewhere"],  # what is to go out is dropped
}


def test_the_units_sandbox_holds(server):
    """What is tried here is tried by another program in the same unit: the same user, filters, mounts and addresses."""
    machine, _ = server
    machine.vm.write("/usr/local/lib/probe.py", (pathlib.Path(__file__).parent / "probe.py").read_bytes())
    machine.run("""
        cp /usr/bin/python3 /usr/lib/streamsight/probe
        cp /usr/bin/perl /usr/lib/streamsight/probe-perl
        touch /tmp/others
        ip address add 192.0.2.1/32 dev lo
        unit=$(systemctl show -P FragmentPath streamsight-apid)
        sed -e 's,^ExecStart=.*,ExecStart=/usr/lib/streamsight/probe /usr/local/lib/probe.py /run/streamsight-probe,' \\
            -e 's,^Type=.*,Type=oneshot,' -e 's,^RuntimeDirectory=.*,RuntimeDirectory=streamsight-probe,' \\
            -e '/^Restart=/d' -e '/^WatchdogSec=/d' -e '/^\\[Service\\]/a StandardOutput=truncate:/run/probe.json' $unit >/run/systemd/system/streamsight-probe.service
        systemctl daemon-reload""")
    machine.run("systemctl start streamsight-probe || { cat /run/probe.json; false; }")
    inside = json.loads(machine.run("cat /run/probe.json"))
    # What of this root can do shows that there is something to be refused.
    outside = json.loads(machine.run("mkdir -p /run/probe; python3 /usr/local/lib/probe.py /run/probe"))
    expected = {name: result for result, names in REFUSALS.items() for name in names}
    assert inside == {name: expected.get(name, "EPERM") for name in inside}
    assert outside == dict.fromkeys(inside, "done") | {"its credential": "no credential", "TCP elsewhere": "ECONNREFUSED"}


def test_a_socket_in_place_of_the_port(server):
    machine, _ = server
    path = "/run/streamsight-apid/socket"
    machine.run(f"""
        printf '[Server]\nListen=unix:{path}\n' >/etc/streamsight/apid.conf.d/socket.conf
        chmod a+r /etc/streamsight/apid.conf.d/socket.conf
        echo 'server unix:{path};' >/etc/nginx/streamsight/upstream.conf
        usermod -a -G streamsight-apid www-data
        systemctl restart streamsight-apid nginx
        curl -sS --fail --retry 10 --retry-delay 1 --retry-all-errors https://api.example.org/v1/health""")
    assert "Permission denied" in machine.fails(f"runuser -u nobody -- ls {path}")


def test_a_stopped_apid_is_started_anew(server):
    """By the watchdog, within the unit's time."""
    machine, _ = server
    machine.run("""
        before=$(systemctl show -P MainPID streamsight-apid)
        kill -STOP $before
        for n in $(seq 150); do
            sleep 1
            now=$(systemctl show -P MainPID streamsight-apid)
            [ $now = $before ] || [ $now = 0 ] || break
        done
        [ $now != $before ]
        curl -sS --fail --retry 20 --retry-delay 1 --retry-all-errors http://127.0.0.1:8481/ready
        journalctl -q --no-pager -u streamsight-apid | grep 'Watchdog timeout'""")
