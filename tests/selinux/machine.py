"""Programs that run in the agent's domains, on a test machine with SELinux enforcing."""

import re
import shlex

from system.machine import Machine

PROBES = "/usr/local/lib/probe"
NO_DOMAIN = "unconfined"

# Every attempt prints its name and an errno, 0 for success. Perl, because it is in every Debian system, needs no file
# but itself for this, and has syscall().
PRELUDE = r"""
$| = 1;
sub report { my ($name, $done) = @_; print $name, " ", $done ? 0 : $! + 0, "\n" }
sub dial { socket(SOCK, 1, 5, 0) and connect(SOCK, pack("Sa108", 1, $_[0])) }
sub dial_stream { socket(SOCK, 1, 1, 0) and connect(SOCK, pack("Sa108", 1, $_[0])) }
sub dial_tcp { socket(SOCK, 2, 1, 0) and connect(SOCK, pack("Sna4x8", 2, $_[0], pack("C4", 127, 0, 0, 1))) }
"""


class ConfinedMachine(Machine):
    """A machine with programs that run in the agent's domains."""

    def make_probes(self):
        """Copies of Perl that systemd starts in each domain, as it would the daemon; one in no domain of ours."""
        self.run(f"mkdir -p {PROBES} && cd {PROBES} && for n in capd uploadd brokerd {NO_DOMAIN}; do cp /usr/bin/perl $n; done && "
                 "for n in capd uploadd brokerd; do chcon -t streamsight_${n}_exec_t $n; done", check=True)
        self._probes = 0

    def probe(self, domain, script, user="root"):
        """Runs Perl code in a process's domain, without any of its other confinement. Returns {name: errno}."""
        self._probes += 1
        unit = f"probe-{self._probes}.service"
        # systemd would take $name for a variable of its own
        code = shlex.quote((PRELUDE + script).replace("$", "$$"))
        self.run(f"systemd-run --quiet --wait --collect -u {unit} -p User={user} -p Environment=LC_ALL=C {PROBES}/{domain} -e {code}", timeout=120)
        output = self.run(f"journalctl --sync; journalctl -q --no-pager -o cat _SYSTEMD_UNIT={unit} _TRANSPORT=stdout").output
        lines = output.decode(errors="replace").splitlines()
        answers = dict(line.rsplit(" ", 1) for line in lines if re.fullmatch(r"\S+ \d+", line))
        assert answers, f"the probe in {domain} said nothing:\n{self.run(f'journalctl -q --no-pager -o cat -u {unit}').output}"
        return {name: int(error) for name, error in answers.items()}
