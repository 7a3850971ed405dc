"""What is said at the door where there is no room, made ready at the start; and how often it was said."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import structlog
from aiohttp import web

from gateway.web.admission import CODES, Admission, no_room
from gateway.web.auth import Caller, Keyring
from gateway.web.endpoint import Endpoint
from gateway.web.metrics import Metrics
from gateway.web.stamps import server_timing

log = structlog.get_logger("modgate.door")

TELL_EVERY = 1.0  # seconds from one log line to the next: there may be thousands of refusals between
_ID = "the-id-goes-here"


class Refusal:
    """The answer of one endpoint to one code, but for the request's id."""

    def __init__(self, endpoint: Endpoint, code: str):
        answer = endpoint.problem(no_room(code), _ID)
        headers = [f"{name}: {said}" for name, said in answer.headers.items()]
        self.route, self.status, self.code = endpoint.path, answer.status, code
        self._head = "\r\n".join([f"HTTP/1.1 {answer.status} {answer.reason}", *headers]).encode().split(_ID.encode())
        self._body = (answer.text or "").encode().split(_ID.encode())

    def told(self, request_id: str, seconds: float) -> bytes:
        """All of it, after so many seconds."""
        name, timing = request_id.encode(), server_timing(seconds * 1000, {}).encode()
        body = name.join(self._body)
        return b"%b\r\nX-Request-Id: %b\r\nServer-Timing: %b\r\nContent-Length: %d\r\n\r\n%b" % (
            name.join(self._head),
            name,
            timing,
            len(body),
            body,
        )


class Address:
    """Where submissions are sent to. `signed`: who sends them shows only once they have been read."""

    def __init__(self, endpoint: Endpoint):
        self.signed = bool(endpoint.signed)
        self.refusals = {code: Refusal(endpoint, code) for code in CODES}


class Doorkeeper:
    """Knows those addresses and who has a key, and counts whom it refused. `coming` are those let in whom the frame has
    still to look at."""

    def __init__(self, keyring: Keyring, admission: Admission, metrics: Metrics, endpoints: Iterable[Endpoint]):
        self.keyring = keyring
        self.coming = 0
        self._admission = admission
        self._metrics = metrics
        self._addresses = {each.path.encode(): Address(each) for each in endpoints if each.admitted}
        self._untold: Counter[tuple[str, str]] = Counter()

    @property
    def presses(self) -> bool:
        """Somebody would find no room now."""
        return bool(self._admission.lacking(batch=True, ahead=self.coming))

    def lacking(self, caller: Caller) -> str:
        """Why there is no room for this caller's; empty where there is."""
        return self._admission.lacking(batch=caller.batch, ahead=self.coming)

    def address(self, data: bytes) -> Address | None:
        """That of the submission which begins here; None where it is no submission, as far as one can see."""
        if not data.startswith(b"POST "):
            return None
        target = data[5 : data.find(b" ", 5)]
        return self._addresses.get(target) or self._addresses.get(target.partition(b"?")[0])

    def refused(self, refusal: Refusal, seconds: float) -> None:
        """That was said, after so many seconds."""
        self._metrics.request(refusal.route, refusal.status, seconds)
        self._metrics.refused(refusal.code)
        self._untold[refusal.route, refusal.code] += 1

    def malformed(self, request_id: str, error: BaseException | None) -> None:
        """Something came that is no HTTP. Its bytes are nobody's business but the sender's."""
        self._metrics.request("unknown", 400, 0.0)
        log.info("malformed_http", id=request_id, error=type(error).__name__)

    async def keep_telling(self) -> None:
        """For ever: a log line for each address at which somebody was refused."""
        while True:
            await asyncio.sleep(TELL_EVERY)
            for (route, code), many in self._untold.items():
                log.info("refused_at_the_door", route=route, code=code, many=many)
            self._untold.clear()


DOORKEEPER = web.AppKey("doorkeeper", Doorkeeper)
