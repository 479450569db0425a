"""Tries what apid must and must not be able to do, from wherever it is run; prints what came of each."""

import errno
import json
import mmap
import os
import socket
import subprocess
import sys
import time

ELSEWHERE = "192.0.2.1"
PERL = "/usr/lib/streamsight/probe-perl"
UNSHARE, PTRACE = 272, 101  # x86-64's numbers
CLONE_NEWUSER, CLONE_NEWNS, PTRACE_TRACEME = 0x10000000, 0x20000, 0


def call(*numbers):
    """A system call that Python has no function for, by Perl: ctypes wants memory that is writable and executable."""
    error = subprocess.run([PERL, "-e", f"exit(syscall({', '.join(map(str, numbers))}) == -1 ? $! + 0 : 0)"]).returncode
    if error:
        raise OSError(error, "syscall")


def connect(address, family=socket.AF_INET):
    with socket.socket(family) as s:
        s.settimeout(10)
        s.connect(address)


def send(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", address)


def read(path):
    with open(path, "rb") as f:
        f.read(1)


def write(path):
    with open(path, "ab"):
        pass


def run(*command):
    if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        raise OSError(errno.ENOEXEC, command)


def make_setuid(path):
    write(path)
    os.chmod(path, 0o4755)


folder = sys.argv[1]
TRIED = {
    "its credential": lambda: read(os.environ["CREDENTIALS_DIRECTORY"] + "/master-key"),
    "its configuration": lambda: read("/etc/streamsight/apid.conf"),
    "its folder": lambda: write(folder + "/file"),
    "PostgreSQL": lambda: connect("/run/postgresql/.s.PGSQL.5432", socket.AF_UNIX),
    "Redis": lambda: connect(("127.0.0.1", 6380)),
    "the master key": lambda: read("/etc/streamsight/master-key"),
    "the gateway's key": lambda: read("/etc/ssl/streamsight/privkey.pem"),
    "shadow": lambda: read("/etc/shadow"),
    "root's home": lambda: os.listdir("/root"),
    "others' temporary files": lambda: read("/tmp/others"),
    "write to /etc": lambda: write("/etc/streamsight/file"),
    "write to /var": lambda: write("/var/lib/file"),
    "write to /run": lambda: write("/run/file"),
    "a device": lambda: read("/dev/kmsg"),
    "another process": lambda: read("/proc/1/status"),
    "the machine's state": lambda: read("/proc/meminfo"),
    "a shell": lambda: run("/bin/sh", "-c", "true"),
    "a program by the loader": lambda: run("/lib64/ld-linux-x86-64.so.2", "/bin/true"),
    "TCP elsewhere": lambda: connect((ELSEWHERE, 9)),
    "UDP elsewhere": lambda: send((ELSEWHERE, 9)),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "a user namespace": lambda: call(UNSHARE, CLONE_NEWUSER),
    "a mount namespace": lambda: call(UNSHARE, CLONE_NEWNS),
    "to be traced": lambda: call(PTRACE, PTRACE_TRACEME, 0, 0, 0),
    "a set-uid file": lambda: make_setuid(folder + "/setuid"),
    "code that it wrote": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
}


def tried(what):
    try:
        what()
        return "done"
    except TimeoutError:
        return "no answer"
    except OSError as e:
        return errno.errorcode[e.errno]
    except KeyError:
        return "no credential"


print(json.dumps({name: tried(what) for name, what in TRIED.items()}))
