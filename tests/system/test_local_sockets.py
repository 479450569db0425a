"""A process of another user listens on Unix datagram sockets wherever it may: from within each daemon's own unit, none of
them can be reached. Landlock does not forbid that, and frames could go that way."""

import shlex

import pytest

from .machine import Machine, image

pytestmark = pytest.mark.vm

# In every folder that it may write to, and in some that only root may give it.
LISTEN = r"""
my @folders = grep { !m{^/(proc|sys)/} } split /\n/, `find / -xdev -type d -perm -0002 2>/dev/null; find /dev /run /tmp /var/tmp -type d -perm -0002 2>/dev/null`;
my %seen; my @open;
for my $folder (grep { !$seen{$_}++ } @folders, "/home/desk", "/srv/open", "/opt/open", "/mnt/open", "/media/open", "/var/lib/open") {
    my $path = "$folder/listen";
    my $s;
    socket($s, 1, 2, 0) && bind($s, pack("Sa108", 1, $path)) or next;
    chmod 0777, $path; push @open, $s; print "$path\n";
}
close STDOUT; sleep 3600;
"""

# Prints "PATH ERRNO" for each of the arguments, 0 for what has arrived.
SEND = r"""
for my $path (@ARGV) {
    socket(my $s, 1, 2, 0) or die;
    print "$path ", defined(send($s, "frame", 0, pack("Sa108", 1, $path))) ? 0 : $! + 0, "\n";
}
"""


@pytest.fixture(scope="module")
def machine(build, stack, tmp_path_factory):
    with Machine(image(build, tmp_path_factory.mktemp("image")), tmp_path_factory.mktemp("vm"), stack) as machine:
        machine.configure()
        machine.run("systemctl start streamsight-capd && mkdir -p /usr/lib/probe && cp /usr/bin/perl /usr/lib/probe/", check=True)
        machine.run("for d in srv opt mnt media var/lib; do install -d -m 1777 /$d/open; done; chmod 755 /home/desk", check=True)
        yield machine


@pytest.fixture(scope="module")
def paths(machine):
    machine.vm.write("/usr/lib/probe/listen", LISTEN)
    machine.vm.write("/usr/lib/probe/send", SEND)
    machine.run("systemd-run --quiet -u listener -p User=desk -p StandardOutput=file:/run/listening perl /usr/lib/probe/listen; "
                "until [ -s /run/listening ] && ! ls -l /proc/$(systemctl show -P MainPID listener)/fd/1 2>/dev/null | grep -q listening; "
                "do sleep 0.2; done", check=True, timeout=120)
    return machine.run("cat /run/listening", check=True).output.decode().split()


def send(machine, paths, user, inside=""):
    # By nsenter itself: uploadd's unit has no other program than those of /usr/lib
    enter = f"--mount --target $(systemctl show -P MainPID {inside})" if inside else ""
    text = machine.run(f"nsenter {enter} --setuid $(id -u {user}) --setgid 65534 -- /usr/lib/probe/perl /usr/lib/probe/send "
                       + " ".join(map(shlex.quote, paths)), check=True).output.decode()
    return {path: int(error) for path, error in (line.rsplit(" ", 1) for line in text.splitlines())}


@pytest.mark.parametrize("name", ["capd", "uploadd", "brokerd"])
def test_nobody_else_can_be_reached(machine, paths, name):
    user = f"streamsight-{name}"
    outside = send(machine, paths, user)
    assert {"/dev/shm/listen", "/run/lock/listen", "/tmp/listen", "/home/desk/listen", "/opt/open/listen"} <= set(paths)
    assert set(outside.values()) == {0}, "outside its unit the same user reaches them"
    inside = send(machine, paths, user, f"{user}.service")
    assert len(inside) == len(paths) and 0 not in inside.values(), inside


@pytest.mark.parametrize("name", ["capd", "uploadd", "brokerd"])
def test_it_still_reaches_what_it_needs(machine, name):
    needed = ["/run/systemd/notify", "/run/systemd/journal/socket"]
    assert set(send(machine, needed, f"streamsight-{name}", f"streamsight-{name}.service").values()) == {0}
