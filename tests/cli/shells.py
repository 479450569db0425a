"""What real shells complete of a command line, with the project's completion files."""

import os
import pathlib
import pty
import select
import shlex
import subprocess
import time

FOLDER = pathlib.Path(__file__).parents[2] / "packaging" / "completion"


def _run(argv, path, **options):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                          env={"PATH": f"{path}:/usr/bin:/bin", "HOME": "/nonexistent", "TERM": "dumb"}, **options)
    assert not done.stderr, done.stderr
    return {line.split("\t")[0].rstrip() for line in done.stdout.splitlines()} - {""}


def _file(program, shell):
    return FOLDER / f"{'streamsight-admin' if program == 'streamsight-admin' else 'streamsight'}.{shell}"


def bash(program, words, path):
    """words: of the command line, the last of which is completed."""
    script = f"""
        . {_file(program, 'bash')}
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
        [[ $(complete -p {words[0]}) =~ -F\\ ([a-z_]+) ]] || exit
        "${{BASH_REMATCH[1]}}" {words[0]} {shlex.quote(words[-1])} ''
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    return _run(["bash", "--norc", "-c", script], path)


def fish(program, words, path):
    return _run(["fish", "--no-config", "-c", f"source {_file(program, 'fish')}; complete -C {shlex.quote(' '.join(words))}"], path)


def zsh(program, words, path, tmp_path):
    """zsh completes only while a line is edited, so on a terminal; what would be offered is written down by its compadd."""
    functions, out = tmp_path / "functions", tmp_path / "offered"
    functions.mkdir(exist_ok=True)
    for name in ("streamsight", "streamsight-admin"):
        (functions / f"_{name}").write_text((FOLDER / f"{name}.zsh").read_text())
    out.unlink(missing_ok=True)
    (tmp_path / ".zshrc").write_text(f"""
        PS1= fpath=({functions} $fpath)
        autoload -Uz compinit && compinit -u -D
        compadd() {{
            [[ " $* " != *" -"[OAD]" "* ]] || {{ builtin compadd "$@"; return }}
            local -a hits
            builtin compadd -O hits "$@"; print -lr -- $hits >>{out}
            builtin compadd "$@"
        }}
        noted() {{ _main_complete; print -r -- '=end' >>{out} }}
        zle -C noted list-choices noted
        bindkey '^I' noted
        print ready
    """)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-i"], {"PATH": f"{path}:/usr/bin:/bin", "ZDOTDIR": str(tmp_path), "HOME": str(tmp_path),
                                         "TERM": "vt100"})
    try:
        _wait(terminal, lambda seen: b"ready" in seen)
        os.write(terminal, f"{' '.join(words)}\t".encode())
        _wait(terminal, lambda _: out.exists() and "=end" in out.read_text())
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)
    return set(out.read_text().split()) - {"=end"}


def _wait(terminal, done, timeout=60):
    seen, end = b"", time.monotonic() + timeout
    while not done(seen):
        assert time.monotonic() < end, f"zsh said only {seen!r}"
        if select.select([terminal], [], [], 0.05)[0]:
            seen += os.read(terminal, 65536)
