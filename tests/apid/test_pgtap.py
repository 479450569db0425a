"""The procedures from inside: what lies below them, and those of devices and of management."""

import pathlib
import subprocess

import pytest

from services.apid import _ADMIN_CONF


@pytest.mark.parametrize("file", ["procedures", "fleet"])
def test_procedures(stack, tmp_path, file):
    name = f"tapped_{file}"
    stack.postgres.create_database(name)
    config = tmp_path / "admin.conf"
    config.write_text(_ADMIN_CONF.format(dsn=stack.postgres.owner_dsn(name), key=tmp_path / "none"))
    subprocess.run([stack.apid.admin_program, "--config", config, "migrate"], check=True, timeout=120, stdout=subprocess.DEVNULL)
    stack.postgres.sql("CREATE SCHEMA tap; CREATE EXTENSION pgtap SCHEMA tap", name)
    text = (pathlib.Path(__file__).parent / f"{file}.sql").read_text()
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", stack.postgres.owner_dsn(name), "-c", "SET search_path = tap, public",
                           "-f", "-"], input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert not [line for line in lines if line.startswith(("not ok", "# "))], done.stdout
    assert len([line for line in lines if line.startswith("ok ")]) > 100
