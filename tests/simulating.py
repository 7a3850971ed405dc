"""The simulated vendors in this process, on a free port of loopback: `async with simulator() as vendors`."""

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import aiohttp
import PIL.Image
import yaml

from adapters.simulator.script import understand
from adapters.simulator.server import running
from gateway.yamlfile import loads

PAGE = Path(__file__).parents[1] / "docs/simulator.md"
SHOWN = "http://127.0.0.1:8090"  # where the page has it listen


@dataclass(frozen=True)
class Rehearsal:
    """`url` is the root, at which most vendors answer; below `url`/<vendor> each does."""

    url: str
    client: aiohttp.ClientSession

    async def fails(self, *faults, seed=0):
        """These faults instead of those that stood."""
        await self.control("PUT", "faults", {"faults": list(faults), "seed": seed})

    async def knows(self, **images):
        """What is true of pictures, by SHA-256."""
        await self.control("PUT", "images", {"images": images})

    async def reaches(self, places):
        """Addresses that begin so are fetched there."""
        await self.control("PUT", "reaches", {"reaches": places})

    async def calls(self, vendor=None):
        """Of one vendor how often it was asked, and the last calls; of all, the counts by vendor."""
        said = await self.control("GET", f"calls?vendor={vendor}" if vendor else "calls")
        return (said["vendors"][vendor]["calls"], said["last"]) if vendor else said["vendors"]

    async def control(self, method, what, body=None, status=200):
        async with self.client.request(method, f"/_simulator/{what}", json=body) as response:
            said = await response.json()
            assert response.status == status, said
            return said


@asynccontextmanager
async def simulator(script=""):
    """Every vendor, with this script (YAML)."""
    script = understand(loads(script or "{}", file="script.yaml", env=None))
    async with running(script) as (_, url), aiohttp.ClientSession(url) as client:
        yield Rehearsal(url, client)


def gateway_yaml(url):
    """The configuration that docs/simulator.md shows, asking these vendors with patience for a busy machine."""
    [shown] = re.findall(r"```yaml\n(server: .*?)```", PAGE.read_text(), re.S)
    config = yaml.safe_load(shown.replace(SHOWN, url).replace("port: 8080", "port: 0"))
    for provider in config["providers"].values():
        provider["timeout"] = "20s"
    for leg in config["routes"]["default"].values():
        leg["deadline"] = "30s"
    return yaml.safe_dump(config)


def photo(colour="olive", kind="png", size=(128, 96)):
    """A small picture's bytes."""
    held = BytesIO()
    PIL.Image.new("RGB", size, colour).save(held, kind)
    return held.getvalue()


def digest(data):
    """The name of a picture in a script."""
    return sha256(data).hexdigest()
