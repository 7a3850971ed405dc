"""A gateway in this process that asks vendors on loopback, which answer as a test has them do: over real sockets."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic

import aiohttp

from tests.contract.replay import listening
from tests.faults.stage import DEADLINE, PATIENT
from tests.gateway import judgement, response, serving

TEXT = "I will kill them all"  # the vendor that works finds violence in it, so a clean answer is never right
BOTH = f"text: {{ask: [a], deadline: {DEADLINE}s}}, image: {{ask: [a], deadline: {DEADLINE}s}}"


async def hangs(heard, writer):
    await asyncio.sleep(60)


def refuses(status, **headers):
    error = {"message": "no", "type": "some_error", "param": None, "code": None}
    return response({"error": error}, status, **headers)


def first(said):
    """A vendor that says this to the first request, and works from then on."""
    left = [said]

    async def says(heard, writer):
        writer.write(left.pop() if left else response(judgement(heard)))

    return says


def provider(name, address, patience=PATIENT, more=""):
    """Never left out for having failed before: each test here is to see the fault itself."""
    asked = ", ".join(filter(None, (patience, more, "circuit: {enabled: false}")))
    return f'  "{name}": {{adapter: openai, base_url: "{address}", api_key: "${{KEY}}", {asked}}}'


class Client:
    """Talks to the gateway under test. `vendors` are what its providers reach, by the name of the provider."""

    def __init__(self, session, vendors):
        self._session = session
        self.vendors = vendors

    def heard(self, name):
        return self.vendors[name].heard

    async def post(self, path, **body):
        """The status, the JSON, and how many seconds it took."""
        started = monotonic()
        async with self._session.post(path, json=body) as answer:
            return answer.status, await answer.json(), monotonic() - started

    async def moderate(self, **body):
        status, told, _ = await self.post("/v1/moderate", **body)
        assert status == 200, told
        return told

    async def text(self, path):
        async with self._session.get(path) as answer:
            return await answer.text()


@asynccontextmanager
async def asking(folder, legs, more="", patience=PATIENT, key="test-key", **vendors):
    """A gateway with a provider for each vendor, of the same name, and one route."""
    async with AsyncExitStack() as stack:
        listeners = {name: await stack.enter_async_context(listening(says)) for name, says in vendors.items()}
        lines = [provider(name, f"{listener.url}/v1", patience, more) for name, listener in listeners.items()]
        text = "\n".join(["providers:", *lines, f"routes: {{default: {{{legs}}}}}"])
        url = await stack.enter_async_context(serving(text, folder, KEY=key))
        yield Client(await stack.enter_async_context(aiohttp.ClientSession(url)), listeners)
