"""tools/bench encoder: the encoder on traces, beside full-frame JPEG and x264, in bytes, time and likeness."""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import bench_memory
import bench_record
from progress import Progress

FPS = 5
SEGMENT_SECONDS = 60
TIMED = 60  # frames of a trace, of which times are taken
LIKENESS = 4  # one frame of so many is looked at for PSNR and SSIM
KEYS = 25  # of those that are encoded as keyframes, to see what it costs when everything is new
PSNR = 40  # at least, in dB
QUALITY_STEP, QUALITY_MAX = 2, 95  # … by a higher quality for the traces that need it
READS = 2.2  # of an unchanged frame
ALL_NEW = 1.2  # full-frame compressions

# What is aimed at, by what a trace's name begins with: bytes ÷ x264 veryfast, time of a changed frame ÷ full-frame JPEG, time of
# the whole trace ÷ x264 ultrafast.
TARGETS = {
    "idle": (0.3, 0.10, 0.15),
    "typing": (0.3, 0.10, 0.15),
    "switch": (0.3, 0.10, 0.15),
    "scroll": (0.45, 0.25, 0.35),
    "term": (0.7, 0.25, 0.35),
    "sideways": (0.7, 0.25, 0.35),
    "video": (3, 0.30, 0.35),
    "new": (None, ALL_NEW, None),
}


def parse():
    parser = argparse.ArgumentParser(prog="tools/bench encoder", description=__doc__.split(": ", 1)[1])
    parser.add_argument("traces", nargs="*", type=pathlib.Path, metavar="TRACE", help="default: those of tools/bench record")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all that was measured there")
    parser.add_argument("--quality", type=int, default=85, help=f"or what gives {PSNR} dB, if that is higher (default: 85)")
    parser.add_argument("--frames", type=int, help="no more than so many frames of each trace")
    parser.add_argument("--rounds", type=int, default=3, help="times are the median of so many runs (default: 3)")
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--recordings", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


class Trace:
    """Raw frames in a file."""

    def __init__(self, source, folder, frames=None):
        self.name = source.stem
        probe = subprocess.run(
            ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height", "-of", "json", source],
            check=True, capture_output=True)
        stream = json.loads(probe.stdout)["streams"][0]
        self.width, self.height = stream["width"], stream["height"]
        self.path = folder / f"{self.name}.raw"
        some = ["-frames:v", str(frames)] if frames else []
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", source, "-r", str(FPS), *some, "-f", "rawvideo", "-pix_fmt", "bgr0", self.path],
                       check=True)
        self.frames = self.path.stat().st_size // (self.width * self.height * 4)

    def feed(self, frames=None):
        """A process that writes its frames, or the first of them, to its standard output."""
        size = (frames or self.frames) * self.width * self.height * 4
        return subprocess.Popen(["head", "-c", str(size), self.path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def input(self, pixels="bgr0", source="-"):
        return ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{self.width}x{self.height}", "-r", str(FPS), "-i", source]


def run(command, stdin, **kwargs):
    """Returns standard output and error, and the CPU seconds that the process took."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdin=stdin, stdout=out, stderr=err, **kwargs)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        output, error = out.read().decode(), err.read().decode()
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command, output, error)
        return output, error, usage.ru_utime + usage.ru_stime


def likeness(trace, other):
    """PSNR over R, G and B, and SSIM, of a video file or raw pipe (as ffmpeg input options) against the trace."""
    pass_fds = [int(option.split(":")[1]) for option in other if str(option).startswith("pipe:")]
    feeder = trace.feed()
    some = f"select=not(mod(n\\,{LIKENESS})),format=gbrp,split"
    graph = f"[0]{some}[a][c];[1]{some}[b][d];[a][b]psnr[x];[c][d]ssim[y]"
    _, log, _ = run(["ffmpeg", "-v", "info", "-nostats", *trace.input(), *other, "-filter_complex", graph, "-map", "[x]",
                     "-f", "null", "-", "-map", "[y]", "-f", "null", "-"], feeder.stdout, pass_fds=pass_fds)
    feeder.wait()
    return (float(re.search(r"PSNR .*average:([0-9.]+|inf)", log)[1]), float(re.search(r"SSIM .*All:([0-9.]+)", log)[1]))


def x264(trace, preset, folder, frames=None):
    """Bytes, CPU milliseconds a frame of the codec alone, and where the video is."""
    command = ["ffmpeg", "-v", "error", "-y", "-threads", "1", *trace.input("yuv420p")]
    codec = ["-c:v", "libx264", "-preset", preset, "-crf", "23", "-g", str(10 * FPS), "-threads", "1"]
    path, seconds = folder / f"{trace.name}.{preset}.264", []
    for output in ([*codec, path], ["-c:v", "rawvideo", "-f", "null", "-"]):
        feeder = trace.feed(frames)
        convert = subprocess.Popen(["ffmpeg", "-v", "error", *trace.input(), "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"],
                                   stdin=feeder.stdout, stdout=subprocess.PIPE)
        seconds.append(run(command + [str(o) for o in output], convert.stdout)[2])
        convert.wait()
        feeder.wait()
    return {"bytes": path.stat().st_size, "ms": (seconds[0] - seconds[1]) * 1000 / (frames or trace.frames), "path": path}


def encode(trace, options, quality, *more, frames=None, **kwargs):
    feeder = trace.feed(frames)
    output, _, _ = run([options.build / "tests/bench/encode", "--size", f"{trace.width}x{trace.height}", "--fps", str(FPS),
                        "--quality", str(quality), *more], feeder.stdout, **kwargs)
    feeder.wait()
    return json.loads(output)


def encode_likeness(trace, options, quality):
    """The same with decoding: whether each frame is as the reference, and the likeness by ffmpeg's measure."""
    read, write = os.pipe()
    feeder = trace.feed()
    encoder = subprocess.Popen([options.build / "tests/bench/encode", "--size", f"{trace.width}x{trace.height}", "--quality",
                                str(quality), "--compare", "--decoded", f"/dev/fd/{write}"],
                               stdin=feeder.stdout, stdout=subprocess.PIPE, pass_fds=[write])
    os.close(write)
    psnr, ssim = likeness(trace, trace.input(source=f"pipe:{read}"))
    os.close(read)
    output, _ = encoder.communicate()
    feeder.wait()
    if encoder.returncode:
        raise subprocess.CalledProcessError(encoder.returncode, encoder.args)
    result = json.loads(output)
    return {"quality": quality, "psnr": psnr, "ssim": ssim, "frames_not_as_reference": result["frames_not_as_reference"]}


def faithful(trace, options):
    """The likeness at the lowest quality, from that of the options on, that has the PSNR."""
    for quality in range(options.quality, QUALITY_MAX + 1, QUALITY_STEP):
        found = encode_likeness(trace, options, quality)
        if found["psnr"] >= PSNR or found["frames_not_as_reference"]:
            break
    return found


def times(trace, options, quality, folder):
    """One run: each way of the encoder with full-frame JPEG and a read of the frame in turn with it, and x264 ultrafast."""
    ways = {"plain": [], "write_combined": ["--write-combined"], "portable": ["--portable"]}
    frames = min(trace.frames, TIMED)
    result = {way: encode(trace, options, quality, "--beside", *more, frames=frames) for way, more in ways.items()}
    result["keys"] = encode(trace, options, quality, "--beside", "--all-keys", frames=min(frames, KEYS))
    result["ultrafast_ms"] = x264(trace, "ultrafast", folder, frames)["ms"]
    return result


def ratio(way, kind):
    """A frame of a kind, in full-frame JPEGs; None if there was none. Unchanged ones in reads."""
    if not way[kind]["frames"]:
        return None
    return way[kind]["ms"] / way["read_ms" if kind == "unchanged" else "full_frame_ms"]


def ratios(time):
    plain = time["plain"]
    kinds = [plain[kind] for kind in ("unchanged", "changed", "key")]
    ms = sum(kind["ms"] * kind["frames"] for kind in kinds) / plain["frames"]
    found = {f"{way}_{kind}": ratio(time[way], kind) for way in ("plain", "write_combined", "portable") for kind in ("unchanged", "changed")}
    return found | {"all_new": ratio(time["keys"], "key"), "x264": ms / time["ultrafast_ms"], "ms": plain["changed"]["ms"]}


def medians(rows):
    return {key: statistics.median(row[key] for row in rows) if rows[0][key] is not None else None for key in rows[0]}


def measure(trace, options, folder, progress):
    result = {"name": trace.name, "frames": trace.frames, "frame_bytes": trace.width * trace.height * 4}
    with progress.step(f"{trace.name}: decoding, against the reference"):
        result["likeness"] = faithful(trace, options)
    quality = result["likeness"]["quality"]
    with progress.step(f"{trace.name}: bytes"):
        result["encoder"] = encode(trace, options, quality)
        result["veryfast"] = x264(trace, "veryfast", folder)
        result["veryfast"]["psnr"], result["veryfast"]["ssim"] = likeness(trace, ["-i", str(result["veryfast"].pop("path"))])
    result["times"] = []
    for number in range(options.rounds):
        with progress.step(f"{trace.name}: times, {number + 1} of {options.rounds}"):
            result["times"].append(times(trace, options, quality, folder))
    result["ratios"] = medians([ratios(time) for time in result["times"]])
    with progress.step(f"{trace.name}: memory of uploadd"):
        result["memory"] = bench_memory.measure(options.build, trace.path, trace.width, trace.height)
    return result


def aimed(value, target, form="{:.2f}"):
    """The figure, with its target in brackets, and marked if it misses it."""
    if value is None:
        return "–"
    return form.format(value) + (f" ({target:.3g}){'' if value <= target else ' ✗'}" if target is not None else "")


def per_minute(result):
    """Bytes ÷ x264's if the trace went on for a segment's length: ours has one keyframe in it, x264's one every 10 s already."""
    ours, part = result["encoder"], SEGMENT_SECONDS * FPS / result["frames"]
    return (ours["key"]["bytes"] + (ours["bytes"] - ours["key"]["bytes"]) * part) / (result["veryfast"]["bytes"] * part)


def target(result, which):
    return next((t[which] for kind, t in TARGETS.items() if result["name"].startswith(kind)), None)


def frame_memory(result):
    return 3 * result["frame_bytes"] + (32 << 20)


BYTES = (
    ("bytes", lambda r: r["name"]),
    ("quality", lambda r: str(r["likeness"]["quality"])),
    ("kB", lambda r: f"{r['encoder']['bytes'] / 1000:.0f}"),
    ("x264 kB", lambda r: f"{r['veryfast']['bytes'] / 1000:.0f}"),
    ("÷ x264", lambda r: aimed(r["encoder"]["bytes"] / r["veryfast"]["bytes"], target(r, 0))),
    (f"… in {SEGMENT_SECONDS} s", lambda r: aimed(per_minute(r), target(r, 0))),
    ("PSNR", lambda r: f"{r['likeness']['psnr']:.1f}{' ✗' if r['likeness']['psnr'] < PSNR else ''}"),
    ("x264", lambda r: f"{r['veryfast']['psnr']:.1f}"),
    ("SSIM", lambda r: f"{r['likeness']['ssim']:.4f}"),
    ("x264", lambda r: f"{r['veryfast']['ssim']:.4f}"),
    ("frames", lambda r: str(r["frames"])),
    ("wrong", lambda r: str(r["likeness"]["frames_not_as_reference"])),
)

TIMES = (
    ("time", lambda r: r["name"]),
    ("ms", lambda r: f"{r['ratios']['ms']:.2f}"),
    ("÷ full JPEG", lambda r: aimed(r["ratios"]["plain_changed"], target(r, 1))),
    ("write-comb.", lambda r: aimed(r["ratios"]["write_combined_changed"], target(r, 1))),
    ("portable", lambda r: aimed(r["ratios"]["portable_changed"], target(r, 1))),
    ("as keyframe", lambda r: aimed(r["ratios"]["all_new"], ALL_NEW)),
    ("unchanged, reads", lambda r: aimed(r["ratios"]["plain_unchanged"], READS)),
    ("write-comb.", lambda r: aimed(r["ratios"]["write_combined_unchanged"], None)),
    ("portable", lambda r: aimed(r["ratios"]["portable_unchanged"], None)),
    ("÷ ultrafast", lambda r: aimed(r["ratios"]["x264"], target(r, 2))),
    ("uploadd, MiB", lambda r: aimed(r["memory"] / 2**20, frame_memory(r) / 2**20, "{:.1f}")),
)


def print_table(columns, results):
    rows = [[title for title, _ in columns]] + [[cell(result) for _, cell in columns] for result in results]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    for row in rows:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))))
    print()


def print_results(results, options):
    print_table(BYTES, results)
    print_table(TIMES, results)
    print(f"In brackets: what is aimed at; ✗: not reached, or a PSNR (over R, G and B) below {PSNR} dB.\n"
          f"Quality: {options.quality}, or higher in steps of {QUALITY_STEP} for a trace that has less than {PSNR} dB at that.\n"
          f"… in {SEGMENT_SECONDS} s: if the trace went on as it is for a segment's length, with its one keyframe.\n"
          f"x264: veryfast, crf 23, g = 10 s, 4:2:0, for bytes, PSNR and SSIM (of each {LIKENESS}th frame); ultrafast, one thread, without colour conversion, for time.\n"
          f"Times are the thread's, everything included, of a changed frame of the first {TIMED}; medians of {options.rounds} runs. Full JPEG: TurboJPEG, 4:4:4, of the same "
          "quality, in turn\nwith each frame; a read: one pass over the frame. Write-comb.: by the way for such memory, which here is ordinary. "
          f"As keyframe: each\nof the first {KEYS} frames encoded as one. Memory: VmHWM of the real uploadd that records the trace; it may be 3 frames + 32 MiB."
          "\nWrong: frames not pixel-equal to a full-frame JPEG's tiles and the shifted source.")


def main():
    options = parse()
    progress, results = Progress(), []
    traces = options.traces or bench_record.ensure(options.recordings, bench_record.KINDS, progress)
    with tempfile.TemporaryDirectory(prefix="streamsight-bench-") as folder:
        for source in traces:
            with progress.step(f"{source.stem}: unpacking"):
                trace = Trace(source, pathlib.Path(folder), options.frames)
            results.append(measure(trace, options, pathlib.Path(folder), progress))
            trace.path.unlink()
    print_results(results, options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    wrong = [result["name"] for result in results if result["likeness"]["frames_not_as_reference"]]
    if wrong:
        sys.exit(f"Decoded frames are wrong: {', '.join(wrong)}")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr or ''}")
