"""The gateway as we ship it (packaging/gateway/streamsight.conf), in a private nginx on loopback."""

import os
import pathlib
import re

from . import names
from .process import Process, find_program, free_port, private_dir, require_loopback_only

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "gateway"
SHIPPED = FOLDER / "streamsight.conf"

# What Debian's /etc/nginx/nginx.conf would say around it. Workers keep to the run directory.
_NGINX_CONF = """
{user}
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {dir}/tmp/body;
    proxy_temp_path {dir}/tmp/proxy;
    fastcgi_temp_path {dir}/tmp/fastcgi;
    uwsgi_temp_path {dir}/tmp/uwsgi;
    scgi_temp_path {dir}/tmp/scgi;
    include {shipped};
}}
"""


class Gateway:
    """nginx before apid's loopback port. url: https://api.streamsight.test:PORT"""

    def __init__(self, run_dir, ca, upstream_port, certificate=None, *, behind=None):
        """behind: the address of a Passthrough, of whom alone it takes who the client is."""
        self._dir = pathlib.Path(run_dir)
        self._ca = ca
        self._certificate = certificate
        self._upstream_port = upstream_port
        self._behind = behind
        self.port = free_port()
        self.host = names.API
        self.url = f"https://{names.API}:{self.port}"
        self.access_log = self._dir / "access.log"
        self.process = None

    def start(self):
        names.resolve_locally()
        certificate = self._certificate or self._ca.issue("api")
        private_dir(self._dir, mode=0o711)
        # Workers drop to www-data and must reach the buffers.
        private_dir(self._dir / "tmp", mode=0o711)
        site = private_dir(self._dir / "streamsight")
        (site / "site.conf").write_text(self._listen() +
                                        f"server_name {names.API};\n"
                                        f"ssl_certificate {certificate.cert_file};\n"
                                        f"ssl_certificate_key {certificate.key_file};\n"
                                        f"access_log {self.access_log} streamsight;\n")
        (site / "upstream.conf").write_text(f"server 127.0.0.1:{self._upstream_port};\n")
        user = "user www-data;" if os.geteuid() == 0 else ""
        main = self._dir / "nginx.conf"
        main.write_text(_NGINX_CONF.format(dir=self._dir, user=user, shipped=SHIPPED))
        self.process = Process("nginx", [find_program("nginx"), "-p", self._dir, "-c", main,
                                         "-e", self._dir / "error.log"], log=self._dir / "nginx.out")
        self.process.wait_for_port(self.port)
        require_loopback_only(self.process)
        return self

    def _listen(self):
        if not self._behind:
            return f"listen 127.0.0.1:{self.port} ssl http2;\n"
        lines = re.findall(r"^#((?:listen \d|set_real_ip_from|real_ip_header).*;)$", (FOLDER / "site.conf.example").read_text(), re.M)
        assert len(lines) == 3, lines
        return "\n".join(lines).replace("listen 443", f"listen 127.0.0.1:{self.port}").replace("10.0.1.10", self._behind) + "\n"

    def stop(self):
        if self.process:
            self.process.stop()


_PASSTHROUGH_CONF = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
{user}
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 1024; }}
include {dir}/passthrough.conf;
"""


class Passthrough:
    """The public zone's nginx before a Gateway that is behind="127.0.0.1"."""

    def __init__(self, run_dir, gateway):
        self._dir = pathlib.Path(run_dir)
        self._gateway = gateway
        self.port = free_port()

    def start(self):
        private_dir(self._dir, mode=0o711)
        text = (FOLDER / "passthrough.conf.example").read_text()
        for old, new in (("listen 443;", f"listen 127.0.0.1:{self.port};"), ("listen [::]:443;", ""),
                         ("10.0.2.12:443", f"127.0.0.1:{self._gateway.port}")):
            assert old in text
            text = text.replace(old, new)
        (self._dir / "passthrough.conf").write_text(text)
        main = self._dir / "nginx.conf"
        main.write_text(_PASSTHROUGH_CONF.format(dir=self._dir, user="user www-data;" if os.geteuid() == 0 else ""))
        self.process = Process("nginx", [find_program("nginx"), "-p", self._dir, "-c", main, "-e", self._dir / "error.log"],
                               log=self._dir / "nginx.out")
        self.process.wait_for_port(self.port)
        require_loopback_only(self.process)
        return self

    def stop(self):
        self.process.stop()
