"""The control address: faults and pictures changed, and calls read, while the simulator runs."""

import json

import aiohttp
import pytest

from tests.simulating import digest, photo, simulator

SECRETS = ("sk-very-secret", "azure-very-secret", "form-very-secret", "AKIDVERYSECRET", "query-very-secret")


async def moderations(vendors, text="hello", path="/v1/moderations"):
    headers = {"Authorization": "Bearer sk-very-secret"}
    async with vendors.client.post(path, json={"input": text}, headers=headers) as response:
        return response.status


async def test_every_vendor_is_listed_with_its_addresses():
    async with simulator() as vendors:
        async with vendors.client.get("/_simulator") as response:
            said = await response.json()
        assert said["vendors"]["openai"] == {"mount": "/openai", "at_root": True, "routes": ["/v1/moderations"]}
        assert not said["vendors"]["mistral"]["at_root"]
        async with vendors.client.get("/nowhere") as response:
            assert response.status == 404 and "/_simulator" in await response.text()
        async with vendors.client.get("/openai/v1/models") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (404, "unknown_url")


async def test_faults_are_put_read_and_taken_away():
    async with simulator("seed: 5\nfaults: [{vendor: sieve, error: throttled}]") as vendors:
        assert (await vendors.control("GET", "faults"))["faults"][0]["vendor"] == "sieve"
        await vendors.fails({"vendor": "openai", "error": "server_error", "calls": 1}, seed=9)
        assert [await moderations(vendors), await moderations(vendors)] == [500, 200]
        said = await vendors.control("GET", "faults")
        assert said["seed"] == 9
        assert said["faults"] == [{"vendor": "openai", "error": "server_error", "calls": 1, "met": 2, "hits": 1}]
        assert (await vendors.control("DELETE", "faults"))["faults"] == []


@pytest.mark.parametrize(
    "body, words",
    [
        ({"faults": [{"vendor": "opnai", "error": "throttled"}]}, "did you mean 'openai'?"),
        ({"faults": [{"eror": "throttled"}]}, "did you mean 'error'?"),
        ({"fault": []}, "did you mean 'faults'?"),
        ([], "mapping"),
    ],
    ids=["vendor", "key", "faults", "list"],
)
async def test_a_wrong_fault_changes_nothing_and_says_what_would_be_right(body, words):
    async with simulator("faults: [{vendor: openai, error: overloaded}]") as vendors:
        said = await vendors.control("PUT", "faults", body, status=400)
        assert words in said["error"]
        assert await moderations(vendors) == 503


async def test_faults_may_be_written_as_yaml():
    async with simulator() as vendors:
        async with vendors.client.put("/_simulator/faults", data="faults:\n  - {error: quota}\n") as response:
            assert response.status == 200
        assert await moderations(vendors) == 429


async def test_what_was_asked_is_told_without_secrets():
    async with simulator() as vendors:
        await moderations(vendors, "[[hate=0.9]]")
        headers = {"Ocp-Apim-Subscription-Key": "azure-very-secret", "User-Agent": "a-client/1"}
        path = "/contentsafety/text:analyze?api-version=2024-09-01"
        await (await vendors.client.post(path, json={"text": "hello"}, headers=headers)).read()
        form = {"api_user": "u", "api_secret": "form-very-secret", "models": "general", "mode": "ml", "text": "x"}
        await (await vendors.client.post("/1.0/text/check.json", data=form)).read()
        signature = "AWS4-HMAC-SHA256 Credential=AKIDVERYSECRET/20261121/us-east-1/rekognition/aws4_request"
        await (await vendors.client.post("/", headers={"Authorization": signature})).read()
        await (await vendors.client.post("/v1/images:annotate?key=query-very-secret", json={})).read()
        counts = await vendors.calls()
        calls, last = await vendors.calls("azure_content_safety")
        everything = json.dumps(await vendors.control("GET", "calls"))
        await vendors.control("DELETE", "calls")
        assert (await vendors.calls("openai"))[0] == 0
    assert counts["openai"] == {"calls": 1, "status": {"200": 1}, "faults": {}}
    assert [secret for secret in SECRETS if secret in everything] == []
    assert calls == 1 and last[0]["path"] == "/contentsafety/text:analyze"
    assert (last[0]["query"], last[0]["about"]) == ({"api-version": "2024-09-01"}, ["hello"])
    assert last[0]["headers"]["user-agent"] == "a-client/1"


async def test_a_picture_is_told_by_its_digest_and_taught_by_it():
    data = photo()
    headers = {"Authorization": "Bearer k"}
    async with simulator() as vendors:
        form = {"services": "detect-moderation", "image": data}

        async def violence():
            async with vendors.client.post("/v1/detect", data=as_upload(form), headers=headers) as response:
                said = await response.json()
            return {flag["name"]: flag["confidence"] for flag in said["detect-moderation"]["flags"]}["Violence"]

        assert await violence() < 0.01
        [call] = (await vendors.calls("pixicular"))[1]
        assert call["about"] == [f"sha256:{digest(data)}"]
        await vendors.knows(**{digest(data): {"violence": 0.77}})
        assert await violence() == 0.77
        said = await vendors.control("PUT", "images", {"images": {"x": {"violense": 1}}}, status=400)
        assert "did you mean 'violence'?" in said["error"]
        assert await violence() == 0.77


def as_upload(form):
    made = aiohttp.FormData({"services": form["services"]})
    made.add_field("image", form["image"], filename="photo.png")
    return made


@pytest.mark.parametrize("query", ["vendor=nobody", "last=-1", "last=many"])
async def test_a_wrong_question_about_calls(query):
    async with simulator() as vendors:
        await vendors.control("GET", f"calls?{query}", status=400)
