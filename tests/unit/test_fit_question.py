"""A question whose picture has to be made to fit first: what becomes of it is a Reading or a Failure like any other."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.adapter import LocalAdapter, VendorSettings
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.question import Provider, Question, put
from gateway.domain import Content, Finding, Fitted, Image, Look, Modality, Text
from gateway.errors import VendorRejected, VendorTimeout, VendorUnavailable
from tests.waiting import until

PATIENCE = 30.0  # seconds, where nobody is to run out of them
LARGE, SMALL = Content((Image("aa", (), "large"),)), Content((Image("aa", (), "small"),))
NOTE = Fitted(0, 50, 50, 900, "image/jpeg", "00", 90)


class Vendor(LocalAdapter):
    """Hears what it is asked, and answers or raises."""

    accepts = frozenset(Modality)

    def __init__(self, says=None, **settings):
        super().__init__(VendorSettings.model_validate({"adapter": "scripted", **settings}))
        self.says = says
        self.heard = []

    async def open(self, workshop): ...

    async def look(self, content, send):
        self.heard.append(content)
        if isinstance(self.says, BaseException):
            raise self.says
        await asyncio.sleep(self.says or 0)
        return Look((Finding("hate", 0.0),))


class Fit:
    """Makes SMALL of everything, or raises; knows whether it is still held."""

    def __init__(self, refusal=None):
        self.refusal = refusal
        self.asked = []
        self.held = False

    def __call__(self, content, seconds):
        self.asked.append((content, seconds))
        return self.entered()

    @asynccontextmanager
    async def entered(self):
        if self.refusal:
            raise self.refusal
        self.held = True
        try:
            yield SMALL, (NOTE,)
        finally:
            self.held = False


async def asked(vendor, fit, content=LARGE, deadline=PATIENCE):
    provider = Provider("acme", vendor, lambda *_: (), dict.fromkeys(Modality, frozenset()), None, fit)
    inputs = {part.modality: index for index, part in enumerate(content.inputs)}
    return await put(Question(content, inputs), provider, Deadline.after(deadline))


async def test_the_vendor_sees_what_was_made_for_it_and_the_reading_says_so():
    vendor, fit = Vendor(), Fit()
    reading = await asked(vendor, fit)
    assert (reading.status, reading.fitted, reading.attempts) == ("ok", (NOTE,), 1)
    assert vendor.heard == [SMALL]
    [(content, seconds)] = fit.asked
    assert content is LARGE
    assert 0.5 * PATIENCE < seconds <= PATIENCE
    assert not fit.held


async def test_a_text_is_never_made_to_fit():
    vendor, fit = Vendor(), Fit(AssertionError("nobody asked for it"))
    reading = await asked(vendor, fit, Content((Text("hello"),)))
    assert (reading.status, reading.fitted) == ("ok", ())


async def test_what_is_nothing_to_do_leaves_it_as_it_is():
    vendor = Vendor()
    reading = await asked(vendor, lambda content, seconds: None)
    assert (vendor.heard, reading.fitted) == ([LARGE], ())


async def test_every_attempt_sends_the_same():
    vendor, fit = Vendor(VendorUnavailable("down")), Fit()
    failure = await asked(vendor, fit)
    assert (failure.status, failure.attempts, failure.fitted) == ("unavailable", 2, (NOTE,))
    assert vendor.heard == [SMALL, SMALL]
    assert len(fit.asked) == 1


async def test_a_vendor_that_is_too_slow_was_sent_it_all_the_same():
    vendor, fit = Vendor(60.0, timeout="50ms"), Fit()
    failure = await asked(vendor, fit)
    assert (failure.status, failure.fitted, fit.held) == ("timeout", (NOTE,), False)


@pytest.mark.parametrize(
    ("refusal", "status", "detail"),
    [
        (VendorRejected("the picture cannot be made to fit"), "rejected", "cannot be made to fit"),
        (VendorTimeout("no time was left"), "timeout", "no time"),
        (OSError(28, "No space left on device"), "unavailable", "internal: OSError"),
        (ZeroDivisionError(), "unavailable", "internal: ZeroDivisionError"),
    ],
)
async def test_what_cannot_be_done_is_a_failure_and_the_vendor_is_not_asked(refusal, status, detail):
    vendor = Vendor()
    failure = await asked(vendor, Fit(refusal))
    assert (failure.status, failure.attempts, failure.fitted) == (status, 0, ())
    assert detail in failure.detail
    assert not vendor.heard


async def test_who_is_cancelled_lets_go_of_it():
    vendor, fit = Vendor(60.0), Fit()
    asking = asyncio.create_task(asked(vendor, fit))
    await until(lambda: vendor.heard)
    assert fit.held
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not fit.held
