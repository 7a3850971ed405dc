"""The simulated vendors that bring no client of their own to this test: what they say over plain HTTP."""

import json
from base64 import b64encode

import aiohttp
import pytest

from adapters.simulator.sightengine_models import MODELS
from tests.simulating import digest, photo, simulator

KEY = {"Authorization": "Bearer rehearsal"}


async def asked(vendors, path, *, method="POST", **options):
    """Status, body, headers."""
    async with vendors.client.request(method, path, **options) as response:
        return response.status, await response.json(content_type=None), response.headers


def upload(name="image", data=None, **fields):
    form = aiohttp.FormData()
    form.add_field(name, data or photo(), filename="photo.png", content_type="image/png")
    for key, value in fields.items():
        form.add_field(key, value)
    return form


# Pixicular


async def test_pixicular_as_its_guides_have_it():
    async with simulator() as vendors:
        form = upload(data=photo("red"), services="detect-moderation,detect-labels")
        status, said, _ = await asked(vendors, "/v1/detect", data=form, headers=KEY)
        one = (await asked(vendors, "/v1/detect", data=upload(services="detect-labels"), headers=KEY))[1]
    flags = {flag["name"]: flag["confidence"] for flag in said["detect-moderation"]["flags"]}
    assert status == 200 and list(flags) == ["Nudity", "Sexual Activity", "Suggestive", "Violence", "Drug Use"]
    assert flags["Violence"] == 0.95 and flags["Nudity"] < 0.01
    confidences = [label["confidence"] for label in said["detect-labels"]["labels"]]
    assert confidences == sorted(confidences, reverse=True) and max(confidences) <= 1
    assert set(said["meta"]) == {"processingTimeMs", "requestId"}
    assert set(one) == {"detect-labels", "meta"}


async def test_pixicular_as_its_reference_has_it():
    async with simulator("vendors: {pixicular: {speaks: reference}}") as vendors:
        form = upload("file", photo("red"), services="detect-moderation")
        _, said, _ = await asked(vendors, "/v1/detect", data=form, headers=KEY)
        body = {"services": "detect-moderation", "url": "https://a.example.com/x.png"}
        by_address = (await asked(vendors, "/v1/detect-from-url", json=body, headers=KEY))[0]
        wrong_field = (await asked(vendors, "/v1/detect", data=upload(services="detect-moderation"), headers=KEY))[0]
    assert said["success"] is True and said["photo"]["status"] == "COMPLETED" and said["creditCost"] == 1
    assert {flag["name"]: flag["confidence"] for flag in said["services"]["detect-moderation"]["flags"]}[
        "Violence"
    ] == 95
    assert (by_address, wrong_field) == (200, 400)


@pytest.mark.parametrize(
    "form, headers, status, code",
    [
        (upload(services="detect-moderation"), {}, 401, "invalid_api_key"),
        (upload(services="detect-everything"), KEY, 400, "invalid_request"),
        (upload(data=b"x", services="detect-labels"), KEY, 400, "invalid_image"),
        (upload("picture", services="detect-labels"), KEY, 400, "invalid_request"),
    ],
    ids=["key", "service", "image", "field"],
)
async def test_what_pixicular_refuses(form, headers, status, code):
    async with simulator() as vendors:
        heard, said, _ = await asked(vendors, "/v1/detect", data=form, headers=headers)
    assert (heard, said["error"]["code"]) == (status, code)


# Sieve


def inline(data, kind="png"):
    return f"data:image/{kind};base64,{b64encode(data).decode()}"


async def test_sieve_judges_images_and_texts():
    async with simulator() as vendors:
        image = {"data": inline(photo("red"))}
        _, seen, _ = await asked(vendors, "/v1/moderate/image", json=image, headers={"X-API-Key": "k"})
        few = image | {"categories": ["sexual", "gore"]}
        _, narrow, _ = await asked(vendors, "/v1/moderate/image", json=few, headers=KEY)
        _, text, _ = await asked(vendors, "/v1/moderate/text", json={"content": "[[spam=0.85]]"}, headers=KEY)
        _, listed, _ = await asked(vendors, "/v1/categories", method="GET", headers=KEY)
    assert (seen["action"], seen["flagged"], seen["pipeline_tier"]) == ("block", True, 2)
    assert seen["categories"]["violence"] == {"score": 0.95, "threshold": 0.7, "flagged": True}
    assert set(seen["categories"]) == {"sexual", "violence", "hate_symbols", "self_harm", "drugs", "gore"}
    assert set(narrow["categories"]) == {"sexual", "gore"} and narrow["action"] == "allow"
    assert (text["action"], text["categories"]["spam"]["flagged"]) == ("flag", True)
    assert {entry["name"] for entry in listed["categories"]} == set(text["categories"])


async def test_sieve_as_its_quickstart_has_it():
    script = "vendors: {sieve: {speaks: quickstart, thresholds: {toxicity: 0.3}}}"
    async with simulator(script) as vendors:
        _, said, _ = await asked(vendors, "/v1/moderate/text", json={"text": "[[toxicity=0.4]]"}, headers=KEY)
    assert {"id", "tier_used", "metadata"} <= set(said) and "threat" in said["categories"]
    assert said["categories"]["toxicity"] == {"score": 0.4, "threshold": 0.3, "flagged": True}


@pytest.mark.parametrize(
    "path, body, status, code",
    [
        ("image", {}, 400, "invalid_request"),
        ("image", {"url": "https://a.example.com/x", "data": inline(photo())}, 400, "invalid_request"),
        ("image", {"data": b64encode(photo()).decode()}, 400, "invalid_request"),
        ("image", {"data": inline(photo(kind="bmp"))}, 400, "invalid_image"),
        ("image", {"data": inline(photo() + b"0" * 10_000_000)}, 413, "payload_too_large"),
        ("image", {"url": "https://modgate.dev/x.png"}, 400, "invalid_image"),
        ("image", {"data": inline(photo()), "categories": ["weapons"]}, 400, "invalid_request"),
        ("text", {"content": "x" * 50_001}, 400, "invalid_request"),
        ("text", {"content": "x", "context": "gaming_chat"}, 400, "invalid_request"),
    ],
    ids=["nothing", "two", "no prefix", "bmp", "heavy", "address", "category", "long", "context"],
)
async def test_what_sieve_refuses(path, body, status, code):
    async with simulator() as vendors:
        heard, said, _ = await asked(vendors, f"/v1/moderate/{path}", json=body, headers=KEY)
    assert (heard, said["error"]["code"]) == (status, code)


# Sightengine

WHO = {"api_user": "u", "api_secret": "s"}


async def test_sightengine_answers_with_a_block_for_each_model():
    async with simulator() as vendors:
        form = upload("media", photo("red"), models=",".join(MODELS), **WHO)
        _, said, _ = await asked(vendors, "/1.0/check.json", data=form)
        query = {"url": "https://a.example.com/x.png", "models": "nudity-2.1", **WHO}
        _, nude, _ = await asked(vendors, "/1.0/check.json", method="GET", params=query)
    assert (said["status"], said["request"]["operations"]) == ("success", len(MODELS))
    assert said["violence"]["prob"] == max(said["violence"]["classes"].values()) == 0.95
    assert "prob" not in said["offensive"] and said["faces"] == []
    assert said["text"]["profanity"] == [] and said["qr"]["link"] == []
    intensities = ("sexual_activity", "sexual_display", "erotica", "very_suggestive", "suggestive", "mildly_suggestive")
    assert nude["nudity"]["none"] == 1 - max(nude["nudity"][name] for name in intensities)
    assert set(nude) == {"status", "request", "nudity", "media"}


async def test_sightengine_counts_faces_and_reads_texts():
    data = photo()
    script = f"images: {{{digest(data)}: {{child_safety/presence: 0.9, profanity: 0.7}}}}"
    async with simulator(script) as vendors:
        form = upload("media", data, models="face-attributes,face-age,text-content", **WHO)
        _, said, _ = await asked(vendors, "/1.0/check.json", data=form)
        form = {"text": "[[harassment/insult=0.9]]", "lang": "en", "mode": "rules,ml", "models": "general", **WHO}
        _, text, _ = await asked(vendors, "/1.0/text/check.json", data=form | {"categories": "profanity,link"})
    assert said["faces"][0]["attributes"]["minor"] == 0.9
    assert said["text"]["profanity"][0]["intensity"] == "medium"
    assert text["moderation_classes"]["insulting"] == 0.9
    assert text["profanity"]["matches"][0]["type"] == "insult" and text["link"]["matches"] == []


@pytest.mark.parametrize(
    "fields, status, kind, code",
    [
        ({"models": "nudity-2.1"}, 401, "argument_error", 1),
        ({"models": "nudity-2.1", "api_user": "u", "api_secret": "refused-key"}, 401, "argument_error", 1),
        ({"models": "drugs", **WHO}, 400, "argument_error", 2),
        ({**WHO}, 400, "argument_error", 2),
    ],
    ids=["nobody", "refused", "model", "no model"],
)
async def test_what_sightengine_refuses(fields, status, kind, code):
    async with simulator() as vendors:
        heard, said, _ = await asked(vendors, "/1.0/check.json", data=upload("media", **fields))
    assert (heard, said["status"], said["error"]["type"], said["error"]["code"]) == (status, "failure", kind, code)


# Google Cloud Vision


def annotate(*contents, **other):
    features = [{"type": "SAFE_SEARCH_DETECTION"}]
    images = [{"content": b64encode(content).decode()} for content in contents]
    return {"requests": [{"image": image, "features": features} | other for image in images]}


async def test_google_says_what_is_wrong_with_one_image_inside_a_200():
    body = annotate(photo("red"), b"not a picture", photo())
    async with simulator() as vendors:
        status, said, _ = await asked(vendors, "/v1/images:annotate?key=k", json=body)
        below = "/v1/projects/p/locations/eu/images:annotate"
        assert (await asked(vendors, below, json=body, headers=KEY))[0] == 200
    violent, broken, clean = said["responses"]
    assert status == 200 and violent["safeSearchAnnotation"]["violence"] == "VERY_LIKELY"
    assert broken == {"error": {"code": 3, "message": "Bad image data."}}
    assert set(clean["safeSearchAnnotation"].values()) == {"VERY_UNLIKELY"}


@pytest.mark.parametrize(
    "headers, body, status, word",
    [
        ({}, annotate(photo()), 401, "UNAUTHENTICATED"),
        ({"X-Goog-Api-Key": "refused-key"}, annotate(photo()), 400, "INVALID_ARGUMENT"),
        ({"Authorization": "Bearer refused-key"}, annotate(photo()), 401, "UNAUTHENTICATED"),
        (KEY, annotate(*[photo()] * 17), 400, "INVALID_ARGUMENT"),
        (KEY, {"requests": []}, 400, "INVALID_ARGUMENT"),
        (KEY, annotate(photo() + b"0" * 8_000_000), 400, "INVALID_ARGUMENT"),
        (KEY, annotate(photo(), features=[{"type": "LABEL_DETECTION"}]), 501, "UNIMPLEMENTED"),
    ],
    ids=["nobody", "key", "token", "seventeen", "none", "heavy", "feature"],
)
async def test_what_google_refuses(headers, body, status, word):
    async with simulator() as vendors:
        heard, said, _ = await asked(vendors, "/v1/images:annotate", json=body, headers=headers)
    assert (heard, said["error"]["code"], said["error"]["status"]) == (status, status, word)


# Mistral


async def test_mistral_names_the_labels_of_its_model():
    async with simulator() as vendors:
        body = {"model": "mistral-moderation-2603", "input": ["hello", "[[hate=0.8]]"]}
        _, said, _ = await asked(vendors, "/mistral/v1/moderations", json=body, headers=KEY)
        old = body | {"model": "mistral-moderation-2411", "input": "x"}
        _, earlier, _ = await asked(vendors, "/mistral/v1/moderations", json=old, headers=KEY)
        chat = {"model": "mistral-moderation-latest", "input": [{"role": "user", "content": "[[hate=0.9]]"}]}
        _, talked, _ = await asked(vendors, "/mistral/v1/chat/moderations", json=chat, headers=KEY)
    clean, flagged = said["results"]
    assert (len(clean["category_scores"]), len(earlier["results"][0]["category_scores"])) == (11, 9)
    assert flagged["categories"]["hate_and_discrimination"] and "flagged" not in flagged
    assert talked["results"][0]["category_scores"]["hate_and_discrimination"] == 0.9


@pytest.mark.parametrize(
    "headers, body, status, told",
    [
        ({}, {"model": "mistral-moderation-2603", "input": "x"}, 401, "message"),
        (KEY, {"model": "mistral-moderation-1", "input": "x"}, 400, "raw_status_code"),
        (KEY, {"model": "mistral-moderation-2603", "input": [1]}, 422, "detail"),
        (KEY, {"input": "x"}, 422, "detail"),
    ],
    ids=["key", "model", "number", "no model"],
)
async def test_what_mistral_refuses(headers, body, status, told):
    async with simulator() as vendors:
        heard, said, _ = await asked(vendors, "/mistral/v1/moderations", json=body, headers=headers)
    assert heard == status and told in said


# Llama Guard


async def guarded(vendors, content, model="meta-llama/Llama-Guard-4-12B", **options):
    body = {"model": model, "messages": [{"role": "user", "content": content}], "logprobs": True} | options
    status, said, _ = await asked(vendors, "/v1/chat/completions", json=body)
    return (status, said["choices"][0]) if status == 200 else (status, said["error"])


def words(text):
    return [{"type": "text", "text": text}]


async def test_llama_guard_gives_a_verdict_and_its_probabilities():
    async with simulator() as vendors:
        _, safe = await guarded(vendors, words("hello"))
        _, unsafe = await guarded(vendors, words("[[hate=0.9, self_harm=0.7, illicit/violent=0.6]]"))
        _, cut = await guarded(vendors, words("[[hate=0.9]]"), max_tokens=3)
        _, silent = await guarded(vendors, words("[[hate=0.9]]"), logprobs=False)
        _, shown = await guarded(vendors, [{"type": "image_url", "image_url": {"url": inline(photo("blue"))}}])
    assert safe["message"]["content"] == "\n\nsafe"
    assert unsafe["message"]["content"] == "\n\nunsafe\nS1,S10,S11"
    verdict = unsafe["logprobs"]["content"][1]
    assert [other["token"] for other in verdict["top_logprobs"]] == ["unsafe", "safe"]
    assert verdict["logprob"] == pytest.approx(-0.10536, abs=1e-4)  # 0.9
    assert cut["finish_reason"] == "length" and silent["logprobs"] is None
    assert shown["message"]["content"] == "\n\nunsafe\nS10"


async def test_the_1b_template_sees_nothing_of_a_bare_text():
    async with simulator() as vendors:
        _, bare = await guarded(vendors, "[[hate=0.9]]", "meta-llama/Llama-Guard-3-1B")
        _, parts = await guarded(vendors, words("[[hate=0.9]]"), "meta-llama/Llama-Guard-3-1B")
    assert [bare["message"]["content"], parts["message"]["content"]] == ["\n\nsafe", "\n\nunsafe\nS10"]


async def test_what_llama_guard_refuses():
    image = [{"type": "image_url", "image_url": {"url": inline(photo())}}]
    async with simulator("vendors: {llama_guard: {keys: [k], models: [llama-guard3]}}") as vendors:
        assert (await guarded(vendors, words("x")))[0] == 401
    async with simulator("vendors: {llama_guard: {models: [llama-guard3]}}") as vendors:
        assert (await guarded(vendors, words("x")))[0] == 404
        assert (await guarded(vendors, image, "llama-guard3"))[0] == 400
        assert (await guarded(vendors, [], "llama-guard3"))[0] == 400


# Claude

WHO_ASKS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
TOOL = {"name": "report", "input_schema": {"type": "object", "properties": {"violence": {}, "hate": {}, "cats": {}}}}


def message(*parts, **options):
    choice = {"type": "tool", "name": "report"}
    body = {"model": "claude-haiku-4-5", "max_tokens": 512, "tools": [TOOL], "tool_choice": choice}
    return body | {"messages": [{"role": "user", "content": list(parts)}]} | options


def block(data, kind="png"):
    source = {"type": "base64", "media_type": f"image/{kind}", "data": b64encode(data).decode()}
    return {"type": "image", "source": source}


async def test_claude_calls_the_tool_it_is_given():
    async with simulator() as vendors:
        body = message(block(photo("red")), {"type": "text", "text": "[[hate=0.72]]"})
        _, said, headers = await asked(vendors, "/v1/messages", json=body, headers=WHO_ASKS)
    [used] = said["content"]
    assert (said["stop_reason"], used["name"]) == ("tool_use", "report")
    assert used["input"] == {"violence": 0.9, "hate": 0.7, "cats": 0.0}
    assert headers["request-id"].startswith("req_")


@pytest.mark.parametrize(
    "body, ended",
    [
        (message({"type": "text", "text": "[[anthropic_vision:refusal=1]]"}), "refusal"),
        (message({"type": "text", "text": "x"}, max_tokens=10), "max_tokens"),
        (message({"type": "text", "text": "x"}, tools=[], tool_choice={"type": "auto"}), "end_turn"),
    ],
    ids=["refusal", "max_tokens", "end_turn"],
)
async def test_claude_may_end_otherwise(body, ended):
    async with simulator() as vendors:
        status, said, _ = await asked(vendors, "/v1/messages", json=body, headers=WHO_ASKS)
    assert (status, said["stop_reason"]) == (200, ended)


@pytest.mark.parametrize(
    "headers, body, status, kind",
    [
        ({}, message(), 401, "authentication_error"),
        ({"x-api-key": "k"}, message({"type": "text", "text": "x"}), 400, "invalid_request_error"),
        (WHO_ASKS, message({"type": "text", "text": "x"}, model="gpt-9"), 404, "not_found_error"),
        (WHO_ASKS, message(block(photo(), "jpeg")), 400, "invalid_request_error"),
        (WHO_ASKS, message(block(b"not a picture")), 400, "invalid_request_error"),
        (WHO_ASKS, message(block(photo() + b"0" * 4_000_000)), 400, "invalid_request_error"),
        (WHO_ASKS, message(block(photo(size=(8001, 4)))), 400, "invalid_request_error"),
        (WHO_ASKS, {"model": "claude-haiku-4-5"}, 400, "invalid_request_error"),
    ],
    ids=["key", "version", "model", "type", "image", "heavy", "wide", "nothing"],
)
async def test_what_claude_refuses(headers, body, status, kind):
    async with simulator() as vendors:
        heard, said, _ = await asked(vendors, "/v1/messages", json=body, headers=headers)
    assert (heard, said["type"], said["error"]["type"]) == (status, "error", kind)


async def test_overloaded_is_529():
    async with simulator() as vendors:
        await vendors.fails({"vendor": "anthropic_vision", "error": "overloaded"})
        status, said, _ = await asked(vendors, "/v1/messages", data=json.dumps({}), headers=WHO_ASKS)
    assert (status, said["error"]["type"]) == (529, "overloaded_error")
