"""A real Redis of a test's own, on a free port of loopback, that can be hung, killed and started again.

`async with redis_server() as redis`. It asks for a password, which should be found in nothing that is told.
"""

import asyncio
import shutil
import signal
import socket
import subprocess
from contextlib import asynccontextmanager, suppress
from tempfile import TemporaryDirectory

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.replicas import line

PASSWORD = "sk-canary-r3dis"
ABSENT = "there is no redis-server on this machine: make servers installs it (Debian: apt-get install redis-server)"


class Server:
    """`client` is a client of the test's own."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self.client = Redis.from_url(self.url)
        self._folder = folder
        self._process = None

    async def start(self):
        """It keeps nothing: what comes back is empty."""
        program = shutil.which("redis-server")
        assert program, ABSENT
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self._folder, "save": "", "appendonly": "no"}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        command = [program, *words, "--requirepass", PASSWORD]
        self._process = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.DEVNULL)
        while True:
            assert self._process.poll() is None, "redis-server ended at once"
            with suppress(RedisError, OSError):
                await self.client.ping()
                return
            await asyncio.sleep(0.01)

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self):
        """It takes connections, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@asynccontextmanager
async def redis_server(*, started=True):
    with TemporaryDirectory(prefix="redis-") as folder:
        server = Server(folder)
        try:
            if started:
                await server.start()
            yield server
        finally:
            server.kill()
            await server.client.aclose()


async def soon(holds):
    """Wait until this holds; the test's own timeout is the end of it."""
    while not holds():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.01)


def patient(monkeypatch):
    """On a machine that is busy with other tests Redis is slow, and not hung."""
    monkeypatch.setattr(line, "PATIENCE", 20.0)
