"""tools/bench encoder: the encoder on traces, beside full-frame JPEG and x264, in bytes, time and likeness."""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from progress import Progress

FPS = 5
SEGMENT_SECONDS = 60


def parse():
    parser = argparse.ArgumentParser(prog="tools/bench encoder", description=__doc__.split(": ", 1)[1])
    parser.add_argument("traces", nargs="+", type=pathlib.Path, metavar="TRACE")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all that was measured there")
    parser.add_argument("--quality", type=int, default=85)
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


class Trace:
    """Raw frames in a file, read once or again and again up to so many frames."""

    def __init__(self, source, folder):
        self.name = source.stem
        probe = subprocess.run(
            ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height", "-of", "json", source],
            check=True, capture_output=True)
        stream = json.loads(probe.stdout)["streams"][0]
        self.width, self.height = stream["width"], stream["height"]
        self.path = folder / f"{self.name}.raw"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", source, "-r", str(FPS), "-f", "rawvideo", "-pix_fmt", "bgr0",
                        self.path], check=True)
        self.frames = self.path.stat().st_size // (self.width * self.height * 4)

    def feed(self, frames):
        """A process that writes so many frames to its standard output."""
        loop = 'while cat "$0"; do :; done 2>/dev/null | head -c "$1"'
        return subprocess.Popen(["bash", "-c", loop, str(self.path), str(frames * self.width * self.height * 4)],
                                stdout=subprocess.PIPE)

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


def likeness(trace, frames, other):
    """PSNR over R, G and B, and SSIM, of a video file or raw pipe (as ffmpeg input options) against the trace."""
    pass_fds = [int(option.split(":")[1]) for option in other if str(option).startswith("pipe:")]
    feeder = trace.feed(frames)
    graph = "[0]format=gbrp,split[a][c];[1]format=gbrp,split[b][d];[a][b]psnr[x];[c][d]ssim[y]"
    _, log, _ = run(["ffmpeg", "-v", "info", "-nostats", *trace.input(), *other, "-filter_complex", graph, "-map", "[x]",
                     "-f", "null", "-", "-map", "[y]", "-f", "null", "-"], feeder.stdout, pass_fds=pass_fds)
    return (float(re.search(r"PSNR .*average:([0-9.]+|inf)", log)[1]), float(re.search(r"SSIM .*All:([0-9.]+)", log)[1]))


def x264(trace, frames, preset, folder):
    """Bytes, CPU seconds of the codec alone, and likeness."""
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
    return {"bytes": path.stat().st_size, "ms": (seconds[0] - seconds[1]) * 1000 / frames, "path": path}


def encode(trace, frames, options, *more, **kwargs):
    feeder = trace.feed(frames)
    output, _, _ = run([options.build / "tests/bench/encode", "--size", f"{trace.width}x{trace.height}", "--fps", str(FPS),
                        "--quality", str(options.quality), *more], feeder.stdout, **kwargs)
    feeder.wait()
    return json.loads(output)


def encode_likeness(trace, frames, options):
    """The same with decoding: whether each frame is as the reference, and the likeness by ffmpeg's measure."""
    read, write = os.pipe()
    feeder = trace.feed(frames)
    encoder = subprocess.Popen([options.build / "tests/bench/encode", "--size", f"{trace.width}x{trace.height}", "--quality",
                                str(options.quality), "--compare", "--decoded", f"/dev/fd/{write}"],
                               stdin=feeder.stdout, stdout=subprocess.PIPE, pass_fds=[write])
    os.close(write)
    psnr, ssim = likeness(trace, frames, trace.input(source=f"pipe:{read}"))
    os.close(read)
    output, _ = encoder.communicate()
    feeder.wait()
    result = json.loads(output)
    return {"psnr": psnr, "ssim": ssim, "frames_not_as_reference": result["frames_not_as_reference"]}


def measure(trace, options, folder, progress):
    long = SEGMENT_SECONDS * FPS
    result = {"name": trace.name, "frames": trace.frames, "frame_bytes": trace.width * trace.height * 4}
    with progress.step(f"{trace.name}: the encoder"):
        result["encoder"] = encode(trace, trace.frames, options)
        result["reference"] = encode(trace, trace.frames, options, "--reference")
        result["segment"] = encode(trace, long, options)
    with progress.step(f"{trace.name}: decoding, against the reference"):
        result["likeness"] = encode_likeness(trace, trace.frames, options)
    for preset in ("ultrafast", "veryfast"):
        with progress.step(f"{trace.name}: x264 {preset}"):
            result[preset] = x264(trace, trace.frames, preset, folder)
            path = result[preset].pop("path")
            result[preset]["psnr"], result[preset]["ssim"] = likeness(trace, trace.frames, ["-i", str(path)])
    with progress.step(f"{trace.name}: x264 veryfast, {SEGMENT_SECONDS} s"):
        result["veryfast_segment"] = x264(trace, long, "veryfast", folder)
        result["veryfast_segment"].pop("path")
    return result


def ratios(result):
    ours, reference = result["encoder"], result["reference"]
    kinds = [ours[kind] for kind in ("unchanged", "changed", "key")]
    ms = sum(kind["ms"] * kind["frames"] for kind in kinds) / result["frames"]
    return {
        "bytes_x264": ours["bytes"] / result["veryfast"]["bytes"],
        "bytes_x264_segment": result["segment"]["bytes"] / result["veryfast_segment"]["bytes"],
        "cpu_full": ours["changed"]["ms"] / reference["full_frame_ms"],
        "cpu_key": ours["key"]["ms"] / reference["full_frame_ms"],
        "reads": ours["unchanged"]["ms"] / reference["read_ms"] if ours["unchanged"]["frames"] else None,
        "cpu_x264": ms / result["ultrafast"]["ms"],
    }


COLUMNS = (
    ("trace", lambda r: r["name"]),
    ("kB", lambda r: f"{r['encoder']['bytes'] / 1000:.0f}"),
    ("x264 kB", lambda r: f"{r['veryfast']['bytes'] / 1000:.0f}"),
    ("bytes ÷ x264", lambda r: f"{r['ratios']['bytes_x264']:.2f}"),
    (f"… {SEGMENT_SECONDS} s", lambda r: f"{r['ratios']['bytes_x264_segment']:.2f}"),
    ("PSNR", lambda r: f"{r['likeness']['psnr']:.1f}"),
    ("x264", lambda r: f"{r['veryfast']['psnr']:.1f}"),
    ("SSIM", lambda r: f"{r['likeness']['ssim']:.4f}"),
    ("x264", lambda r: f"{r['veryfast']['ssim']:.4f}"),
    ("ms changed", lambda r: f"{r['encoder']['changed']['ms']:.2f}"),
    ("÷ full JPEG", lambda r: f"{r['ratios']['cpu_full']:.2f}"),
    ("all new ÷", lambda r: f"{r['ratios']['cpu_key']:.2f}"),
    ("unchanged, reads", lambda r: f"{r['ratios']['reads']:.2f}" if r["ratios"]["reads"] else "–"),
    ("÷ ultrafast", lambda r: f"{r['ratios']['cpu_x264']:.2f}"),
    ("memory, frames + MiB", lambda r: f"3 + {(r['encoder']['memory'] - 3 * r['frame_bytes']) / 2**20:.1f}"),
    ("wrong frames", lambda r: str(r["likeness"]["frames_not_as_reference"])),
)


def print_table(results):
    rows = [[title for title, _ in COLUMNS]] + [[cell(result) for _, cell in COLUMNS] for result in results]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))))
    print(f"\nx264: veryfast, crf 23, g = 10 s, 4:2:0, for bytes, PSNR and SSIM; ultrafast, one thread, without colour "
          f"conversion, for time.\n“… {SEGMENT_SECONDS} s”: bytes when both repeat the trace up to a segment's length. "
          "CPU of the thread, everything included.\n"
          "Memory: what the encoder holds for one output; it may be 3 frames + 32 MiB.\n“Wrong frames”: not pixel-equal to a full-frame "
          "JPEG's tiles and the shifted source.")


def main():
    options = parse()
    progress, results = Progress(), []
    with tempfile.TemporaryDirectory(prefix="streamsight-bench-") as folder:
        for source in options.traces:
            with progress.step(f"{source.stem}: unpacking"):
                trace = Trace(source, pathlib.Path(folder))
            result = measure(trace, options, pathlib.Path(folder), progress)
            result["ratios"] = ratios(result)
            results.append(result)
            trace.path.unlink()
    print_table(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr or ''}")
