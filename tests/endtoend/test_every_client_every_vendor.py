"""Every client with every vendor behind: its own words and scale, its own exceptions, and never a clean error.

What each client should be told is worked out from the tables (see tables.py) for every pair; a few are written by hand.
"""

from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from adapters.simulator.truth import BY_COLOUR
from tests.endtoend import tables
from tests.endtoend.clients import CLIENTS, Boto3
from tests.endtoend.gateways import LOCAL, only, providers
from tests.simulating import photo, simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What is true, by the words of a text and the colour of a picture: a category of ours, and how sure of it
MARKED = {
    **{"violence": 0.82, "sexual": 0.97, "self_harm": 0.71, "hate": 0.6, "harassment/threatening": 0.93},
    "spam": 0.9,
}
COLOURED = {
    "red": "violence",
    "magenta": "sexual/nudity",
    "black": "self_harm",
    "blue": "hate/symbols",
    "lime": "drugs",
}
QUIET = {"text": "A walk on the beach", "image": "olive"}
PLAIN = {"text": ["I will find out where you live and beat you to death.", QUIET["text"]], "image": ["red", "olive"]}
ROUGHLY = {"claude": 0.05, "sightengine": 0.1}  # one writes tenths, the other's rules say low, medium or high

SIMULATED = [name for name in providers() if name not in LOCAL]
everyone = pytest.mark.parametrize("behind", [*SIMULATED, *LOCAL], indirect=True)
everyone_simulated = pytest.mark.parametrize("behind", SIMULATED, indirect=True)
everyone_with_eyes = pytest.mark.parametrize(
    "behind", [name for name in SIMULATED if "image" in providers()[name]], indirect=True
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendors():
    async with simulator() as vendors:
        yield vendors


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def behind(request, vendors, tmp_path_factory):
    """A gateway with this one behind it, and a client of each kind that it can answer."""
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(only(request.param, vendors, tmp_path_factory.mktemp("gateway")))
        able = {name: kind for name, kind in CLIENTS.items() if kind.takes & gateway.takes}
        gateway.clients = {name: await stack.enter_async_context(kind(gateway.url)) for name, kind in able.items()}
        yield gateway


def given(kind, what):
    """A text, or a picture of this colour, as clients are asked for it."""
    return {"text": what} if kind == "text" else {"picture": photo(what)}


def contents(gateway, kind):
    """Name → what is asked: of a local model what is plain to see, of others what the simulator knows."""
    if gateway.local:
        return {what: given(kind, what) for what in PLAIN[kind]}
    if kind == "text":
        marked = {category: f"[[{category}={share}]]" for category, share in MARKED.items()}
        return {name: given(kind, text) for name, text in {**marked, "nothing": QUIET["text"]}.items()}
    return {colour: given(kind, colour) for colour in (*COLOURED, QUIET["image"])}


async def outcome(client, content):
    """What the client was told, or the code of its own exception."""
    try:
        return await client.ask(**content)
    except client.trouble as raised:
        return client.code(raised)


def differences(client, kind, told, evidence):
    """Where the client was told something else than the tables say it should be."""
    expected, gaps = tables.expected(client.words(kind), evidence), tables.gaps(evidence)
    if gaps and client.silent(expected, gaps):
        return [] if told == client.busy else [f"a gap is told as {told}"]
    if isinstance(told, str):
        return [f"refused: {told}"]
    wrong = [] if told.action == evidence["action"] else [f"the action is {told.action}"]
    if told.unseen != expected.unseen:
        wrong.append(f"not assessed: {sorted(told.unseen)}, not {sorted(expected.unseen)}")
    quiet = client.scale(tables.AS_GOOD_AS_NOTHING, kind)
    for label in client.words(kind).parents:
        said, due = told.scores.get(label), client.scale(expected.told.get(label, 0), kind)
        if label in expected.unseen and label not in expected.alarms:
            wrong += [] if said is None else [f"{label}: {said} of what nobody looked at"]
        elif not due:
            wrong += [] if (said or 0) <= quiet else [f"{label}: {said} of nothing"]
        elif said != pytest.approx(due):
            wrong.append(f"{label}: {said}, not {due}")
    return wrong


@everyone
async def test_each_client_is_told_in_its_own_words_and_on_its_own_scale(behind):
    wrong = {}
    for kind in sorted(behind.takes):
        for title, content in contents(behind, kind).items():
            evidence = await behind.native(**content)
            for name, client in behind.clients.items():
                if kind in client.takes:
                    told = await outcome(client, content)
                    wrong[name, title] = differences(client, kind, told, evidence)
    assert {pair: found for pair, found in wrong.items() if found} == {}


def told_nearest(gateway, kind, category):
    """The nearest category, itself or above it, that this vendor has a word for in a text or an image."""
    labels = tables.seen_in(gateway.adapter, kind)
    named = {slug for label in labels for slug in tables.means(gateway.adapter, label)[0]}
    return next((slug for slug in tables.kin(category) if slug in named), None)


@everyone_simulated
async def test_what_is_true_is_what_is_decided_on(behind):
    """By each vendor's table: the score on its own scale, of the nearest category it has a word for."""
    truths = {"text": MARKED, "image": {slug: BY_COLOUR[colour][slug] for colour, slug in COLOURED.items()}}
    said, due = {}, {}
    for kind in behind.takes:
        for content, (category, share) in zip(contents(behind, kind).values(), truths[kind].items(), strict=False):
            if nearest := told_nearest(behind, kind, category):
                verdict = (await behind.native(**content))["categories"][nearest]
                said[kind, category] = verdict["score"]
                due[kind, category] = tables.on_scale(behind.adapter, share, kind)
    assert len(due) >= 2
    assert said == pytest.approx(due, abs=ROUGHLY.get(behind.name, 1e-4))


# Behind whom, which client, about what: some of what it is told, and some of what it is told nobody looked at
ANCHORS = {
    "openai": ("Azure", "[[violence=0.82]]", {"Violence": 5, "Hate": 0, "Sexual": 0, "SelfHarm": 0}, set()),
    "evolink": ("Sieve", "black", {"self_harm": 0.94}, {"hate_symbols", "drugs"}),
    "azure": ("OpenAI", "[[sexual=0.97]]", {"sexual": 0.95}, {"sexual/minors", "harassment", "illicit"}),
    "aws": ("AzureAio", "magenta", {"Sexual": 6, "Violence": 0}, set()),
    "pixicular": ("Boto3", "magenta", {"Explicit": 96, "Explicit Nudity": 96}, {"Hate Symbols", "Gambling"}),
    "sieve": ("Pixicular", "lime", {"Drug Use": 0.9, "Violence": 0}, set()),
    "sightengine": ("Boto3", "lime", {"Drugs & Tobacco": 90}, set()),
    "google": ("Boto3", "red", {"Violence": 95}, {"Drugs & Tobacco", "Hate Symbols"}),
    "mistral": ("Azure", "[[self_harm=0.71]]", {"SelfHarm": 4, "Violence": 0}, set()),
    "guard": ("AzureAio", "[[hate=0.6]]", {"Hate": 3}, {"Sexual", "SelfHarm", "Violence"}),
    "claude": ("OpenAI", "[[harassment/threatening=0.93]]", {"harassment": 0.9}, {"hate/threatening"}),
    "local-text": ("Sieve", PLAIN["text"][0], {"violence": 0.97}, {"spam", "threat"}),
    "local-image": ("Azure", "olive", {"Sexual": 0}, {"Hate", "SelfHarm", "Violence"}),
}


@everyone
async def test_by_hand(behind):
    name, what, told, unseen = ANCHORS[behind.name]
    kind = "image" if what in (*COLOURED, QUIET["image"]) else "text"
    answer = await behind.clients[name].ask(**given(kind, what))
    assert {label: answer.scores[label] for label in told} == pytest.approx(told, abs=0.01)
    assert unseen <= answer.unseen


@everyone_with_eyes
async def test_things_are_named_where_somebody_names_them(behind):
    """Else an empty list would say that there is nothing in the picture."""
    client = behind.clients["Boto3"]
    if behind.name in ("aws", "pixicular"):
        assert (await client.things(photo("yellow")))["Weapon"] == pytest.approx(90)
        return
    with pytest.raises(client.trouble) as raised:
        await client.things(photo("yellow"))
    assert Boto3.code(raised.value) == Boto3.busy


TROUBLES = [
    {"error": "server_error"},
    {"error": "refused_key"},
    {"error": "quota"},
    {"instead": "object"},
    {"instead": "html"},
    {"reset": "mid_body"},
    {"error": "throttled"},  # last: one that says when to come again is left alone until then
]


@everyone_simulated
async def test_trouble_is_each_clients_own_exception_and_never_a_clean_result(behind):
    """Sieve's has a word for review, so it is told that."""
    wrong = {}
    for number, trouble in enumerate(TROUBLES):
        await behind.vendors.fails(trouble)
        for kind in sorted(behind.takes):
            content = given(kind, f"nobody has asked this before, {number}" if kind == "text" else (9, 99, number))
            for name, client in behind.clients.items():
                if kind in client.takes:
                    told = await outcome(client, content)
                    if not is_trouble(name, client, told):
                        wrong[name, kind, *trouble.values()] = told
    await behind.vendors.fails()
    assert wrong == {}


def is_trouble(name, client, told):
    if name != "Sieve":
        return told == client.busy
    said = told.body
    return (said["action"], said["flagged"], told.scores) == ("flag", True, {}) and told.action == "review"
