"""apid as a black box: a company of its own for each module, in the services' one apid."""

import pytest

from .client import Api, Device


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
