"""Pictures lent by address: to be had under the right address, for a while, by every process on the folder."""

import asyncio
import stat
from io import BytesIO

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.media.outbox import Outbox

URL = "https://mod.example.com/gate"


def picture(form="JPEG"):
    held = BytesIO()
    PIL.Image.new("RGB", (32, 32), "olive").save(held, form)
    return held.getvalue()


def token(letter):
    assert letter.url.startswith(URL + "/v1/media/")
    return letter.url.rpartition("/")[2]


def mode(file):
    return stat.S_IMODE(file.stat().st_mode)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
async def test_it_is_there_while_it_is_lent_and_not_after(tmp_path, form):
    outbox = await Outbox.open(tmp_path / "new" / "var", URL)
    async with outbox.lent(picture(form), 60.0) as letter:
        assert await outbox.read(token(letter)) == (picture(form), f"image/{form.lower()}")
        [file] = (tmp_path / "new/var/outbox").iterdir()
        assert (mode(file), mode(file.parent), mode(tmp_path / "new/var/outbox.key")) == (0o600, 0o700, 0o600)
    assert await outbox.read(token(letter)) is None
    assert not list((tmp_path / "new/var/outbox").iterdir())


async def test_every_process_on_the_folder_hands_it_out(tmp_path):
    boxes = await asyncio.gather(*(Outbox.open(tmp_path, URL) for _ in range(8)))  # all make the key at once
    async with boxes[0].lent(picture(), 60.0) as letter:
        assert [await box.read(token(letter)) for box in boxes] == [(picture(), "image/jpeg")] * 8
    elsewhere = await Outbox.open(tmp_path / "other", URL)
    async with boxes[0].lent(picture(), 60.0) as letter:
        assert await elsewhere.read(token(letter)) is None


async def test_two_questions_about_one_picture_have_two_addresses(tmp_path):
    outbox = await Outbox.open(tmp_path, URL)
    async with outbox.lent(picture(), 60.0) as one:
        async with outbox.lent(picture(), 60.0) as two:
            assert one.url != two.url and one.sha256 == two.sha256
        assert await outbox.read(token(one))


async def test_it_expires_and_is_swept_out(tmp_path):
    outbox = await Outbox.open(tmp_path, URL)
    async with outbox.lent(picture(), 0.05) as letter:
        await asyncio.sleep(0.1)
        assert await outbox.read(token(letter)) is None
    left = outbox.lent(picture(), 0.01)
    await left.__aenter__()  # and then the process is killed
    await asyncio.sleep(0.05)
    (tmp_path / "outbox" / "notes.txt").write_text("somebody else's")
    async with outbox.lent(picture(), 60.0):
        assert len(list((tmp_path / "outbox").iterdir())) == 2


async def test_other_bytes_than_those_signed_are_not_handed_out(tmp_path):
    outbox = await Outbox.open(tmp_path, URL)
    async with outbox.lent(picture(), 60.0) as letter:
        [file] = (tmp_path / "outbox").iterdir()
        file.write_bytes(picture("PNG"))
        assert await outbox.read(token(letter)) is None


async def test_it_is_taken_back_from_who_is_cancelled(tmp_path):
    outbox, lent = await Outbox.open(tmp_path, URL), asyncio.Event()

    async def ask():
        async with outbox.lent(picture(), 60.0):
            lent.set()
            await asyncio.sleep(5)

    asking = asyncio.create_task(ask())
    await lent.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not list((tmp_path / "outbox").iterdir())


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_nothing_but_the_address_itself_leads_to_it(tmp_path_factory, data):
    async def tried():
        outbox = await Outbox.open(tmp_path_factory.getbasetemp() / "forged", URL)
        async with outbox.lent(picture(), 60.0) as letter:
            real = token(letter)
            at = data.draw(st.integers(0, 63))
            other = ALPHABET[(ALPHABET.index(real[at]) + data.draw(st.integers(1, 63))) % 64]
            assert await outbox.read(real[:at] + other + real[at + 1 :]) is None
            assert await outbox.read(data.draw(st.text(ALPHABET, min_size=64, max_size=64))) is None
            assert await outbox.read(data.draw(st.text(max_size=80))) is None
            assert await outbox.read(real[:at]) is None
            assert await outbox.read(real) == (picture(), "image/jpeg")

    asyncio.run(tried())


async def test_a_key_that_is_none_and_a_folder_that_is_none_stop_the_start(tmp_path):
    (tmp_path / "outbox.key").write_bytes(b"short")
    with pytest.raises(ConfigError, match=r"outbox\.key is no key of ours"):
        await Outbox.open(tmp_path, URL)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"storage\.dir"):
        await Outbox.open(tmp_path / "file", URL)


async def test_no_room_is_an_error_of_ours(tmp_path):
    outbox = await Outbox.open(tmp_path, URL)
    (tmp_path / "outbox").rmdir()
    with pytest.raises(OSError):
        async with outbox.lent(picture(), 60.0):
            pytest.fail("it was sent")
