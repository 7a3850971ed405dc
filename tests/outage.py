"""Two vendors, of which the first is down, and gateways without their web before them: what is owed then."""

import asyncio
import re
from contextlib import asynccontextmanager

from sqlalchemy import select

from gateway import registry
from gateway.config import load_config
from gateway.domain import Content, Text
from gateway.moderation import Submission
from gateway.service import open_service
from gateway.witness import Witness
from tests.contract.replay import listening
from tests.gateway import LABELS, judgement, response
from tests.waiting import until

POLICY = """
policy: plain
version: 1
taxonomy: "1"
locale: en
thresholds:
  violence: {review: 0.5, block: 0.9}
"""
CONFIG = """
debt: {{{debt}}}
providers:
  judge: {{adapter: openai, base_url: "{judge}/v1", api_key: k, retry: {{attempts: 1}}, timeout: 30s, {more}}}
  second: {{adapter: openai, base_url: "{second}/v1", api_key: k, retry: {{attempts: 1}}}}
routes: {{default: {{text: {{ask: [judge], fallback: [second]}}, image: {{ask: [judge], fallback: [second]}}}}}}
policies: {{dir: ./policies, default: plain}}
"""
AT_ONCE = "after: 1ms"  # a debt is due
QUICK = "max_concurrency: 10, circuit: {failures: 2, open_for: 100ms, open_most: 100ms}"  # paid one at a time


class Vendor:
    """Says of a text what stands in it: `judge=0.95` is how violent the vendor of that name finds it.

    One that is `behind` another answers a call once the other, while it is down, has refused as many.
    """

    def __init__(self, name):
        self.name, self.down, self.heard = name, False, []
        self.refused, self.behind = 0, None

    async def __call__(self, heard, writer):
        if self.down:
            writer.write(response({}, "500 Internal Server Error"))
            self.refused += 1
            return
        if self.behind and self.behind.down:
            await until(lambda: self.behind.refused > len(self.heard))
            await asyncio.sleep(0.05)  # until that has been read
        given = heard.json["input"]
        text = given if isinstance(given, str) else " ".join(part.get("text", "") for part in given)
        self.heard.append(text)
        said = judgement(heard)
        found = re.search(rf"{self.name}=([\d.]+)", text)
        said["results"][0]["category_scores"] = {
            **dict.fromkeys(LABELS, 0.001),
            "violence": float(found[1]) if found else 0.001,
        }
        writer.write(response(said))


class Heard(Witness):
    def __init__(self):
        self.payments, self.lost, self.counts = [], [], []

    def paid(self, record, was, now):
        self.payments.append((record.id, was.value, now.value))

    def debt_lost(self, reason, many=1):
        self.lost.append((reason, many))

    def owing(self, count, oldest):
        self.counts.append(count)


@asynccontextmanager
async def outage(folder, *, debt=AT_ONCE, more=QUICK):
    """Two vendors, the first of them down, and a way to open gateways on the same folder."""
    judge, second = Vendor("judge"), Vendor("second")
    judge.down = True
    (folder / "policies").mkdir()
    (folder / "policies" / "plain.yaml").write_text(POLICY)
    async with listening(judge) as first, listening(second) as other:
        (folder / "gateway.yaml").write_text(CONFIG.format(judge=first.url, second=other.url, debt=debt, more=more))

        def opened(witness=None):
            config = load_config(folder / "gateway.yaml", {}, registry.settings_for, registry.names())
            return open_service(config, witness)

        yield judge, second, opened


async def moderated(service, *texts):
    """The ids and actions of decisions on these texts, one after the other."""
    records = [await service.moderator.moderate(Submission(Content((Text(text),)), tenant="acme")) for text in texts]
    return [(decided.id, decided.action.value) for decided in records]


async def paid_off(service):
    """Rounds until nothing is owed."""
    await service.payer.round()
    while service.debts.tally.count:
        await asyncio.sleep(0.02)  # for a breaker to let somebody through
        await service.payer.round()


async def rows(service, table):
    async with service.database.reader.connect() as connection:
        return (await connection.execute(select(table))).all()
