"""What 'meson install' puts where, and what it leaves alone."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).parents[2]
AGENT = {"etc/streamsight/agent.conf", "usr/share/streamsight/agent.conf", "usr/bin/streamsight", "usr/share/man/man1/streamsight.1",
         "usr/share/man/man5/agent.conf.5", "usr/share/bash-completion/completions/streamsight",
         "usr/share/zsh/site-functions/_streamsight", "usr/share/fish/vendor_completions.d/streamsight.fish",
         "usr/lib/streamsight/streamsight-capd", "usr/lib/streamsight/streamsight-notifier"}
EXPORT = {"usr/lib/streamsight/streamsight-export", "usr/lib/streamsight/streamsight-verify", "usr/share/man/man1/streamsight-export.1",
          "usr/share/bash-completion/completions/streamsight-verify"}
CONTROL_PLANE = {"etc/streamsight/apid.conf", "usr/share/streamsight/apid.conf", "usr/lib/streamsight/apid",
                 "usr/sbin/streamsight-admin", "usr/share/man/man8/streamsight-admin.8",
                 "usr/share/bash-completion/completions/streamsight-admin", "usr/share/streamsight/postgresql/pg_ident.conf",
                 "usr/share/streamsight/redis/streamsight.conf", "usr/share/streamsight/nftables/private.nft",
                 "usr/share/doc/streamsight/OPERATIONS.md"}


def install(build, folder, tags):
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--tags", tags, "--destdir", folder], check=True,
                   stdout=subprocess.DEVNULL)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_the_parts_are_apart(build, tmp_path):
    agent, export, control = (install(build, tmp_path / tags, tags) for tags in ("agent", "export", "control-plane"))
    assert AGENT <= agent and EXPORT <= export and CONTROL_PLANE <= control
    assert not agent & export and not agent & control and not export & control


def test_the_gateway_leads_to_where_apid_listens():
    """As shipped; and the unit may bind there, and nowhere else."""
    shipped = SOURCE / "packaging"
    listens = re.findall(r"^\w*Listen=127\.0\.0\.1:(\d+)$", (shipped / "config/apid.conf").read_text(), re.M)
    assert re.search(r"^server 127\.0\.0\.1:(\d+);$", (shipped / "gateway/upstream.conf.example").read_text(), re.M)[1] == listens[0]
    assert re.findall(r"^SocketBindAllow=tcp:(\d+)$", (shipped / "systemd/streamsight-apid.service").read_text(), re.M) == listens


@pytest.mark.parametrize("tag, name, mode", [("agent", "agent.conf", 0o644), ("control-plane", "apid.conf", 0o644)])
def test_an_upgrade_keeps_what_the_administrator_wrote(build, tmp_path, tag, name, mode):
    install(build, tmp_path, tag)
    conf, shipped = tmp_path / "etc/streamsight" / name, SOURCE / "packaging/config" / name
    assert conf.read_bytes() == shipped.read_bytes() and conf.stat().st_mode & 0o777 == mode
    conf.write_text("[ControlPlane]\nURL=https://mine.example.org\n")
    conf.chmod(0o600)
    (tmp_path / "usr/share/streamsight" / name).write_text("of the version before")
    install(build, tmp_path, tag)
    assert conf.read_text() == "[ControlPlane]\nURL=https://mine.example.org\n" and conf.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "usr/share/streamsight" / name).read_bytes() == shipped.read_bytes()


def test_a_link_that_leads_nowhere_is_kept(build, tmp_path):
    conf = tmp_path / "etc/streamsight/agent.conf"
    conf.parent.mkdir(parents=True)
    conf.symlink_to("/nonexistent/fleet/agent.conf")
    install(build, tmp_path, "agent")
    assert os.readlink(conf) == "/nonexistent/fleet/agent.conf"


def test_the_agent_alone_needs_no_library_of_the_control_plane(tmp_path):
    """Configured on a machine that lacks them, as tools/setup agent leaves it."""
    finder = tmp_path / "pkg-config"
    finder.write_text(f"""#!/bin/sh
        case " $* " in *" libmicrohttpd "* | *" libpq "* | *" hiredis "* | *" libqrencode "* | *" cmocka "*) exit 1 ;; esac
        exec {shutil.which('pkg-config')} "$@"\n""")
    finder.chmod(0o755)

    def configure(name, *options):
        return subprocess.run(["meson", "setup", tmp_path / name, SOURCE, *options], capture_output=True, text=True,
                              env=dict(os.environ, PKG_CONFIG=str(finder)))

    whole = configure("whole")
    assert whole.returncode != 0 and "libmicrohttpd" in whole.stdout
    agent = configure("agent", "-Dcontrol-plane=false", "-Dtests=false")
    assert agent.returncode == 0, agent.stdout
    plan = subprocess.run(["ninja", "-C", tmp_path / "agent", "-t", "targets", "all"], check=True, capture_output=True, text=True).stdout
    assert "cli/streamsight-verify:" in plan and "apid" not in plan and "tests/" not in plan
