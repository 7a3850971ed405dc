"""Memory of a gateway by itself, without local models: after texts, and under a hundred uploads at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from bench.load import closed_loop
from bench.pictures import as_form
from bench.processes import cpu_seconds, memory_mb, peak, process_mb, tree
from bench.rounds import CONNECTIONS, asked, run
from bench.targets import Target, modgate

UPLOADS = 100


def measured(folder: Path, vendor: Target, seconds: float, uploads: int = UPLOADS) -> dict[str, Any]:
    """MB: of the largest process after texts, of all, and of all at the most while the uploads come in.

    `start_cpu_s` is CPU seconds from the start until it listens.
    """
    with modgate(folder, vendor.port, wait="60s") as target:  # so that all uploads have their turn
        start_cpu = cpu_seconds(target.pid)
        run(closed_loop(target.port, asked(target), CONNECTIONS, seconds))
        largest, together = max(map(process_mb, tree(target.pid))), memory_mb(target.pid)
        with peak(lambda: memory_mb(target.pid)) as uploads_most:
            answers = uvloop.run(_all_at_once(target, uploads))
    return {
        "start_cpu_s": start_cpu,
        "largest_mb": largest,
        "together_mb": together,
        "uploads": uploads,
        "uploads_peak_mb": uploads_most.most,
        "uploads_decided": answers[200],
        "uploads_answers": {str(status): many for status, many in sorted(answers.items())},
    }


async def _all_at_once(target: Target, uploads: int) -> Counter[int]:
    """How many were answered how; 0 where the connection broke off."""
    forms = [as_form() for _ in range(uploads)]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{target.port}", connector=connector) as client:

        async def upload(body: bytes, kind: str) -> int:
            headers = {**target.headers, "Content-Type": kind}
            try:
                async with client.post("/v1/moderate", data=body, headers=headers) as answer:
                    await answer.read()
                    return answer.status
            except aiohttp.ClientError:
                return 0

        return Counter(await asyncio.gather(*(upload(*form) for form in forms)))
