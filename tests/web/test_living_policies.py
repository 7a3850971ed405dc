"""Policies changed under a gateway that serves: broken, mended, tried beside, tried on some, and explained later."""

import re
from contextlib import asynccontextmanager

import aiohttp
import pytest

from gateway.policy import book
from tests.contract.replay import listening
from tests.gateway import judges, serving
from tests.unit.test_policy_book import save
from tests.waiting import until

CONFIG = """
auth:
  keys:
    - {{name: app, key: "${{APP_KEY}}", roles: [submit]}}
    - {{name: eye, key: "${{EYE_KEY}}", roles: [review]}}
providers: {{vendor: {{adapter: openai, base_url: "{url}/v1", api_key: sk-1}}}}
routes: {{default: {{text: {{ask: [vendor]}}}}}}
policies: {{dir: ./policies, default: social}}
"""
KEYS = {"APP_KEY": "an-apps-key", "EYE_KEY": "a-reviewers-key"}
POLICY = "policy: social\nversion: {version}\nthresholds: {{violence: {{{over}: 0.9}}}}\n"
TESTS = "cases: [{name: violence, given: {scores: {one: {violence: 0.95}}}, expect: {action: %s}}]\n"
VIOLENT = "kill"  # scores 0.97


class Living:
    """A gateway whose policies change."""

    def __init__(self, client, folder):
        self.client, self.folder = client, folder

    def write(self, version, over, rollout="", name="social"):
        save(self.folder / f"{name}.yaml", POLICY.format(version=version, over=over) + rollout)

    def expect(self, action):
        save(self.folder / "social.test.yaml", TESTS % action)

    async def get(self, path, key="EYE_KEY"):
        async with self.client.get(path, headers={"X-API-Key": KEYS[key]}) as response:
            return response.status, await response.json()

    async def moderate(self, user=None, text=VIOLENT):
        body = {"text": text, "context": {"user_id": user} if user else {}}
        async with self.client.post("/v1/moderate", json=body, headers={"X-API-Key": KEYS["APP_KEY"]}) as response:
            assert response.status == 200
            return await response.json()

    async def loaded(self):
        """Versions as they stand now: version → role, and whether it was halted."""
        _, told = await self.get("/v1/policies")
        return {each["version"]: each["halted"] or each["role"] for each in told["policies"]}

    async def stands(self, **versions):
        wanted = {int(name.removeprefix("v")): role for name, role in versions.items()}

        async def so():
            return await self.loaded() == wanted

        await until(so)

    async def problem(self):
        """What is wrong with the policy, as /readyz has it, once something is."""

        async def told():
            status, body = await self.get("/readyz")
            assert status == 200  # the last good version goes on
            return body["checks"]["policies"]["problems"].get("social.yaml")

        return await until(told)

    async def metric(self, name, **labels):
        async with self.client.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            float(line.split()[-1])
            for line in lines
            if re.match(rf"{name}_total[{{ ]", line) and all(each in line for each in wanted)
        )


@asynccontextmanager
async def living(folder, monkeypatch):
    monkeypatch.setattr(book, "LOOK_EVERY", 0.02)
    (folder / "policies").mkdir()
    save(folder / "policies" / "social.yaml", POLICY.format(version=1, over="review"))
    async with (
        listening(judges) as vendor,
        serving(CONFIG.format(url=vendor.url), folder, **KEYS) as url,
        aiohttp.ClientSession(url) as client,
    ):
        yield Living(client, folder / "policies")


@pytest.fixture
async def gateway(tmp_path, monkeypatch):
    async with living(tmp_path, monkeypatch) as gateway:
        yield gateway


async def test_a_policy_is_changed_broken_and_mended(gateway):
    first = await gateway.moderate()
    assert first["action"] == "review"
    gateway.expect("block")
    assert "expected block, got review" in await gateway.problem()
    gateway.write(2, "block")
    await gateway.stands(v2="in_force")
    assert (await gateway.moderate())["action"] == "block"

    gateway.write(3, "blcok")
    assert "social.yaml:3:25: unknown key" in await gateway.problem()
    assert (await gateway.moderate())["policy"]["version"] == 2
    gateway.write(4, "review")

    async def fails_its_tests():
        return "expected block, got review" in await gateway.problem()

    await until(fails_its_tests)
    assert (await gateway.moderate())["action"] == "block"
    gateway.write(5, "block")
    await gateway.stands(v5="in_force")
    _, ready = await gateway.get("/readyz")
    assert ready["checks"]["policies"] == {"ok": True, "loaded": ["social"], "problems": {}, "halted": {}}
    assert await gateway.metric("modgate_policy_refused", reason="tests") >= 2
    assert await gateway.metric("modgate_policy_refused", reason="invalid") == 1

    async def came():
        _, told = await gateway.get("/v1/policies", "APP_KEY")
        return [(each["version"], each["by"], each["tests"]) for each in told["history"]]

    async def all_told():
        return len(await came()) == 3

    await until(all_told)  # it decides before that is written
    assert await came() == [
        (5, "file change", "1 passed"),
        (2, "file change", "1 passed"),
        (1, "process start", "none"),
    ]


async def test_an_old_decision_is_explained_by_the_version_that_made_it(gateway):
    first = await gateway.moderate()
    gateway.write(2, "block")
    await gateway.stands(v2="in_force")
    _, told = await gateway.get(f"/v1/decisions/{first['id']}?explain=1")
    assert told["explain"]["action"] == "review"
    assert told["explain"]["policy"]["hash"] == first["policy"]["hash"]
    assert told["explain"]["contributions"][0]["at"] == "social.yaml:3:33"
    status, kept = await gateway.get(f"/v1/policies/{first['policy']['hash']}")
    assert (status, kept["source"]) == (200, POLICY.format(version=1, over="review"))
    assert (await gateway.get(f"/v1/policies/{first['policy']['hash']}", "APP_KEY"))[0] == 403
    status, problem = await gateway.get("/v1/policies/sha256:0")
    assert (status, problem["code"]) == (404, "unknown_version")


async def test_a_shadow_is_heard_and_changes_nothing(gateway):
    gateway.write(2, "block", "rollout: {shadow: true}\n", "next")
    await gateway.stands(v1="in_force", v2="shadow")
    answer = await gateway.moderate()
    assert (answer["action"], answer["policy"]["version"]) == ("review", 1)
    assert "shadow" not in answer
    _, evidence = await gateway.get(f"/v1/decisions/{answer['id']}")
    [heard] = evidence["shadow"]
    assert re.fullmatch("sha256:[0-9a-f]{64}", heard.pop("hash"))
    assert heard == {"policy": "social", "version": 2, "role": "shadow", "action": "block"}
    await gateway.moderate(text="a quiet day")
    counted = {name: await gateway.metric("modgate_policy_asides", outcome=name) for name in ("stricter", "same")}
    assert counted == {"stricter": 1, "same": 1}


async def test_a_canary_decides_for_some_and_always_the_same(gateway):
    gateway.write(2, "block", "rollout: {canary_percent: 50}\n", "next")
    await gateway.stands(v1="in_force", v2="canary")
    sides = {}
    for _ in range(2):
        for user in map(str, range(30)):
            answer = await gateway.moderate(user)
            assert (answer["policy"]["version"], answer["action"]) in [(1, "review"), (2, "block")]
            assert sides.setdefault(user, answer["action"]) == answer["action"]
    assert set(sides.values()) == {"review", "block"}


async def test_a_canary_that_goes_too_far_is_halted_and_said_so(gateway):
    gateway.write(2, "block", "rollout: {canary_percent: 99.99, halt: {flips: 0.5, after: 4}}\n", "next")
    await gateway.stands(v1="in_force", v2="canary")
    actions = [(await gateway.moderate(user))["action"] for user in "abcdef"]
    assert actions == ["block"] * 4 + ["review"] * 2
    why = "flips: 4 of the last 4 decisions came out otherwise, 0.5 is the most"
    await gateway.stands(v1="in_force", v2=why)
    _, ready = await gateway.get("/readyz")
    assert (ready["status"], ready["checks"]["policies"]["halted"]) == ("ready", {"next.yaml": why})
    assert not ready["checks"]["policies"]["ok"]
    assert await gateway.metric("modgate_policy_halts", policy="social") == 1
