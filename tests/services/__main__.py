"""Starts the services and keeps them until SIGINT or SIGTERM:

    PYTHONPATH=tests /usr/bin/python3 -m services [--build DIR] [--run DIR]

Standard output gets one line of JSON (Stack.settings()) when everything is ready, standard error the progress.
"""

import argparse
import json
import signal
import sys
import threading

from .process import ServiceError
from .stack import Stack


def show(name, seconds):
    sys.stderr.write(f"{name}: {'starting' if seconds is None else f'ready in {seconds:.1f} s'}\n")


def main():
    parser = argparse.ArgumentParser(prog="services", description="Private loopback instances of the server side.")
    parser.add_argument("--build", metavar="DIR", help="meson's build directory; without it, everything but apid")
    parser.add_argument("--run", metavar="DIR", help="data, keys and logs go here (default: a new directory in /tmp)")
    options = parser.parse_args()
    # Only noted, so that no start is cut in the middle. Handlers, unlike a blocked signal, are not inherited by children.
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    try:
        with Stack(options.build, options.run, progress=show) as stack:
            stack.start()
            print(json.dumps(stack.settings()), flush=True)
            stopping.wait()
    except ServiceError as e:
        sys.exit(f"services: {e}")


if __name__ == "__main__":
    main()
