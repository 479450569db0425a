import subprocess

import pytest

from .agent import Agent


@pytest.fixture(scope="session")
def nowhere(tmp_path_factory):
    """A certificate to trust where no server will be spoken to."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=test", "-keyout", "/dev/null", "-out", path], check=True, capture_output=True)
    return path


@pytest.fixture
def lone(build, nowhere):
    """An agent whose control plane cannot be reached; not started."""
    with Agent(build, url="https://127.0.0.1:1", ca=nowhere) as agent:
        yield agent


@pytest.fixture
def agent(build, stack):
    """An agent of the stack's control plane and bucket, not enrolled; not started."""
    with Agent(build, url=stack.gateway.url, ca=stack.ca.cert_file,
               hosts=f"{stack.s3.host}:{stack.s3.https_port}") as made:
        yield made


@pytest.fixture
def code(stack):
    return lambda company=None: stack.apid.enrolment_code(company or stack.company_id)


@pytest.fixture
def company(stack):
    """A company of this test's own with the stack's bucket, whose policy it may change."""
    made = stack.apid.create_company("Example Corp")
    stack.apid.set_bucket(made, stack.s3)
    return made


@pytest.fixture
def enrolled(agent, code):
    """Running and enrolled; the policy says automatic, but there is no uploadd yet."""
    agent.run()
    agent.enrol(code())
    return agent
