"""Other people's gateways, installed for comparison into bench/out/peers and kept there for the next run.

LiteLLM comes from PyPI into an environment of its own, Portkey from npm. Portkey's newest release answers moderations
with 500 next to the newest hono (its issue 1389), so two of its dependencies are pinned to older ones.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.processes import free_port, pin, started
from bench.targets import KEY, SEEN, Target

FOLDER = Path(__file__).resolve().parent / "out" / "peers"
LITELLM = "1.106.2"
PORTKEY = "1.15.2"
PORTKEY_PINS = {"@hono/node-server": "1.13.8", "hono": "4.6.20"}
_NO_PROXY = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

Say = Callable[[str], None]


class NotInstalled(Exception):
    """Why, on one line."""


@dataclass(frozen=True, slots=True)
class Peer:
    """`install` fills its folder or raises NotInstalled; `command` starts it on a port, before a vendor's port."""

    name: str
    about: str
    version: str
    install: Callable[[Path], None]
    command: Callable[[Path, int, int], list[str]]
    headers: Callable[[int], Mapping[str, str]]
    environment: Mapping[str, str]


def ready(say: Say) -> tuple[list[Peer], dict[str, str]]:
    """Those that are installed, and of the others why they are not."""
    found, missing = [], {}
    for peer in PEERS:
        try:
            _installed(peer, say)
            found.append(peer)
        except NotInstalled as why:
            missing[peer.name] = f"not installed: {why}"
    return found, missing


def _installed(peer: Peer, say: Say) -> None:
    folder, mark = FOLDER / peer.name, FOLDER / peer.name / "installed"
    wanted = f"{peer.version}\n"
    if mark.exists() and mark.read_text() == wanted:
        return
    say(f"Installing {peer.about} {peer.version} into {folder}: a few minutes, once …")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    peer.install(folder)
    mark.write_text(wanted)


@contextmanager
def running_peers(peers: list[Peer], folder: Path, vendor_port: int) -> Iterator[tuple[list[Target], dict[str, str]]]:
    """Those that listen, on the core of what is measured, and of the others why they do not."""
    with ExitStack() as stack:
        targets, missing = [], {}
        for peer in peers:
            port, log = free_port(), folder / f"{peer.name}.log"
            command = peer.command(folder, port, vendor_port)
            try:
                pid = stack.enter_context(started(command, port, log, {**_NO_PROXY, **peer.environment}))
            except (OSError, RuntimeError) as error:
                missing[peer.name] = f"does not start: {error}"
                continue
            pin(pid, SEEN)
            targets.append(Target(peer.name, f"{peer.about} {peer.version}", port, pid, peer.headers(vendor_port)))
        yield targets, missing


def _install_litellm(folder: Path) -> None:
    python = str(Path(sys.base_prefix) / "bin" / "python3")  # ours may be an environment without pip, as make makes it
    _run([python, "-m", "venv", "--without-pip", str(folder / ".venv")], folder)
    into = ["--python", str(folder / ".venv/bin/python"), "--disable-pip-version-check", "--quiet"]
    _run([python, "-m", "pip", *into, "install", f"litellm[proxy]=={LITELLM}"], folder)


def _litellm_command(folder: Path, port: int, vendor_port: int) -> list[str]:
    params = {
        "model": "openai/omni-moderation-latest",
        "api_base": f"http://127.0.0.1:{vendor_port}/v1",
        "api_key": "bench",
    }
    file = folder / "litellm.yaml"
    models = [{"model_name": "omni-moderation-latest", "litellm_params": params}]
    file.write_text(yaml.safe_dump({"model_list": models, "general_settings": {"master_key": KEY}}))
    bin = FOLDER / "litellm/.venv/bin"
    where = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    return [str(bin / "python"), str(bin / "litellm"), "--config", str(file), *where]


def _install_portkey(folder: Path) -> None:
    wanted = {"private": True, "dependencies": {"@portkey-ai/gateway": PORTKEY}, "overrides": PORTKEY_PINS}
    (folder / "package.json").write_text(json.dumps(wanted))
    _run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], folder)


def _portkey_command(folder: Path, port: int, vendor_port: int) -> list[str]:
    script = FOLDER / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
    return ["node", str(script), f"--port={port}", "--headless"]


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error
    if done.returncode:
        raise NotInstalled((done.stderr.strip().splitlines() or [f"{command[0]} failed"])[-1][:200])


def _bearer(_: int) -> dict[str, str]:
    return {"Authorization": f"Bearer {KEY}"}


def _through_portkey(vendor_port: int) -> dict[str, str]:
    host = f"http://127.0.0.1:{vendor_port}/v1"
    return {"Authorization": "Bearer bench", "x-portkey-provider": "openai", "x-portkey-custom-host": host}


PEERS = (
    Peer(
        "litellm",
        "LiteLLM proxy",
        LITELLM,
        _install_litellm,
        _litellm_command,
        _bearer,
        {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    ),
    Peer(
        "portkey",
        "Portkey gateway",
        PORTKEY,
        _install_portkey,
        _portkey_command,
        _through_portkey,
        {"NODE_ENV": "production"},
    ),
)
