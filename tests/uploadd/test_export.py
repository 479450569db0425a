"""streamsight-export on the example of docs/segment-format.md: four seconds of a display of 80 × 10 pixels, of which
the last pixel turns white after one second; off from the second to the third."""

import json
import struct
import subprocess

import numpy
import PIL.Image
import pytest

from system import pictures


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


def with_payload(data, at, change):
    """A segment whose chunk at an offset is changed, with a checksum that says it is right."""
    end = at + 12 + int.from_bytes(data[at + 4:at + 8], "little")
    header, payload = data[at:at + 8], bytearray(data[at + 12:end])
    change(payload)
    return data[:at] + header + struct.pack("<I", pictures.crc32c(header + payload)) + payload + data[end:]


def test_no_half_picture_of_a_frame_that_cannot_be_decoded(build, export, tmp_path):
    """The checksum is right, but the JPEG data of the second frame's last tiles is not: the still is the first frame."""
    first, second = noise(64, 64, seed=1), noise(64, 64, seed=2)
    whole, broken = tmp_path / "whole.sss", tmp_path / "broken.sss"
    data = encode(build, whole, first, second)

    def spoil(payload):
        payload[-40:] = b"\xff\0" * 20  # ones, which are no code
    broken.write_bytes(with_payload(data, frames_of(data)[1][0], spoil))
    at_first, still = tmp_path / "first.png", tmp_path / "still.png"
    assert export("--still", "first", "-o", at_first, whole).returncode == 0
    done = export("-o", still, broken)
    assert done.returncode == 1 and b"the JPEG data of a frame cannot be decoded" in done.stderr
    assert still.read_bytes() == at_first.read_bytes()
    # What came later nobody knows.
    done = export("--still", "0.3", "-o", tmp_path / "later.png", broken)
    assert done.returncode == 1 and b"the damage precedes it" in done.stderr
    assert not (tmp_path / "later.png").exists()


def noise(width, height, seed):
    return numpy.random.default_rng(seed).integers(0, 256, (height, width, 4), numpy.uint8)


def encode(build, path, *frames):
    """A segment of frames, five a second."""
    height, width, _ = frames[0].shape
    subprocess.run([build / "tests" / "bench" / "encode", "--size", f"{width}x{height}", "--fps", "5", "-o", path],
                   input=b"".join(frame.tobytes() for frame in frames), stdout=subprocess.DEVNULL, check=True)
    return path.read_bytes()


def test_a_video_goes_on_in_a_second_file_when_the_size_changes(build, export, tmp_path):
    sizes, segments = [(80, 48), (160, 96), (80, 48)], []
    for number, (width, height) in enumerate(sizes):
        path = tmp_path / f"{number}.sss"
        data = encode(build, path, *(noise(width, height, seed) for seed in range(number + 2)))
        path.write_bytes(with_payload(data, 8, lambda head, n=number: struct.pack_into("<I", head, 4, n)))
        segments.append(path)
    done = export("-o", tmp_path / "out.mkv", *segments)
    assert done.returncode == 0, done.stderr
    assert b"goes on in " + str(tmp_path / "out-2.mkv").encode() in done.stderr
    for number, (width, height) in enumerate(sizes):
        video = packets(tmp_path / ("out.mkv" if number == 0 else f"out-{number + 1}.mkv"))
        assert (video["streams"][0]["width"], video["streams"][0]["height"]) == (width, height)
        assert len(video["packets"]) == number + 2
        assert float(video["packets"][0]["pts_time"]) == 0
    shown = subprocess.run(["ffprobe", "-v", "error", "-show_frames", "-of", "json", tmp_path / "out-2.mkv"],
                           capture_output=True, check=True).stdout
    assert {(frame["width"], frame["height"]) for frame in json.loads(shown)["frames"]} == {(160, 96)}
    # No file that nobody named is written over.
    done = export("-o", tmp_path / "out.mkv", *segments)
    assert done.returncode == 1 and b"out-2.mkv: exists already" in done.stderr


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
