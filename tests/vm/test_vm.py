"""The test machine itself: what other tests rely on."""

import io
import http.server
import pathlib
import ssl
import subprocess
import sys
import threading
import time

import numpy
import PIL.Image
import pytest

from services.ca import CertificateAuthority
from services.process import free_port
from vm import CommandFailed, Painter, Vm, build_image, pattern

API = ("10.0.2.100", 8443)


def jpeg(picture, quality=85):
    """There and back through JPEG 4:4:4."""
    data = io.BytesIO()
    PIL.Image.fromarray(picture).save(data, "JPEG", quality=quality, subsampling=0)
    return numpy.asarray(PIL.Image.open(data).convert("RGB"))


@pytest.mark.parametrize("n", [0, 1, 255, 77777, 0xFFFFFFFF])
def test_pattern_survives_jpeg(n):
    decoded = jpeg(pattern.picture(n, 1, 1024, 768))
    assert pattern.read(decoded) == (n, 1)
    largest, mean = pattern.error(decoded, n, 1)
    assert largest <= 40 and mean < 1.5
    other = pattern.error(decoded, n ^ 1, 1)
    assert other[1] > 4 * mean


@pytest.mark.parametrize("change", [
    lambda p: p[:, ::-1], lambda p: p[::-1], lambda p: p[::-1, ::-1], lambda p: p * 0, lambda p: p // 8,
    lambda p: numpy.rot90(p), lambda p: numpy.vstack([p[:300], pattern.picture(8, 0, 1024, 768)[300:]]),
], ids=["mirrored", "upside down", "turned by 180", "black", "dark", "turned by 90", "torn"])
def test_pattern_is_not_read_from_a_wrong_picture(change):
    with pytest.raises(ValueError):
        pattern.read(change(pattern.picture(7, 0, 1024, 768)))


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers a PUT with the length and sum of its bytes."""

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = f"{len(body)} {sum(body)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def server(ca):
    certificate = ca.issue("api")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Receiver)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


@pytest.fixture(scope="module")
def image(build):
    return build_image(build)


@pytest.fixture(scope="module")
def vm(image, server, ca, tmp_path_factory):
    with Vm(image, tmp_path_factory.mktemp("vm"), forwards=[(*API, server)]) as vm:
        vm.put(ca.cert_file, "/etc/test-ca.pem")
        yield vm


@pytest.mark.vm
def test_guest_is_healthy(vm):
    assert vm.run("systemctl is-system-running").output == b"running\n"
    assert abs(float(vm.run("date +%s.%N").output) - time.time()) < 5


@pytest.mark.vm
@pytest.mark.parametrize("options", [[], ["--front"], ["--size=800x600"]], ids=["flips", "front buffer", "other mode"])
def test_painter_shows_exactly_the_pattern(vm, options):
    with Painter(vm, n=3, options=options) as painter:
        (_, width, height), = painter.outputs
        assert (width, height) == ((800, 600) if options == ["--size=800x600"] else (1024, 768))
        for n in (4, 5, 1000000):
            shown = painter.show(n)
            assert shown.paint_boottime < shown.shown_boottime
            assert abs(shown.shown_realtime / 1e9 - time.time()) < 10
            assert (vm.screendump() == pattern.picture(n, 0, width, height)).all()


@pytest.mark.vm
def test_painter_counts_by_itself_and_turns_off(vm):
    with Painter(vm, n=10, options=["--rate=5"]) as painter:
        assert [painter.next().n for _ in range(4)] == [10, 11, 12, 13]
    with Painter(vm) as painter:
        painter.off()
        assert b"off" in vm.run("cat /sys/class/drm/card0-Virtual-1/dpms").output.lower()
        painter.show(9)
        assert pattern.read(vm.screendump()) == (9, 0)


@pytest.mark.vm
def test_two_outputs(image, tmp_path):
    with Vm(image, tmp_path, outputs=2) as vm, Painter(vm) as painter:
        assert [name for name, _, _ in painter.outputs] == ["Virtual-1", "Virtual-2"]
        painter.show(42)
        for head in (0, 1):
            assert (vm.screendump(head) == pattern.picture(42, head, 1024, 768)).all()


@pytest.mark.vm
def test_desk_shows_something_that_moves(vm):
    vm.run("systemctl start weston-desk", check=True)
    end = time.monotonic() + 60
    while True:
        before = vm.screendump()
        time.sleep(0.7)
        after = vm.screendump()
        # below the panel, whose clock moves without the terminal
        if before.shape == after.shape == (768, 1024, 3) and (before != after)[40:].any():
            break
        assert time.monotonic() < end, vm.journal("desk-terminal")
    vm.run("systemctl stop weston-desk", check=True)
    with Painter(vm) as painter:
        painter.show(11)
        assert pattern.read(vm.screendump()) == (11, 0)


@pytest.mark.vm
def test_commands_and_files(vm, tmp_path):
    assert vm.run("echo out; echo err >&2; exit 3") == (3, b"out\nerr\n")
    assert vm.run("cat", input=b"\0\n@\xff" * 50000).output == b"\0\n@\xff" * 50000
    assert vm.run("sleep 1000", timeout=1).rc == 124
    assert vm.run("sleep 1000 & echo started") == (0, b"started\n")
    with pytest.raises(CommandFailed, match="status 1: no such luck"):
        vm.run("echo no such luck; false", check=True)

    # input that nobody takes must not block the other commands
    deaf = vm.spawn("exec sleep 1000")
    deaf.write(b"x" * 60000)
    assert vm.run("true").rc == 0
    deaf.kill(9)
    assert deaf.wait().rc == 128 + 9

    data = numpy.random.default_rng(1).bytes(5 << 20)
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "tree" / "below" / "data file").write_bytes(data)
    vm.put(tmp_path / "tree", "/var/tmp/tree")
    assert vm.read("/var/tmp/tree/below/data file") == data
    got = vm.get("/var/tmp/tree", tmp_path / "back")
    assert (got / "below" / "data file").read_bytes() == data
    vm.write("/run/secret", "s", mode=0o600)
    assert vm.run("stat -c %a:%U /run/secret").output == b"600:root\n"
    assert "vm-agent" in vm.journal("vm-agent")


@pytest.mark.vm
def test_forward_takes_parallel_tls_uploads(vm):
    size = 3 << 20
    command = (f"head -c {size} /dev/zero | tr '\\0' '\\1' > /run/body; for i in 1 2 3 4 5 6; do curl -sS --cacert /etc/test-ca.pem "
               f"-T /run/body https://api.streamsight.test:{API[1]}/$i & done; wait")
    assert vm.run(command, timeout=120) == (0, f"{size} {size}\n".encode() * 6)


@pytest.mark.vm
def test_nothing_else_is_reachable(vm, server):
    for address, port in (("10.0.2.2", server), ("10.0.2.100", 8444), ("192.0.2.1", 443)):
        rc, output = vm.run(f"curl -sS -m 4 https://{address}:{port}/", timeout=30)
        assert rc in (7, 28), output  # refused, or no answer


@pytest.mark.vm
def test_network_can_be_cut(vm):
    curl = f"curl -sS -m 5 --cacert /etc/test-ca.pem -d '' -X PUT https://api.streamsight.test:{API[1]}/"
    vm.set_network(False)
    assert vm.run(curl).rc in (7, 28)
    vm.set_network(True)
    assert vm.run(f"for i in 1 2 3 4 5; do {curl} && exit 0; done; exit 1", timeout=60).rc == 0


@pytest.mark.vm
def test_savevm_and_loadvm(vm):
    vm.write("/run/state", "before")
    vm.savevm("here")
    vm.write("/run/state", "after")
    vm.loadvm("here")
    assert vm.read("/run/state") == b"before"
    test_guest_is_healthy(vm)
    test_forward_takes_parallel_tls_uploads(vm)


@pytest.mark.vm
def test_runs_do_not_see_each_other(vm, image, tmp_path):
    vm.run("echo x > /etc/mark; sync", check=True)
    with Vm(image, tmp_path) as other:
        assert other.run("test -e /etc/mark").rc == 1


@pytest.mark.vm
def test_machine_ends_with_its_owner(image, tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", "import sys, time\nfrom vm import Vm\n"
                              "print(Vm(*sys.argv[1:]).start().pid, flush=True)\ntime.sleep(1000)", image, tmp_path],
                             stdout=subprocess.PIPE, cwd=pathlib.Path(__file__).parents[1])
    qemu = pathlib.Path("/proc", owner.stdout.readline().decode().strip())
    assert qemu.exists()
    owner.kill()
    owner.wait()
    end = time.monotonic() + 10
    while qemu.exists():
        assert time.monotonic() < end, "QEMU outlived the process that started it"
        time.sleep(0.05)
