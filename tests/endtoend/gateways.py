"""A gateway with one simulated vendor behind it, or one local model, and its own answers to compare with."""

from base64 import b64encode
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import yaml

from tests.gateway import serving
from tests.simulating import Rehearsal, gateway_yaml

KEY = "an-apps-key"
PUBLIC = "https://modgate.example"  # how docs/simulator.md calls the gateway
LOCAL = {"local-text": "text", "local-image": "image"}
AUTH = {"keys": [{"name": "app", "key": KEY, "roles": ["submit"]}]}


@dataclass
class Gateway:
    """`name` is the provider behind it and `adapter` its kind, `takes` what it may be asked about."""

    name: str
    adapter: str
    takes: set[str]
    url: str
    vendors: Rehearsal
    client: aiohttp.ClientSession

    @property
    def local(self):
        return self.name in LOCAL

    async def native(self, text=None, picture=None):
        """The evidence of our own endpoint on this content."""
        body = {"text": text} if text is not None else {"images": [{"data": data_uri(picture)}]}
        async with self.client.post("/v1/moderate", json=body) as response:
            answer = await response.json()
            assert response.status == 200, answer
        async with self.client.get(f"/v1/decisions/{answer['id']}") as response:
            return await response.json()


def data_uri(picture):
    return f"data:image/png;base64,{b64encode(picture).decode()}"


def documented(url):
    """The configuration of docs/simulator.md, each provider asked once: a test of failures waits for no second try."""
    config = yaml.safe_load(gateway_yaml(url))
    for provider in config["providers"].values():
        provider |= {"retry": {"attempts": 1}, "circuit": {"enabled": False}}
    config["providers"] |= {name: {"adapter": name.replace("-", "_")} for name in LOCAL}
    return config


def providers():
    """Every provider there is by name, and what each takes."""
    legs = documented("http://x")["routes"]["default"]
    names = dict.fromkeys(name for leg in legs.values() for name in leg["ask"])
    simulated = {name: {kind for kind, leg in legs.items() if name in leg["ask"]} for name in names}
    return simulated | {name: {kind} for name, kind in LOCAL.items()}


@asynccontextmanager
async def only(name, vendors, folder):
    """A gateway that asks this provider and nobody else."""
    config = documented(vendors.url)
    takes = providers()[name]
    leg = {"ask": [name], "deadline": "30s"}
    config |= {
        "auth": AUTH,
        "providers": {name: config["providers"][name]},
        "routes": {"default": dict.fromkeys(sorted(takes), leg)},
    }
    async with (
        serving(yaml.safe_dump(config), folder) as url,
        aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {KEY}"}) as client,
    ):
        await vendors.reaches({PUBLIC: url})
        yield Gateway(name, config["providers"][name]["adapter"], takes, url, vendors, client)
