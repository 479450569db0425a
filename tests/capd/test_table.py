"""docs/capture.md says of each feature which tests show it: they are there, and every feature has one."""

import pathlib
import re

import pytest

SOURCE = pathlib.Path(__file__).parents[2]
SECTION = (SOURCE / "docs" / "capture.md").read_text().split("## What is captured, beside other programs")[1]
OURS = {cells[0]: cells[2] for cells in (tuple(map(str.strip, line.strip("|").split("|"))) for line in SECTION.splitlines())
        if len(cells) == 3 and "`" in cells[2]}
UNNAMED = "tests/capd/test_capd_vm.py"  # where a test without a file is, as the document says


def claims(text):
    """(file, test or None) of each that is named: of the file before it, up to a semicolon."""
    found = []
    for part in text.split(";"):
        file, names = None, 0
        for word in re.findall(r"`([^`]+)`", part):
            if word.startswith("test_") and "." not in word:
                found.append((file or UNNAMED, word))
                names += 1
            else:
                if file and not names:
                    found.append((file, None))
                file, names = word, 0
        if file and not names:
            found.append((file, None))
    return found


def place(name):
    """The file of that name, with its folder or without."""
    path, = [SOURCE / name] if "/" in name else sorted((SOURCE / "tests").rglob(name))
    return path


def test_each_feature_of_the_comparison_is_shown():
    compared = [line.strip("|").split("|")[:2] for line in SECTION.splitlines() if line.count("|") == 10]
    yes = {name.strip() for name, ours in compared[2:] if ours.strip() not in ("no", "–")}
    assert len(yes) > 15 and yes <= set(OURS)


@pytest.mark.parametrize("feature", OURS)
def test_its_tests_are_there(feature):
    assert claims(OURS[feature])
    for file, name in claims(OURS[feature]):
        text = place(file).read_text()
        assert name is None or re.search(rf"^(def|static void) {name}\(", text, re.M), f"{file}: {name}"
