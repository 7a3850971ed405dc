"""What holds for every test: no packet leaves this machine. Processes that a test starts are not watched.

Properties are tried on the same examples each time, so that what fails fails again;
HYPOTHESIS_PROFILE=explore tries new ones.
"""

import os
import socket
import sys
from ipaddress import ip_address

import pytest
import structlog
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


class LeftTheMachine(AssertionError):
    """A test tried to reach something that is not on this machine."""


def is_here(host) -> bool:
    """Whether a connect to this host stays on this machine. A name but localhost would be asked for elsewhere."""
    if host in (None, "", b"", "localhost", "0.0.0.0", "::"):
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except (ValueError, AttributeError):
        return False


def is_address(host) -> bool:
    try:
        return bool(ip_address(host.partition("%")[0]))
    except (ValueError, AttributeError):
        return False


@pytest.fixture(autouse=True)
def logs_end_with_the_test(monkeypatch):
    """A command that runs in this process sets up logs as if it had one of its own, for good."""
    configure = structlog.configure
    monkeypatch.setattr(structlog, "configure", lambda **how: configure(**{**how, "cache_logger_on_first_use": False}))
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch):
    """Refuse every way out, and fail the test that tried one even if the code under test swallowed the refusal."""
    strayed = []

    def refuse(where):
        strayed.append(where)
        raise LeftTheMachine(f"a test tried to reach {where}")

    def guarded(real):
        def connect(self, address):
            if self.family in (socket.AF_INET, socket.AF_INET6) and not is_here(address[0]):
                sys.audit("socket.connect", self, address)  # a test that watches for this may refuse it first
                refuse(address)
            return real(self, address)

        return connect

    resolve = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if isinstance(name, str) and name.rstrip(".").endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")  # RFC 6761 6.4, asking nobody
        if not is_here(name) and not is_address(name):
            refuse(name)
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    assert not strayed
