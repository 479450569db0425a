"""The services are real, keep to loopback and end with us."""

import concurrent.futures
import json
import os
import pathlib
import ssl
import subprocess
import sys
import time

import pytest

from services.process import Process, ServiceError, listening_addresses, require_loopback_only


def test_ca_issues_side_by_side(ca):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        leaves = list(pool.map(ca.issue, [f"leaf-{n}" for n in range(16)]))
    serials = {ssl._ssl._test_decode_cert(leaf.cert_file)["serialNumber"] for leaf in leaves}
    assert len(serials) == 16


def test_postgres_roles_need_their_password(postgres, tmp_path):
    postgres.create_database("roles")
    dsn = postgres.create_role("somebody", "roles", tmp_path / "passfile")
    assert postgres.sql("SELECT current_user, current_setting('fsync')", dsn=dsn) == "somebody|off"
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("*:*:*:*:guess\n")
    with pytest.raises(ServiceError, match="password authentication failed"):
        postgres.sql("SELECT 1", dsn=postgres.dsn("somebody", "roles", wrong))


def test_postgres_owner_is_known_by_account_not_by_name(postgres):
    assert postgres.sql("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == "t"
    if os.geteuid() != 0:
        pytest.fail("run as root: the test becomes another account")
    stranger = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", "psql", "-d", postgres.owner_dsn()],
                              capture_output=True, text=True, input="SELECT 1")
    assert stranger.returncode != 0 and "Peer authentication failed" in stranger.stderr


@pytest.mark.skipif(not os.environ.get("STREAMSIGHT_BUILD"), reason="STREAMSIGHT_BUILD names no build with apid")
def test_stack_with_apid(stack, http):
    settings = stack.settings()
    assert settings["api"]["enrolment_code"] and settings["api"]["viewer_token"]
    answer = http.get(stack.gateway.url + "/v1/devices/self/policy")
    assert answer.status_code == 401
    assert stack.postgres.sql("SELECT current_user", dsn=stack.apid.database_dsn) == "streamsight_apid"


def test_everything_listens_on_loopback_alone(services, postgres, s3, gateway):
    for process in (postgres.process, gateway.process, *s3.processes):
        addresses = listening_addresses(process.pid)
        assert addresses and {address for address, _ in addresses} == {"127.0.0.1"}


def test_a_server_on_all_interfaces_is_stopped(tmp_path):
    process = Process("open", [sys.executable, "-c", "import socket,time; s=socket.create_server(('0.0.0.0', 0)); "
                                                     "open('%s','w'); time.sleep(60)" % (tmp_path / "up")],
                      log=tmp_path / "log")
    process.wait_until((tmp_path / "up").exists, "listened")
    with pytest.raises(ServiceError, match="not on loopback alone"):
        require_loopback_only(process)
    assert not process.running()


def test_a_daemon_that_cannot_start_says_why(tmp_path):
    process = Process("daemon", ["sh", "-c", "echo cannot do it; exit 3"], log=tmp_path / "log")
    with pytest.raises(ServiceError, match="(?s)daemon ended with status 3 before daemon was up.*cannot do it"):
        process.wait_until(lambda: False, "was up")


def children(pid):
    return {int(p) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            for p in (task / "children").read_text().split()}


@pytest.fixture
def command(tmp_path):
    """python3 -m services as its own process: Popen, and what it printed."""
    err = tmp_path / "err"
    with open(err, "wb") as stream, subprocess.Popen(
            [sys.executable, "-m", "services"], stdout=subprocess.PIPE, stderr=stream,
            env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[1])}) as parent:
        line = parent.stdout.readline()
        assert line, err.read_text()
        yield parent, json.loads(line)
        parent.kill()


def test_nothing_outlives_a_killed_parent(command):
    """SIGKILL, so that no clean-up of ours runs: only PR_SET_PDEATHSIG can end the daemons."""
    parent, settings = command
    daemons = children(parent.pid)
    assert len(daemons) == 6  # postgres, redis, mon, osd, radosgw, nginx
    parent.kill()
    parent.wait()
    end = time.monotonic() + 20
    while any(pathlib.Path(f"/proc/{pid}").exists() for pid in daemons):
        assert time.monotonic() < end
        time.sleep(0.1)
    subprocess.run(["rm", "-rf", settings["run_dir"]], check=True)


def test_the_command_stops_on_sigterm(command):
    parent, settings = command
    daemons = children(parent.pid)
    parent.terminate()
    assert parent.wait(20) == 0
    assert not any(pathlib.Path(f"/proc/{pid}").exists() for pid in daemons)
    assert not pathlib.Path(settings["run_dir"]).exists()
