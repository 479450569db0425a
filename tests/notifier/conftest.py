import pytest

from brokerd.conftest import agent, code, enrolled  # noqa: F401, fixtures

from .session import Session


@pytest.fixture
def session(build, enrolled):  # noqa: F811
    """The session of somebody at the screen of the enrolled agent's machine; nothing runs in it yet."""
    with Session(build, enrolled.bus_address) as made:
        yield made
