"""The compiled module: what it allows, read from the very file that is installed. No virtual machine."""

import pathlib
import re
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).parents[2]
DOMAINS = {"streamsight_capd_t", "streamsight_uploadd_t", "streamsight_brokerd_t"}

# What capd asks while it opens a card, before its seccomp filter: capd/card.c
OPENING = {"VERSION", "SET_CLIENT_CAP", "AUTH_MAGIC", "DROP_MASTER"}


def drm_requests(tmp_path):
    """The low 16 bits of the requests in policy/sandbox/capd-ioctls.h, and of OPENING, as two sets."""
    program = '#include <stdio.h>\n#include "policy/sandbox/capd-ioctls.h"\nint main(void) {\n'
    program += "for (unsigned long i = 0; i < sizeof(capd_ioctls) / sizeof(*capd_ioctls); i++)\n"
    program += 'printf("%lu\\n", capd_ioctls[i].request & 0xffff);\nputs("");\n'
    program += "".join(f'printf("%lu\\n", (unsigned long) DRM_IOCTL_{name} & 0xffff);\n' for name in sorted(OPENING))
    program += "}\n"
    flags = subprocess.run(["pkg-config", "--cflags", "libdrm"], check=True, capture_output=True, text=True).stdout.split()
    subprocess.run(["cc", "-std=gnu17", "-I", SOURCE, *flags, "-xc", "-", "-o", tmp_path / "requests"],
                   input=program, text=True, check=True)
    output = subprocess.run([tmp_path / "requests"], check=True, capture_output=True, text=True).stdout
    return tuple({int(n) for n in part.split()} for part in output.split("\n\n"))


@pytest.fixture(scope="module")
def cil(build):
    """The module in CIL, a line for each statement (semodule-utils' compiler of policy packages)."""
    module = build / "selinux" / "streamsight.pp"
    if not module.exists():
        pytest.skip("built without selinux-policy-dev")
    output = subprocess.run(["/usr/libexec/selinux/hll/pp", module], check=True, capture_output=True, text=True).stdout
    return [line.strip() for line in output.splitlines()]


@pytest.fixture(scope="module")
def attributes(cil):
    """The module's own attributes, each with its types."""
    found = (re.fullmatch(r"\(typeattributeset (\S+) \((.*)\)\)", line) for line in cil)
    return {m[1]: set(m[2].split()) for m in found if m}


@pytest.fixture(scope="module")
def allowed(cil, attributes):
    """(domain, target, class, permission), with the attributes resolved."""
    rules = set()
    for line in cil:
        if m := re.fullmatch(r"\(allow (\S+) (\S+) \((\S+) \((.*)\)\)\)", line):
            sources = attributes.get(m[1], {m[1]})
            rules |= {(s, s if m[2] == "self" else m[2], m[3], p) for s in sources for p in m[4].split()}
    assert len(rules) > 100
    return rules


def test_the_ioctls_are_those_of_the_seccomp_table(cil, tmp_path):
    numbers, targets = set(), set()
    for line in cil:
        if m := re.fullmatch(r"\(allowx (\S+) (\S+) \(ioctl (\S+) \((.*)\)\)\)", line):
            targets.add(m.group(1, 2, 3))
            rest = m[4]
            for first, last in re.findall(r"\(range (\w+) (\w+)\)", rest):
                numbers |= set(range(int(first, 16), int(last, 16) + 1))
            numbers |= {int(n, 16) for n in re.sub(r"\(.*?\)", "", rest).split()}
    serving, opening = drm_requests(tmp_path)
    assert targets == {("streamsight_capd_t", "dri_device_t", "chr_file")}
    assert {hex(n) for n in numbers} == {hex(n) for n in serving | opening}


def test_nothing_is_permissive(cil):
    assert not [line for line in cil if line.startswith("(typepermissive")]


def test_no_domain_is_unconfined(attributes):
    assert {name for name, types in attributes.items() if types & DOMAINS} <= {
        "daemon", "domain", "dbusd_system_bus_client", "streamsight_domain", "streamsight_web_client"}


@pytest.mark.parametrize("socket, client", [("frame", "uploadd"), ("control", "brokerd"), ("broker", "uploadd")])
def test_a_socket_has_one_client(allowed, socket, client):
    assert {s for s, t, c, p in allowed if t == f"streamsight_{socket}_sock_t" and c == "sock_file" and p == "write"} == {
        f"streamsight_{client}_t"}


def test_the_key_is_brokerds(allowed):
    assert {s for s, t, *_ in allowed if t == "streamsight_var_lib_t"} == {"streamsight_brokerd_t"}


def test_nobody_changes_the_configuration(allowed):
    assert {p for s, t, c, p in allowed if t == "streamsight_conf_t"} <= {
        "getattr", "ioctl", "lock", "open", "read", "search"}


def test_the_cards_are_capds_and_only_to_be_read(allowed):
    assert {(s, p) for s, t, c, p in allowed if t == "dri_device_t"} == {
        ("streamsight_capd_t", p) for p in ("getattr", "ioctl", "map", "open", "read")}


def test_copies_of_frames_are_capds_and_uploadds(allowed):
    assert {(s, p) for s, t, c, p in allowed if t == "streamsight_capd_tmpfs_t" and c == "file" and s in DOMAINS} == {
        *(("streamsight_capd_t", p) for p in ("getattr", "write")),
        *(("streamsight_uploadd_t", p) for p in ("map", "read", "write"))}


def test_no_domain_may_start_programs_or_make_code(allowed):
    """But the one that it is started from."""
    own = {domain: domain.removesuffix("_t") + "_exec_t" for domain in DOMAINS}
    assert not [r for r in allowed if r[0] in DOMAINS and r[3] in (
        "execmem", "execmod", "execstack", "execheap", "execute_no_trans", "transition", "ptrace", "setcurrent")]
    assert not [r for r in allowed if r[0] in DOMAINS and r[3] in ("execute", "entrypoint") and r[1] != own[r[0]]]


def test_capd_has_one_capability(allowed):
    assert {(s, p) for s, t, c, p in allowed if s in DOMAINS and c.startswith(("capability", "cap_userns"))} == {
        ("streamsight_capd_t", "sys_admin")}


def test_capd_has_no_network(allowed):
    assert not [r for r in allowed if r[0] == "streamsight_capd_t" and re.search(
        r"(tcp|udp|rawip|netlink\w*|packet|sctp|icmp|vsock)_socket", r[2])]


@pytest.mark.skipif(not shutil.which("selint"), reason="selint is not installed")
def test_selint_finds_nothing():
    result = subprocess.run(["selint", "-r", SOURCE / "selinux"], capture_output=True, text=True)
    findings = [line for line in (result.stdout + result.stderr).splitlines() if not line.startswith("Note:")]
    assert (result.returncode, findings) == (0, [])


DEVEL = pathlib.Path("/usr/share/selinux/devel")
# What Fedora's and RHEL's policy names otherwise, and has besides, written from its documentation.
RENAMED = {"files_runtime_file": "files_pid_file", "udev_search_runtime": "udev_search_pids"}
ADDED = """
interface(`init_nnp_daemon_domain',`
	gen_require(`
		type init_t;
	')
	allow init_t $1:process2 nnp_transition;
')
interface(`auth_read_passwd',`
	gen_require(`
		type etc_t;
	')
	allow $1 etc_t:file { getattr open read };
')
"""


@pytest.mark.skipif(not DEVEL.exists(), reason="selinux-policy-dev is not installed")
def test_it_compiles_by_the_names_of_fedoras_policy(tmp_path):
    """The branches for it, on Debian's policy with that one's names."""
    headers, module = tmp_path / "include", tmp_path / "module"
    shutil.copytree(DEVEL / "include", headers)
    for path in headers.rglob("*.if"):
        text = path.read_text()
        renamed = re.sub("|".join(RENAMED), lambda m: RENAMED[m[0]], text) + ADDED * (path.name == "init.if")
        path.write_text(renamed)
    shutil.copytree(SOURCE / "selinux", module)
    subprocess.run(["make", "-C", module, "-f", DEVEL / "Makefile", f"HEADERDIR={headers}", "streamsight.pp"], check=True, capture_output=True)
    rules = subprocess.run(["/usr/libexec/selinux/hll/pp", module / "streamsight.pp"], check=True, capture_output=True, text=True).stdout
    for domain in DOMAINS:
        assert f"(allow init_t {domain} (process2 (nnp_transition)))" in rules
