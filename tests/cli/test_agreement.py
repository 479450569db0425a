"""--help, the man page, what shells complete, and agent.conf agree with each other and with the source."""

import pathlib
import re
import subprocess

import pytest

from . import shells

SOURCE = pathlib.Path(__file__).parents[2]

# program: its folder in the build, its page; the first ones are what people type
PROGRAMS = {
    "streamsight": ("cli", "streamsight.1"),
    "streamsight-export": ("cli", "streamsight-export.1"),
    "streamsight-inspect": ("cli", "streamsight-inspect.1"),
    "streamsight-verify": ("cli", "streamsight-verify.1"),
    "streamsight-admin": ("apid", "streamsight-admin.8"),
    "streamsight-brokerd": ("brokerd", "streamsight-brokerd.8"),
    "streamsight-uploadd": ("uploadd", "streamsight-uploadd.8"),
    "apid": ("apid", "streamsight-apid.8"),
}
TOOLS = ("export", "inspect", "verify")


@pytest.fixture(scope="session")
def help_of(build):
    def text(program):
        done = subprocess.run([build / PROGRAMS[program][0] / program, "--help"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and done.stdout and not done.stderr, done
        return done.stdout
    return text


@pytest.fixture(scope="session")
def page_of(build):
    """A man page's text, with what is bold in asterisks."""
    def text(page):
        roff = (build / "docs" / "man" / page).read_text()
        roff = re.sub(r"\\fB(.*?)\\fR", lambda m: f"*{m[1]}*", roff)
        return re.sub(r"\\f.", "", roff).replace("\\-", "-").replace("\\&", "").replace("\\", "")
    return text


@pytest.fixture(scope="session")
def path(build, tmp_path_factory):
    """A folder with the programs that people type, as streamsight finds them when it is installed."""
    folder = tmp_path_factory.mktemp("bin")
    for program in ("streamsight-export", "streamsight-inspect", "streamsight-verify", "streamsight-admin"):
        (folder / program).symlink_to(build / PROGRAMS[program][0] / program)
    # It runs the tools in the folder where they will be installed: here, those of the build
    (folder / "streamsight").write_text(f"""#!/bin/sh
        case $1 in {'|'.join(TOOLS)}) tool=$1; shift; exec {build}/cli/streamsight-$tool "$@" ;; esac
        exec {build}/cli/streamsight "$@"\n""")
    (folder / "streamsight").chmod(0o755)
    return folder


def options(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text))


def admin_commands(text):
    """{(noun, verb): its options}"""
    lines = re.findall(r"^  ([a-z-]+)(?: ([a-z-]+))?((?: [A-Z]+)?(?: \[?--.*)?)$", text, re.M)
    return {(noun, verb): options(rest) for noun, verb, rest in lines}


def agent_commands(text):
    return re.findall(r"^  ([a-z-]+)(?: [^ ]+)*  +\S", text, re.M)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_page_has_the_options_of_help_and_no_other(help_of, page_of, program):
    page = page_of(PROGRAMS[program][1])
    assert options(" ".join(re.findall(r"\*(-[^*]+)\*", page))) == options(help_of(program)) | {"--help", "--version"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_version_is_told(build, program):
    done = subprocess.run([build / PROGRAMS[program][0] / program, "--version"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", done.stdout), done


def test_the_page_has_the_commands_of_help_and_no_other(help_of, page_of):
    commands = agent_commands(help_of("streamsight"))
    assert {"status", "enroll", "start", "stop", "flush", *TOOLS} <= set(commands)
    section = page_of("streamsight.1").split("COMMANDS")[1].split("OPTIONS")[0]
    assert re.findall(r"^\*([a-z-]+)\*(?: \[?[*A-Z_.…\[].*)?$", section, re.M) == commands


def test_the_page_of_admin_has_the_commands_of_help_and_their_options(help_of, page_of):
    commands = admin_commands(help_of("streamsight-admin"))
    assert len(commands) > 10 and commands["bucket", "set"] and not commands["migrate", ""]
    section = page_of("streamsight-admin.8").split("COMMANDS")[1].split("OPTIONS")[0]
    described = {tuple((m[0] + " ").split(" ")[:2]): options(m[1])
                 for m in re.findall(r"^\*([a-z-]+(?: [a-z-]+)?)\*(.*)$", section, re.M)}
    assert described == commands


@pytest.fixture(params=["bash", "zsh", "fish"])
def complete(request, path, tmp_path):
    """complete(words…): what the shell offers for the last of them."""
    extra = (tmp_path,) if request.param == "zsh" else ()
    return lambda *words: getattr(shells, request.param)(words[0], words, path, *extra)


def test_commands_are_completed(complete, help_of):
    commands = set(agent_commands(help_of("streamsight")))
    assert complete("streamsight", "") - {"-h", "--help", "--version"} == commands
    assert complete("streamsight", "st") == {command for command in commands if command.startswith("st")}
    assert complete("streamsight", "--") == {"--help", "--version"}


def test_options_are_completed(complete, help_of):
    assert complete("streamsight", "status", "--") == {"--json"}
    for tool in TOOLS:
        wanted = options(help_of(f"streamsight-{tool}"))
        assert {word.rstrip("=") for word in complete("streamsight", tool, "--")} == wanted
        assert {word.rstrip("=") for word in complete(f"streamsight-{tool}", "--")} == wanted


def test_admin_is_completed(complete, help_of):
    commands = admin_commands(help_of("streamsight-admin"))
    anywhere = {"--config", "--help", "--json", "--version"}
    assert complete("streamsight-admin", "") - {"--config=", *anywhere} == {noun for noun, _ in commands}
    assert complete("streamsight-admin", "user", "") - {"--config=", *anywhere} == \
        {verb for noun, verb in commands if noun == "user"}
    for noun, verb in [("bucket", "set"), ("policy", "set"), ("user", "create")]:
        offered = {word.rstrip("=") for word in complete("streamsight-admin", noun, verb, "--")}
        assert offered == commands[noun, verb] | anywhere


def test_agent_conf_is_described_as_it_is_read(page_of):
    """Both processes read the file, and each refuses what it does not know."""
    def keys(path):
        return set(re.findall(r'\{ "(\w+)", "(\w+)", (?:config|settings)_parse', (SOURCE / path).read_text()))

    read = keys("brokerd/settings.c")
    assert ("Bucket", "Hosts") in read and read == keys("uploadd/settings.c")

    described, section = set(), None
    for line in page_of("agent.conf.5").splitlines():
        if heading := re.match(r'\.SH (?:"?)\[(\w+)\]', line):
            section = heading[1]
        elif line.startswith(".SH"):
            section = None
        elif section and (key := re.fullmatch(r"\*(\w+)=\*", line)):
            described.add((section, key[1]))
    assert described == read

    shipped, section = set(), None
    for line in (SOURCE / "packaging/config/agent.conf").read_text().splitlines():
        if heading := re.match(r"\[(\w+)\]", line):
            section = heading[1]
        elif key := re.match(r";?(\w+)=", line):
            shipped.add((section, key[1]))
    assert shipped == read


@pytest.mark.parametrize("arguments, why", [
    (["nonsense"], "Unknown command: nonsense"),
    ([], "No command was given"),
    (["status", "--nonsense"], "Unexpected argument: --nonsense"),
    (["start", "now"], "Unexpected argument: now"),
    (["enroll", "CODE"], "The code is not an argument"),
])
def test_what_streamsight_does_not_know_is_said(build, arguments, why):
    done = subprocess.run([build / "cli" / "streamsight", *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(why) and done.stderr.count("\n") == 1, done.stderr
    assert "CODE" not in done.stderr


@pytest.mark.parametrize("program, arguments", [
    ("streamsight-export", []), ("streamsight-export", ["--nonsense"]), ("streamsight-inspect", []),
    ("streamsight-inspect", ["--nonsense"]), ("streamsight-verify", []), ("streamsight-verify", ["--nonsense"]),
    ("streamsight-admin", []), ("streamsight-admin", ["nonsense"]), ("streamsight-admin", ["user", "nonsense"]),
])
def test_what_a_tool_does_not_know_is_said(build, program, arguments):
    done = subprocess.run([build / PROGRAMS[program][0] / program, *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and done.stdout == ""
    assert 1 <= done.stderr.count("\n") <= 2, done.stderr
    assert "--help" in done.stderr or "--nonsense" in done.stderr
