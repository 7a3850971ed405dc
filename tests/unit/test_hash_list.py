"""Lists of known things: what a match means, what it does not, and how lists are followed while they change."""

import hashlib

import aiohttp
import orjson
import pytest
from PIL import Image
from structlog.testing import capture_logs

from adapters import hash_list
from adapters.hash_list import Adapter, HashListSettings, text_hashes
from gateway import domain
from gateway.domain import Finding
from gateway.errors import ConfigError
from gateway.media.images import guard_image
from gateway.media.pool import PRELOAD, DecodePool
from gateway.media.workshop import Workshop
from tests.gateway import image, serving
from tests.unit.test_hash_list_matching import ONE, TWO, hashes_of, photo, saved
from tests.waiting import until


@pytest.fixture
async def opened(tmp_path):
    """`opened(bad=lines, good=lines, …)` is an adapter with these lists, whose pictures are decoded in `pool`."""
    pool = DecodePool(workers=1, preload=(*PRELOAD, "adapters.hash_list"))
    workshop, adapters = Workshop(pool, threads=1), []

    async def open_lists(**lists):
        written = []
        for name, lines in lists.items():
            (tmp_path / name).write_text("\n".join(lines) + "\n")
            kind = "good" if name.startswith("good") else "bad"
            written.append({"file": name, "kind": kind} | ({"category": "hate"} if kind == "bad" else {}))
        settings = {"adapter": "hash_list", "lists": written}
        adapters.append(Adapter(HashListSettings.model_validate(settings, context={"folder": tmp_path})))
        await adapters[-1].open(workshop)
        return adapters[-1], pool

    yield open_lists
    for adapter in adapters:
        await adapter.close()
    workshop.close()
    await pool.close()


async def nothing_is_sent(address, call):
    raise AssertionError("a list sends nothing")


async def looked(adapter, *parts):
    look = await adapter.look(domain.Content(parts), nothing_is_sent)
    [exchange] = look.exchanges
    return look, orjson.loads(exchange.body)


async def guarded(picture: bytes, pool):
    return await guard_image(picture, pool, max_bytes=10**7)


def pdq_of(picture) -> str:
    return "pdq:" + hashes_of(picture)[0].tobytes().hex()


async def test_the_very_bytes_are_known_and_evidence_says_which_list(opened):
    data = saved(photo())
    adapter, pool = await opened(bad=[f"sha256:{hashlib.sha256(data).hexdigest()}"], other=[f"sha256:{ONE}"])
    look, said = await looked(adapter, await guarded(data, pool))
    assert look.findings == (Finding("listed", 1.0), Finding("bad", 1.0))
    assert said["matches"] == [{"list": "bad", "by": "sha256 of image 0", "distance": 0, "turned": None}]
    assert said["pdq"] == []  # no list asks for it
    assert look.model.startswith("lists-")


@pytest.mark.parametrize("turned", [None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90])
async def test_a_picture_saved_again_smaller_and_turned_is_known(opened, turned):
    adapter, pool = await opened(bad=[pdq_of(photo("flower.jpg")), pdq_of(photo())])
    copy = photo() if turned is None else photo().transpose(turned)
    look, said = await looked(adapter, await guarded(saved(copy.resize((300, 210)), quality=40), pool))
    assert look.findings == (Finding("listed", 1.0), Finding("bad", 1.0))
    [match] = said["matches"]
    assert (match["list"], match["by"]) == ("bad", "pdq")
    assert 0 < match["distance"] <= 31
    assert (match["turned"] == "as it is") == (turned is None)


async def test_what_is_on_no_list_is_not_listed_and_nothing_more_is_said(opened):
    adapter, pool = await opened(bad=[pdq_of(photo("flower.jpg")), f"sha256:{ONE}"], good=[f"sha256:{TWO}"])
    look, said = await looked(adapter, await guarded(saved(photo()), pool))
    assert look.findings == (Finding("listed", 0.0),)
    assert said["matches"] == []
    assert said["pdq"][0]["quality"] == 100


async def test_at_a_dull_picture_a_list_of_pdq_did_not_look(opened):
    flat = Image.new("RGB", (64, 64), "olive")
    data = saved(flat)
    adapter, pool = await opened(
        alike=[pdq_of(flat)], same=[f"sha256:{ONE}"], both=[pdq_of(flat), f"sha256:{hashlib.sha256(data).hexdigest()}"]
    )
    look, said = await looked(adapter, await guarded(data, pool))
    assert look.findings == (Finding("listed", 1.0), Finding("alike", None, frozenset()), Finding("both", 1.0))
    assert said["pdq"][0]["quality"] == 0


async def test_a_picture_is_known_by_any_of_its_frames(opened):
    frames = [Image.new("RGB", (200, 140), "white"), photo().resize((200, 140)), photo("flower.jpg").resize((200, 140))]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    adapter, pool = await opened(bad=[pdq_of(photo())], other=[pdq_of(photo().rotate(45))])
    look, said = await looked(adapter, await guarded(moving, pool))
    assert look.findings == (Finding("listed", 1.0), Finding("bad", 1.0), Finding("other", None, frozenset()))
    assert len(said["pdq"]) == 3


async def test_a_text_is_known_as_it_came_and_by_what_it_says(opened):
    listed = text_hashes("Buy   Gold now")
    adapter, _ = await opened(
        bad=[f"sha256:{listed['text']}"], worse=[f"sha256:{listed['plain text']}"], good=[f"sha256:{ONE}"]
    )
    exact, _ = await looked(adapter, domain.Text("Buy   Gold now"))
    assert exact.findings == (Finding("listed", 1.0), Finding("bad", 1.0), Finding("worse", 1.0))
    disguised, said = await looked(adapter, domain.Text("\u200bbuy gоld\nＮＯＷ "))  # with a Cyrillic о
    assert disguised.findings == (Finding("listed", 1.0), Finding("worse", 1.0))
    assert said["matches"][0]["by"] == "sha256 of plain text"
    assert "gold" not in str(said).lower()
    other, _ = await looked(adapter, domain.Text("buy silver now"))
    assert other.findings == (Finding("listed", 0.0),)


async def test_a_changed_list_takes_effect_and_a_broken_one_changes_nothing(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(hash_list, "LOOK_EVERY", 0.02)
    adapter, _ = await opened(bad=[f"sha256:{ONE}"], worse=[f"sha256:{TWO}"])
    text = domain.Text("buy gold")
    before, _ = await looked(adapter, text)
    assert before.findings == (Finding("listed", 0.0),)
    file, new = tmp_path / "bad", tmp_path / "new"
    new.write_text(f"sha256:{text_hashes('buy gold')['text']}\n")
    new.replace(file)
    with capture_logs() as logs:
        await until(lambda: logs)
    after, _ = await looked(adapter, text)
    assert logs[0]["event"] == "hash_lists_renewed"
    assert after.findings == (Finding("listed", 1.0), Finding("bad", 1.0))
    assert after.model != before.model
    for broken in ("sha256:123\n", "", None):
        with capture_logs() as logs:
            file.unlink() if broken is None else file.write_text(broken)
            await until(lambda logs=logs: logs)
        assert (logs[0]["event"], logs[0]["log_level"]) == ("hash_lists_not_renewed", "error")
        assert str(file) in logs[0]["problem"]
        still, _ = await looked(adapter, text)
        assert (still.findings, still.model) == (after.findings, after.model)


async def test_a_list_that_cannot_be_read_stops_the_start(opened):
    with pytest.raises(ConfigError, match="bad:2:1: 'abc' does not say"):
        await opened(bad=[f"sha256:{ONE}", "abc"])


# In the gateway

CONFIG = """
providers:
  words: {adapter: local_text}
  known:
    adapter: hash_list
    lists:
      - {file: ./bad.txt, kind: bad, category: hate, name: our-hate}
      - {file: ./fine.txt, kind: good}
routes:
  default:
    text: {ask: [words, known], need: 2, deadline: 10s}
"""


async def moderated(url, **body):
    async with aiohttp.ClientSession(url) as client, client.post("/v1/moderate", json=body) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_a_listed_text_is_blocked_and_one_that_is_not_is_judged_by_the_others(tmp_path):
    poem, praise, curse = "roses are red, violets are blue", "what a lovely day it is", "I will kill you, you idiot"
    (tmp_path / "bad.txt").write_text(f"sha256:{text_hashes(poem)['plain text']}\n")
    fine = [text_hashes(text)["plain text"] for text in (praise, curse)]
    (tmp_path / "fine.txt").write_text("".join(f"sha256:{digest}\n" for digest in fine))
    async with serving(CONFIG, tmp_path) as url:
        bad = await moderated(url, text=poem)
        assert (bad["action"], bad["max_category"], bad["max_score"]) == ("block", "hate", 1.0)
        assert bad["reasons"][0]["category"] == "hate"
        assert {"name": "our-hate", "category": "hate", "confidence": 1.0, "provider": "known", "input": 0} in bad[
            "labels"
        ]

        new = await moderated(url, text="there is a train at noon")
        assert (new["action"], new["degraded"]) == ("allow", False)
        assert "known" not in new["categories"]["hate"]["providers"]
        assert new["categories"]["label/listed"]["score"] == 0.0

        good = await moderated(url, text=praise)
        assert good["categories"]["label/known_good/fine"]["score"] == 1.0
        assert good["action"] == "allow"
        assert good["max_category"] != "label/known_good/fine"
        assert (await moderated(url, text=curse))["action"] != "allow"  # known good lifts nothing


async def test_a_cascade_does_not_end_before_a_list_that_could_change_the_outcome(tmp_path):
    poem = "roses are red, violets are blue"
    (tmp_path / "bad.txt").write_text(f"sha256:{text_hashes(poem)['text']}\n")
    (tmp_path / "fine.txt").write_text(f"sha256:{ONE}\n")
    config = CONFIG.replace("  known:\n", "  more-words: {adapter: local_text}\n  known:\n")
    config = config.replace("ask: [words, known]", "strategy: cascade, ask: [words, more-words, known]")
    async with serving(config, tmp_path) as url:
        answer = await moderated(url, text=poem)
    assert [provider["name"] for provider in answer["providers"]] == ["words", "more-words", "known"]
    assert answer["action"] == "block"


async def test_a_category_is_not_covered_by_a_list_that_does_not_know_the_picture(tmp_path):
    (tmp_path / "bad.txt").write_text(f"sha256:{ONE}\n")
    config = """
providers:
  known: {adapter: hash_list, lists: [{file: ./bad.txt, kind: bad, category: violence/graphic}]}
  nsfw: {adapter: local_image}
routes: {default: {image: {ask: [known, nsfw], need: 2, deadline: 20s}}}
"""
    async with serving(config, tmp_path) as url:
        answer = await moderated(url, images=[{"data": image()}])
    assert answer["categories"]["violence/graphic"] == {
        **answer["categories"]["violence/graphic"],
        "state": "not_covered",
        "score": None,
    }
    assert [provider["status"] for provider in answer["providers"]] == ["ok", "ok"]


@pytest.mark.parametrize(("within", "reasons"), [("20s", []), ("1ms", ["coverage_missing"])])
async def test_a_policy_can_ask_that_the_lists_were_looked_at(tmp_path, within, reasons):
    (tmp_path / "bad.txt").write_text(f"pdq:{ONE}\n")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "strict.yaml").write_text(
        "policy: strict\nsignals: {coverage: {label/listed: {min_providers: 1}}}\nthresholds: {sexual: {review: 1}}\n"
    )
    config = f"""
providers:
  known: {{adapter: hash_list, timeout: {within}, lists: [{{file: ./bad.txt, kind: bad, category: hate}}]}}
  one: {{adapter: local_image}}
  two: {{adapter: local_image}}
routes: {{default: {{image: {{ask: [known, one, two], need: 2, deadline: 20s}}}}}}
policies: {{dir: ./policies, default: strict}}
"""
    async with serving(config, tmp_path) as url:
        answer = await moderated(url, images=[{"data": image()}])
    assert [reason["code"] for reason in answer["reasons"]] == reasons
    assert answer["coverage"]["missing"] == (["label/listed"] if reasons else [])
    assert answer["action"] == ("review" if reasons else "allow")


@pytest.mark.parametrize("ask", ["[known]", "[known, words]"])
async def test_a_list_may_not_be_all_that_answers(tmp_path, ask):
    (tmp_path / "bad.txt").write_text(f"sha256:{ONE}\n")
    (tmp_path / "fine.txt").write_text(f"sha256:{ONE}\n")
    config = CONFIG.replace("ask: [words, known], need: 2", f"ask: {ask}, need: 1")
    with pytest.raises(ConfigError, match=r":11:\d+: need: 1 could be met by known alone.*write need: 2"):
        async with serving(config, tmp_path):
            pass


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ("[{file: a, kind: bad, category: sexual/minor}]", r":4:65: 'sexual/minor' is not .* did you mean"),
        ("[{file: a, kind: bad}]", "names the category of what is on it"),
        ("[{file: a, kind: good, category: hate}]", "one of kind good names none"),
        ("[{file: a, kind: good}, {file: b/a.txt, kind: good}]", "'a' would mean two things"),
        ("[{file: listed.txt, kind: good}]", "'listed' would mean two things"),
        ("[{file: my list.txt, kind: good}]", "is no name for a list"),
        ("[]", "at least 1"),
    ],
)
async def test_settings_that_mean_nothing_are_refused(tmp_path, lists, said):
    config = f"""providers:
  words: {{adapter: local_text}}
  known:
    {{adapter: hash_list, lists: {lists}}}
routes: {{default: {{text: {{ask: [words, known], need: 2}}}}}}
"""
    with pytest.raises(ConfigError, match=said):
        async with serving(config, tmp_path):
            pass
