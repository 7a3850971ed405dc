"""The simulated OpenAI and EvoLink, heard through the official client."""

import json
from base64 import b64encode

import openai
import pytest

from adapters.simulator.openai import IN_IMAGES, LABELS
from tests.simulating import digest, photo, simulator

MODEL = "omni-moderation-latest"


def client(vendors, path="/v1", **options):
    settings = {"api_key": "sk-rehearsal", "max_retries": 0, "timeout": 5.0}
    return openai.AsyncOpenAI(base_url=vendors.url + path, **(settings | options))


def inline(data, kind="png"):
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{b64encode(data).decode()}"}}


def scores(result):
    return result.category_scores.model_dump(by_alias=True)


def looked(result):
    return result.category_applied_input_types.model_dump(by_alias=True)


async def test_one_result_for_each_text():
    async with simulator() as vendors, client(vendors) as api:
        raw = await api.moderations.with_raw_response.create(model=MODEL, input=["hello", "[[violence/graphic=0.93]]"])
    clean, flagged = raw.parse().results
    assert set(scores(clean)) == set(LABELS)
    assert max(scores(clean).values()) < 0.01
    assert not clean.flagged
    assert {label for label, score in scores(flagged).items() if score > 0.5} == {"violence", "violence/graphic"}
    assert scores(flagged)["violence/graphic"] == 0.93
    assert flagged.categories.violence_graphic and flagged.flagged
    assert set(map(tuple, looked(flagged).values())) == {("text",)}
    for header in ("x-request-id", "openai-version", "openai-processing-ms", "x-ratelimit-remaining-requests"):
        assert raw.headers[header]


async def test_the_same_text_is_judged_the_same():
    async with simulator() as vendors, client(vendors) as api:
        one, other = [(await api.moderations.create(input="a walk")).results[0] for _ in range(2)]
        third = (await api.moderations.create(input="another walk")).results[0]
    assert scores(one) == scores(other) != scores(third)


async def test_a_text_and_its_picture_are_judged_together():
    parts = [{"type": "text", "text": "[[hate=0.7]]"}, inline(photo("red"))]
    async with simulator() as vendors, client(vendors) as api:
        [both] = (await api.moderations.create(model=MODEL, input=parts)).results
        [alone] = (await api.moderations.create(model=MODEL, input=parts[1:])).results
    assert (scores(both)["hate"], scores(both)["violence"]) == (0.7, 0.95)
    assert looked(both)["hate"] == ["text"] and looked(both)["violence"] == ["text", "image"]
    assert {label for label, kinds in looked(alone).items() if kinds} == IN_IMAGES
    assert 0 < scores(alone)["hate"] < 0.01


async def test_legacy_models_know_eleven_labels():
    async with simulator() as vendors, client(vendors) as api:
        answer = await api.moderations.create(model="text-moderation-latest", input="[[harassment=0.9]]")
    assert answer.model == "text-moderation-007"
    assert answer.results[0].category_applied_input_types is None
    assert len({label for label, score in scores(answer.results[0]).items() if score is not None}) == 11


async def test_an_address_is_looked_up_and_never_fetched():
    script = 'images: {"https://cdn.example.net/a.png": {sexual: 0.8}}'
    asked = {"type": "image_url", "image_url": {"url": "https://cdn.example.net/a.png"}}
    async with simulator(script) as vendors, client(vendors) as api:
        [told] = (await api.moderations.create(input=[asked])).results
        asked["image_url"]["url"] = "https://media.example.com/[[violence=0.9]].png"
        [marked] = (await api.moderations.create(input=[asked])).results
    assert scores(told)["sexual"] == 0.8
    assert scores(marked)["violence"] == 0.9


REFUSED = [
    # what is asked, the client's own exception, code
    ({"input": "x", "model": "omni-moderation-nope"}, openai.NotFoundError, "model_not_found"),
    ({"input": []}, openai.BadRequestError, "invalid_value"),
    ({"input": ""}, openai.BadRequestError, "invalid_value"),
    ({"input": [{"type": "audio"}]}, openai.BadRequestError, "invalid_value"),
    ({"input": None}, openai.BadRequestError, "missing_required_parameter"),
    ({"input": [inline(photo()), inline(photo())]}, openai.BadRequestError, "too_many_images"),
    ({"input": [inline(photo(kind="bmp"))]}, openai.BadRequestError, "sanitizer_server_error"),
    ({"input": [inline(b"not a picture")]}, openai.BadRequestError, "sanitizer_server_error"),
    ({"input": [inline(photo() + b"0" * 20_000_000)]}, openai.BadRequestError, "sanitizer_server_error"),
    (
        {"input": [{"type": "image_url", "image_url": {"url": "https://modgate.dev/a.png"}}]},
        openai.BadRequestError,
        "invalid_image_url",
    ),
    ({"input": "[[violense=0.9]]"}, openai.BadRequestError, "invalid_value"),
    ({"input": "[[violence=9]]"}, openai.BadRequestError, "invalid_value"),
]


@pytest.mark.parametrize("asked, error, code", REFUSED, ids=[f"{row[2]}-{place}" for place, row in enumerate(REFUSED)])
async def test_what_is_wrong_is_refused_as_theirs_refuses_it(asked, error, code):
    async with simulator() as vendors, client(vendors) as api:
        with pytest.raises(error) as refused:
            await api.moderations.create(**asked)
    assert (refused.value.code, refused.value.type) == (code, "invalid_request_error")
    assert refused.value.request_id
    assert refused.value.message


async def test_two_images_are_one_too_many_word_for_word():
    async with simulator() as vendors, client(vendors) as api:
        with pytest.raises(openai.BadRequestError, match=r"Number of images \(2\) exceeds maximum of 1"):
            await api.moderations.create(input=[inline(photo()), inline(photo())])


@pytest.mark.parametrize("key", ["refused-key", "sk-unknown-to-this-script"])
async def test_a_key_it_does_not_know(key):
    async with simulator("vendors: {openai: {keys: [sk-known]}}") as vendors, client(vendors, api_key=key) as api:
        with pytest.raises(openai.AuthenticationError) as refused:
            await api.moderations.create(input="x")
        await api.with_options(api_key="sk-known").moderations.create(input="x")
    assert refused.value.code == "invalid_api_key"
    assert key not in refused.value.message


TROUBLES = [
    ("forbidden", openai.PermissionDeniedError, "unsupported_country_region_territory"),
    ("throttled", openai.RateLimitError, "rate_limit_exceeded"),
    ("slow_down", openai.RateLimitError, "slow_down"),
    ("quota", openai.RateLimitError, "credit_balance_exhausted"),
    ("insufficient_quota", openai.RateLimitError, "insufficient_quota"),
    ("project_spend_limit_exceeded", openai.RateLimitError, "project_spend_limit_exceeded"),
    ("server_error", openai.InternalServerError, None),
    ("overloaded", openai.InternalServerError, "server_is_overloaded"),
    ("too_large", openai.APIStatusError, "request_too_large"),
]


@pytest.mark.parametrize("error, kind, code", TROUBLES, ids=[row[0] for row in TROUBLES])
async def test_every_documented_error_raises_the_clients_own(error, kind, code):
    async with simulator() as vendors, client(vendors) as api:
        await vendors.fails({"vendor": "openai", "error": error})
        with pytest.raises(kind) as raised:
            await api.moderations.create(input="x")
    assert raised.value.code == code


@pytest.mark.parametrize(
    "fault, calls",
    [
        ({"error": "server_error"}, 3),
        ({"error": "throttled", "retry_after": 0.01, "retry_after_as": "milliseconds"}, 3),
        ({"error": "throttled", "retry_after": 300}, 1),  # over two minutes it does not wait
        ({"error": "quota", "headers": {"x-should-retry": "false"}}, 1),
    ],
    ids=["server_error", "retry-after-ms", "retry-after-300", "x-should-retry"],
)
async def test_the_client_retries_by_what_it_is_told(fault, calls):
    async with simulator() as vendors, client(vendors, max_retries=2) as api:
        await vendors.fails({"vendor": "openai", **fault})
        with pytest.raises(openai.APIStatusError):
            await api.moderations.create(input="x")
        assert (await vendors.calls("openai"))[0] == calls


async def test_broken_answers_are_what_the_client_makes_of_them():
    """It reads nearly anything as an answer: which is why the gateway does not go by it."""
    async with simulator() as vendors, client(vendors) as api:
        await vendors.fails({"instead": "object"})
        assert (await api.moderations.create(input="x")).results is None
        await vendors.fails({"instead": "html"})
        assert "Bad Gateway" in await api.moderations.create(input="x")
        await vendors.fails({"instead": "garbage"})
        with pytest.raises(json.JSONDecodeError):
            await api.moderations.create(input="x")
        await vendors.fails({"set": {"/results/0/category_scores/illicit": None}})
        assert scores((await api.moderations.create(input="x")).results[0])["illicit"] is None


async def test_a_picture_that_always_ends_in_500():
    poison = photo("grey")
    async with simulator() as vendors, client(vendors) as api:
        await vendors.fails({"vendor": "openai", "about": digest(poison), "error": "server_error"})
        assert (await api.moderations.create(input=[inline(photo())])).results
        for _ in range(2):
            with pytest.raises(openai.InternalServerError):
                await api.moderations.create(input=[inline(poison)])


async def test_over_its_limit_it_throttles():
    async with simulator("vendors: {openai: {limit: 1/h}}") as vendors, client(vendors) as api:
        await api.moderations.create(input="x")
        with pytest.raises(openai.RateLimitError) as raised:
            await api.moderations.create(input="x")
    assert raised.value.response.headers["retry-after"] == "1"
    assert raised.value.response.headers["x-ratelimit-remaining-requests"] == "0"


async def test_evolink_speaks_the_same_with_a_verdict_of_its_own():
    async def asked(text):
        answer = await api.moderations.create(model="evolink-moderation-1.0", input=[{"type": "text", "text": text}])
        return answer.results[0].flagged, answer.model_extra["evolink_summary"]

    async with simulator() as vendors, client(vendors, "/evolink/v1") as api:
        flagged, low = await asked("hello")
        assert (flagged, low["risk_level"], low["violations"]) == (False, "low", [])
        flagged, medium = await asked("[[sexual=0.597]]")
        assert (flagged, medium["risk_level"], medium["max_category"]) == (False, "medium", "sexual")
        flagged, high = await asked("[[sexual/minors=0.2]]")
        assert (flagged, high["risk_level"], high["violations"]) == (True, "high", ["sexual/minors"])


@pytest.mark.parametrize(
    "given, code",
    [("plain text", "invalid_value"), ([inline(photo())], "invalid_image_url"), (["a", "b"], "invalid_value")],
    ids=["text", "bytes", "texts"],
)
async def test_evolink_takes_parts_and_addresses_only(given, code):
    async with simulator() as vendors, client(vendors, "/evolink/v1") as api:
        with pytest.raises(openai.BadRequestError) as refused:
            await api.moderations.create(model="evolink-moderation-1.0", input=given)
    assert refused.value.code == code


async def test_evolink_without_credit():
    async with simulator() as vendors, client(vendors, "/evolink/v1") as api:
        await vendors.fails({"vendor": "evolink", "error": "quota"})
        with pytest.raises(openai.APIStatusError) as raised:
            await api.moderations.create(model="evolink-moderation-1.0", input=[{"type": "text", "text": "x"}])
    assert raised.value.status_code == 402
