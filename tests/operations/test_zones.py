"""The packet filters as shipped, in a network of their own: what they let through, and what not."""

import pathlib
import shutil
import subprocess

import pytest

FILTERS = pathlib.Path(__file__).parents[2] / "packaging" / "nftables"


def in_own_network(script):
    """As root in an empty network namespace. Returns the finished process."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    assert shutil.which("nft", path=path), "nftables is not installed: run tools/setup"
    return subprocess.run(["unshare", "--net", "--map-root-user", "sh", "-euc", script], capture_output=True, text=True, timeout=60,
                          env={"PATH": path})


@pytest.mark.parametrize("name", ["public", "private"])
def test_filters_are_good(name):
    done = in_own_network(f"nft -c -f {FILTERS}/{name}.nft && nft -f {FILTERS}/{name}.nft && nft -f {FILTERS}/{name}.nft && nft list ruleset")
    assert done.returncode == 0, done.stderr
    # Once, though loaded twice; and what it does not name it drops.
    assert done.stdout.count("table inet streamsight") == 1 and done.stdout.count("policy drop") == 2


def test_a_wrong_one_is_seen(tmp_path):
    wrong = tmp_path / "wrong.nft"
    wrong.write_text((FILTERS / "public.nft").read_text().replace("dport 443", "dport nonsense"))
    assert in_own_network(f"nft -c -f {wrong}").returncode != 0
