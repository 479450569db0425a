"""streamsight-export on the example of docs/segment-format.md: four seconds of a display of 80 × 10 pixels, of which
the last pixel turns white after one second; off from the second to the third."""

import json
import subprocess

import numpy
import PIL.Image
import pytest


@pytest.fixture(scope="session")
def sample(build, tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "7.sss"
    subprocess.run([build / "tests" / "unit" / "test-segment", "--write", path], check=True)
    return path


@pytest.fixture
def export(build):
    def run(*args):
        return subprocess.run([build / "cli" / "streamsight-export", *map(str, args)], capture_output=True,
                              stdin=subprocess.DEVNULL, check=False)
    return run


def corner(path):
    pixels = numpy.asarray(PIL.Image.open(path).convert("RGB")).astype(int)
    assert pixels.shape == (10, 80, 3)
    assert abs(pixels[0, 0] - (0x20, 0x40, 0xc0)).max() < 12
    return pixels[9, 79].mean()


@pytest.mark.parametrize("still, bright", [("first", False), ("0.9", False), ("1.5", True), ("3.5", True),
                                           ("last", True), ("2026-01-01T00:00:00Z", False),
                                           ("2026-01-01T00:00:01Z", True)])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_still(sample, export, tmp_path, still, bright, suffix):
    out = tmp_path / f"out.{suffix}"
    done = export("--still", still, "-o", out, sample)
    assert done.returncode == 0, done.stderr
    assert (corner(out) > 150) == bright


@pytest.mark.parametrize("still", ["2.5", "2025-12-31T23:59:58Z"])
def test_no_still_where_there_is_no_picture(sample, export, tmp_path, still):
    done = export("--still", still, "-o", tmp_path / "out.png", sample)
    assert done.returncode != 0 and b"gap" in done.stderr
    assert not (tmp_path / "out.png").exists()


def packets(path):
    out = subprocess.run(["ffprobe", "-v", "error", "-show_packets", "-show_streams", "-show_format", "-of", "json",
                          path], capture_output=True, check=True).stdout
    return json.loads(out)


def test_video_has_the_times_of_capture(sample, export, tmp_path):
    out = tmp_path / "out.mkv"
    assert export("-o", out, sample).returncode == 0
    video = packets(out)
    assert [float(p["pts_time"]) for p in video["packets"]] == [0, 1, 2, 3]
    assert float(video["format"]["duration"]) == 4
    assert video["streams"][0]["codec_name"] == "mjpeg"
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", out, "-fps_mode", "passthrough", "-f", "rawvideo",
                          "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    frames = numpy.frombuffer(raw, numpy.uint8).reshape(-1, 10, 80, 3)
    assert len(frames) == 4
    assert frames[2].max() < 8  # the gap is black
    assert abs(frames[3].astype(int) - frames[1]).max() < 4


def test_raw(sample, export):
    done = export("--raw", sample)
    assert done.returncode == 0 and len(done.stdout) == 3 * 80 * 10 * 4


def frames_of(data):
    """Begin and end of each FRAM chunk."""
    at, found = 8, []
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at + 4:at + 8], "little")
        if data[at:at + 4] == b"FRAM":
            found.append((at, end))
        at = end
    return found


def test_damage_is_named_and_what_precedes_it_is_written(sample, export, tmp_path):
    data = bytearray(sample.read_bytes())
    second = frames_of(data)[1][0]
    data[second + 50] ^= 1
    broken, out, still = tmp_path / "broken.sss", tmp_path / "out.mkv", tmp_path / "out.png"
    broken.write_bytes(data)
    done = export("-o", out, "-o", still, broken)
    assert done.returncode == 1
    assert f"broken.sss: damaged at byte {second}: a chunk's checksum is wrong".encode() in done.stderr
    assert [float(p["pts_time"]) for p in packets(out)["packets"]] == [0]
    assert corner(still) < 150


def test_cut_anywhere(sample, export, tmp_path):
    data = sample.read_bytes()
    ends = [end for _, end in frames_of(data)]
    for size in (0, 1, 7, 8, 100, 800, ends[0] - 1, ends[0], ends[1] - 1, ends[2], len(data) - 1):
        cut = tmp_path / "cut.sss"
        cut.write_bytes(data[:size])
        done = export("--raw", cut)
        assert done.returncode == 1 and b"cut short" in done.stderr
        whole = sum(size >= end for end in ends)
        assert len(done.stdout) == whole * 80 * 10 * 4


@pytest.mark.parametrize("args, says", [((), b"which segments"), (("x.sss",), b"nothing to write"),
                                        (("-o", "x.gif", "x.sss"), b"x.gif"),
                                        (("-o", "x.png", "--still", "noon", "x.sss"), b"noon"),
                                        (("-o", "x.png", "--output", "64", "x.sss"), b"64"),
                                        (("-o", "/dev/null/x.png", "/nonexistent.sss"), b"No such file"),
                                        (("-o", "x.png", "/dev/zero"), b"Invalid argument"),
                                        (("-o", "x.png", "/etc"), b"directory")])
def test_wrong_use_is_explained(export, args, says):
    done = export(*args)
    assert done.returncode == 1 and says in done.stderr


def test_segments_out_of_order(sample, export, tmp_path):
    done = export("-o", tmp_path / "out.mkv", sample, sample)
    assert done.returncode == 1 and b"give the segments in order" in done.stderr
