"""What the mutation run takes out is still there to be taken out."""

import pathlib
import subprocess
import sys


def test_each_mechanism_is_where_it_is_looked_for():
    done = subprocess.run([sys.executable, pathlib.Path(__file__).with_name("mutate"), "--list"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
