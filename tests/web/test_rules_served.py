"""Rules, overlays and effects through the front door, with the real local text model."""

import aiohttp
import pytest
import pytest_asyncio

from tests.gateway import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
auth:
  keys:
    - {name: app, key: k-app-1234567890, tenant: acme, roles: [submit]}
    - {name: zoo, key: k-zoo-1234567890, tenant: zoo, roles: [submit]}
providers: {local-text: {adapter: local_text}}
routes: {default: {text: {ask: [local-text]}}}
policies: {dir: ./rules, default: house}
"""
HOUSE = """policy: house
version: 2
lists: {terms: {file: lists/terms.txt}}
signals: {providers: [local-text], coverage: {harassment: {min_providers: 1}}}
thresholds: {harassment: {review: "-"}}
rules:
  - id: repeated
    action: block
    reason: REPEATED
    when: user.strikes_90d >= 3 && scores["harassment"] < 0.2
    effects: [tell_team]
    if_unknown: ignore
    because: visitors have no history
  - {id: contact, action: review, reason: CONTACT, when: 'ocr.terms.exists(t, t in lists.terms)', mode: shadow}
exempt:
  - {id: staff, from: [repeated], when: user.staff, because: they test it}
overlays:
  - {match: {tenant: zoo}, rules: {repeated: {action: review}}}
  - {match: {surface: stage}, disable: [repeated]}
messages: {REPEATED: {en: "Not now.", de: "Jetzt nicht."}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "rules" / "lists").mkdir(parents=True)
    (folder / "rules" / "lists" / "terms.txt").write_text("whatsapp\n")
    (folder / "rules" / "house.yaml").write_text(HOUSE)
    async with serving(CONFIG, folder) as url, aiohttp.ClientSession(url) as client:
        yield client


async def ask(client, context, key="k-app-1234567890"):
    headers = {"Authorization": f"Bearer {key}"}
    body = {"text": "A walk on the beach", "context": context}
    async with client.post("/v1/moderate", json=body, headers=headers) as response:
        assert response.status == 200
        answer = await response.json()
    async with client.get(f"/v1/decisions/{answer['id']}?explain=1", headers=headers) as response:
        assert response.status == 200
        return answer, await response.json()


STRIKES = {"user": {"strikes_90d": 3}}


async def test_what_the_caller_says_of_the_author_counts(gateway):
    answer, evidence = await ask(gateway, {**STRIKES, "locale": "de-AT", "ocr": {"terms": ["whatsapp"]}})
    assert (answer["action"], answer["effects"]) == ("block", ["tell_team"])
    [reason] = answer["reasons"]
    assert (reason["code"], reason["rule"], reason["message"]) == ("REPEATED", "rules.repeated", "Jetzt nicht.")
    assert evidence["shadow_rules"] == ["contact"]
    [contribution] = evidence["explain"]["contributions"]
    assert contribution["at"] == "house.yaml:10:11"
    assert contribution["because"][0]["values"] == [{"field": "user.strikes_90d", "value": 3}]


async def test_what_was_lifted_stands_in_the_evidence(gateway):
    answer, evidence = await ask(gateway, {"user": {"strikes_90d": 3, "staff": True}})
    assert answer["action"] == "allow"
    assert evidence["exempted"] == ["staff: rules.repeated"]
    assert evidence["explain"]["exempted"][0]["because"] == "they test it"


async def test_a_tenant_and_a_surface_come_under_their_overlays(gateway):
    plain, _ = await ask(gateway, STRIKES)
    zoo, told = await ask(gateway, STRIKES, "k-zoo-1234567890")
    stage, _ = await ask(gateway, {**STRIKES, "surface": "stage"})
    assert [answer["action"] for answer in (plain, zoo, stage)] == ["block", "review", "allow"]
    assert [answer["policy"]["overlays"] for answer in (plain, zoo, stage)] == [[], ["tenant=zoo"], ["surface=stage"]]
    assert len({answer["policy"]["resolved"] for answer in (plain, zoo, stage)}) == 3
    assert len({answer["policy"]["hash"] for answer in (plain, zoo, stage)}) == 1
    assert told["explain"]["policy"]["overlays"] == ["tenant=zoo"]


async def test_unknown_gives_way_where_the_policy_says_why(gateway):
    answer, evidence = await ask(gateway, {})
    assert (answer["action"], answer["reasons"]) == ("allow", [])
    assert evidence["explain"]["unknown"] == ["rules.repeated"]
