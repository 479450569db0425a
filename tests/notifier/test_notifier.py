"""Whoever sits at the screen is told on the desktop: the real agent, the real notifier, and dunst to show it."""

import pathlib
import re
import time

from brokerd import flood
from brokerd.test_control_plane import begin

ROOT = pathlib.Path(__file__).resolve().parents[2]


def wait(condition, what, timeout=60):
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"not in {timeout} s: {what}"
        time.sleep(0.05)
    return value


def newest(shown, summary):
    """The last notification shown, once its summary holds this."""
    def look():
        ours = [notice for notice in shown() if notice.get("appname") == "StreamSight"]
        return ours[-1] if ours and summary in ours[-1]["summary"] else None
    return wait(look, f"“{summary}” is shown: {shown()}")


def test_start_and_stop_are_shown(enrolled, session):
    with session.desktop() as shown, session.notify():
        peers = begin(enrolled)  # noqa: F841, closed when forgotten
        notice = newest(shown, "Your screen is being recorded for Example Corp")
        assert notice["urgency"] == "CRITICAL" and notice["timeout"] == "0", "it stays on the screen"
        assert "the organisation's policy says so" in notice["body"] and re.search(r"Since \d\d:\d\d on \w+day", notice["body"])
        enrolled.cli("stop")
        over = newest(shown, "Your screen is no longer recorded")
        assert over["urgency"] == "NORMAL" and over["timeout"] != "0"
        assert over["id"] == notice["id"], "in the place of the one before"
        assert enrolled.cli("start").returncode == 0
        assert "an administrator started it" in newest(shown, "is being recorded")["body"]


def test_a_session_that_begins_later_is_told(enrolled, session):
    peers = begin(enrolled)  # noqa: F841
    enrolled.wait(lambda s: s["Recording"], "recording")
    with session.desktop() as shown, session.notify():
        newest(shown, "is being recorded")


def test_nothing_is_shown_while_nothing_happens(enrolled, session):
    enrolled.wait(lambda s: s["PolicyRevision"], "the policy is known")
    assert enrolled.cli("stop").returncode == 0
    with session.desktop() as shown, session.notify():
        uploadd = enrolled.uploadd()  # noqa: F841
        assert enrolled.cli("flush").returncode == 0
        assert enrolled.cli("start").returncode == 0
        newest(shown, "is being recorded")
        ours = [notice["summary"] for notice in shown() if notice.get("appname") == "StreamSight"]
        assert len(ours) == 1, ours


def test_a_notification_service_that_comes_and_goes(enrolled, session):
    with session.notify() as log:
        peers = begin(enrolled)  # noqa: F841, closed when forgotten
        wait(lambda: "cannot show" in log.read_text(), "there is none, and the notifier says so")
        for _ in range(2):
            with session.desktop() as shown:
                newest(shown, "is being recorded")


def test_an_agent_that_dies_while_it_records(enrolled, session):
    with session.desktop() as shown, session.notify():
        peers = begin(enrolled)  # noqa: F841, closed when forgotten
        newest(shown, "is being recorded")
        enrolled.kill()
        lost = newest(shown, "was interrupted")
        assert lost["urgency"] == "CRITICAL" and "longer than a minute" in lost["body"]
        enrolled.run()
        newest(shown, "no longer recorded")


def test_an_agent_that_ends_says_so_first(enrolled, session):
    with session.desktop() as shown, session.notify():
        peers = begin(enrolled)  # noqa: F841, closed when forgotten
        newest(shown, "is being recorded")
        assert enrolled.stop() == 0
        newest(shown, "no longer recorded")


def test_nobody_else_says_what_it_shows(enrolled, session):
    """Signals that look like the agent's and the bus's, sent to the notifier alone; and one that is large."""
    def unique_names():
        return [line.split()[0] for line in enrolled.busctl("list", "--unique", "--no-legend").splitlines()]
    others = unique_names()
    with session.desktop() as shown:
        process, _ = session.notifier()
        try:
            peers = begin(enrolled)  # noqa: F841, closed when forgotten
            newest(shown, "is being recorded")
            forger = flood.Client(str(enrolled.dir / "bus"))
            targets = set(unique_names()) - set(others)
            text = flood.string
            for to in targets:
                forger.signal(flood.PATH, flood.INTERFACE, "RecordingStopped", to, "ss",
                              flood.pad(text(enrolled.status()["Recording"]), 4) + text("over"))
                forger.signal("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", to, "sss",
                              flood.pad(flood.pad(text(flood.NAME), 4) + text(":1.0"), 4) + text(""))
                forger.signal(flood.PATH, flood.PROPERTIES, "PropertiesChanged", to, "s", flood.LARGE_TEXT)
            assert len(targets) >= 2, "the notifier is among them"
            time.sleep(18)  # it says that the agent is lost after 15
            ours = [notice["summary"] for notice in shown() if notice.get("appname") == "StreamSight"]
            assert len(ours) == 1, ours
            assert process.running()
            enrolled.cli("stop")
            newest(shown, "no longer recorded")
        finally:
            process.stop()


def test_one_for_each_session(enrolled, session):
    with session.notify():
        second, log = session.notifier(ready=False)
        wait(lambda: not second.running(), "a second one ends")
        assert second.stop() == 0 and "has a notifier already" in log.read_text()


def test_it_ends_when_a_bus_does(enrolled, session):
    """systemd starts it again; without a bus it could tell nobody."""
    process, log = session.notifier()
    session.bus.stop()
    wait(lambda: not process.running(), "it ends")
    assert process.stop() != 0 and "A bus is gone" in log.read_text()


def test_it_ends_when_the_system_bus_does(enrolled, session):
    process, log = session.notifier()
    agent, enrolled._process = enrolled._process, None
    enrolled._bus.stop()
    agent.wait(20)
    wait(lambda: not process.running(), "it ends")
    assert process.stop() != 0 and "A bus is gone" in log.read_text()
