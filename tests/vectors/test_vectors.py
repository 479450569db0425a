"""The vectors through both decoders: the project's and that of tests/system. Their bytes are those that make.py writes, which knows the document alone."""

import re
import struct
import subprocess

import numpy
import pytest

from system import pictures

from . import make

NAMES = [vector.__name__ for vector in make.VECTORS]


def expected(name):
    """(output, time, (height, width), SHA-256) of each picture."""
    found = []
    for line in (make.FOLDER / "SHA256").read_text().splitlines():
        digest, file, output, time, size = line.split()
        if file == f"{name}.sss":
            found.append((int(output), int(time), tuple(map(int, size.split("x")))[::-1], digest))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_what_the_document_says(name):
    assert (make.FOLDER / f"{name}.sss").read_bytes() == getattr(make, name)()


@pytest.mark.parametrize("name", NAMES)
def test_the_independent_decoder(name):
    data = (make.FOLDER / f"{name}.sss").read_bytes()
    start = next(struct.unpack_from("<Q", payload, 40)[0] for _, kind, payload in pictures.chunks(data) if kind == "HEAD")
    found = [(p.output, round(p.realtime * 1e6) - start, p.image.shape[:2], make.digest(p.image)) for p in pictures.decode(data)]
    assert found == expected(name) and found


@pytest.mark.parametrize("name", NAMES)
def test_the_projects_decoder(build, name):
    for output in {output for output, *_ in expected(name)}:
        raw = subprocess.run([build / "cli/streamsight-export", "--raw", "--output", str(output), make.FOLDER / f"{name}.sss"],
                             stdout=subprocess.PIPE, check=True).stdout
        for found, time, (height, width), digest in expected(name):
            if found == output:
                picture, raw = numpy.frombuffer(raw[:4 * width * height], "u1").reshape(height, width, 4), raw[4 * width * height:]
                assert make.digest(picture[..., 2::-1]) == digest, f"output {output} at {time}"
        assert not raw, "there are more pictures"


def test_they_have_all_that_the_document_has():
    document = (make.FOLDER.parents[1] / "docs/segment-format.md").read_text()
    kinds, operations, flags = set(), set(), set()
    for name in NAMES:
        for _, kind, payload in pictures.chunks((make.FOLDER / f"{name}.sss").read_bytes()):
            kinds.add(kind)
            if kind == "FRAM":
                flags.add(payload[4])
                at = 24
                while at < len(payload):
                    operation, length = struct.unpack_from("<II", payload, at)
                    operations.add(operation)
                    at += 8 + length
    assert kinds >= set(re.findall(r"^## ([A-Za-z]{3}[A-Z_]): ", document, re.M)) >= {"HEAD", "GAP_", "rATE"}
    assert operations >= set(map(int, re.findall(r"^### Kind (\d+), ", document, re.M))) >= {1, 2, 3, 4}
    assert flags == {0, make.KEY, make.TORN, make.KEY | make.TORN}
