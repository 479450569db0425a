"""apid as a black box: a company of its own for each module, in the services' one apid."""

import pytest

from services.process import Process, free_port

from .client import Api, Device, Status


@pytest.fixture(scope="session")
def apid(stack):
    return stack.apid


@pytest.fixture(scope="session")
def api(apid):
    return Api(apid)


@pytest.fixture(scope="session")
def sql(stack):
    """Runs SQL as the database's superuser, above row-level security."""
    return lambda text: stack.postgres.sql(text, "streamsight")


@pytest.fixture(scope="module")
def company(stack):
    """A company with the S3 server's bucket."""
    company = stack.apid.create_company("Example Corp")
    stack.apid.set_bucket(company, stack.s3)
    return company


@pytest.fixture(scope="module")
def other_company(stack):
    company = stack.apid.create_company("Other Corp")
    stack.apid.set_bucket(company, stack.s3)
    return company


@pytest.fixture
def new_device(apid, api, company):
    """Enrols a device of the company, or of another, and logs it in."""
    return lambda of=None, **arguments: Device(api, **arguments).enroll(apid.enrolment_code(of or company)).log_in()


@pytest.fixture
def device(new_device):
    return new_device()


@pytest.fixture(scope="module")
def viewer(apid, company):
    return apid.viewer_token(company)


@pytest.fixture
def second(apid, tmp_path):
    """Starts one more apid on the same database, which tests may stop; returns (Process, Api). changes: pairs of texts, to
    replace in its configuration."""
    started = []

    def start(listen=None, *changes):
        class Second:
            port = free_port()
            public_url = apid.public_url
        text = apid.config_file.read_text().replace(f"Listen=127.0.0.1:{apid.port}",
                                                    f"Listen={listen or f'127.0.0.1:{Second.port}'}")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        config = tmp_path / f"apid{len(started)}.conf"
        config.write_text(text)
        process = Process("apid", [apid.program, "--config", config], log=tmp_path / "apid.log")
        started.append(process)
        if not listen:
            process.wait_for_port(Second.port)
        return process, Api(Second)

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def observed(second):
    """Starts a second() whose state can be asked for: (Process, Api, Status)."""
    def start(*changes):
        port = free_port()
        process, api = second(None, ("Workers=4\n", f"Workers=4\nStatusListen=127.0.0.1:{port}\n"), *changes)
        return process, api, Status(port)
    return start
