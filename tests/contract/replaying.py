"""Every adapter with its cases and its table, and ways to ask it."""

from contextlib import asynccontextmanager

import yaml

from gateway import paths, registry
from gateway.adapter import VendorAdapter
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.question import Provider, Question, put
from gateway.dispatch.transport import HttpTransport
from gateway.mapping import VendorTable
from gateway.taxonomy import Taxonomy
from tests.contract.replay import FIXTURES, cases

CASES = cases()
VENDORS = [name for name in registry.names() if issubclass(registry.adapter_class(name), VendorAdapter)]
TAXONOMY = Taxonomy.from_file(paths.TAXONOMY)
SETTINGS = {name: yaml.safe_load((FIXTURES / name / "settings.yaml").read_text()) for name in VENDORS}
OWN = {name: FIXTURES / name / written["table"] for name, written in SETTINGS.items() if "table" in written}
TABLE_FILES = {name: paths.VENDORS / f"{name}.yaml" for name in VENDORS} | OWN
TABLES = {name: VendorTable.from_file(file, TAXONOMY) for name, file in TABLE_FILES.items()}
FILES = {name: yaml.safe_load(file.read_text()) for name, file in TABLE_FILES.items()}


def adapter_for(case, server):
    """The adapter of the case, pointed at the replaying server."""
    written = {
        name: value if isinstance(value, dict | list) else str(value).replace("{server}", server)
        for name, value in SETTINGS[case.vendor].items()
    }
    written |= {"adapter": case.vendor, "retry": {"attempts": 1}} | case.settings
    folder = {"folder": FIXTURES / case.vendor}
    return registry.make(registry.settings_for(case.vendor).model_validate(written, context=folder))


@asynccontextmanager
async def transport():
    opened = HttpTransport()
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


async def ask(case, server):
    """As `ask_through`, over a socket."""
    async with transport() as send:
        return await ask_through(send, case, server)


async def ask_through(send, case, server="http://vendor.invalid"):
    """What came of it, and what the adapter made of the answer before the table did (None where it made nothing)."""
    looks = [None]

    def translate(look, provider, inputs):
        looks.append(look)
        return TABLES[case.vendor].translate(look, provider, inputs)

    where = {part.modality: index for index, part in enumerate(case.asked.inputs)}
    provider = Provider(case.vendor, adapter_for(case, server), translate, {}, send)
    return await put(Question(case.asked, where), provider, Deadline.after(5.0)), looks[-1]
