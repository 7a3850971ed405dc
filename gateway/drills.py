"""Drills: one provider is made to fail on purpose, for a time, to see what becomes of decisions meanwhile.

In `shadow` a stand-in fails: the same adapter and table, with a breaker, budget and turns of its own, reached by routes
that only the drill knows. Nobody else notices anything. In `live` the provider itself fails, for everybody.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog
from msgspec import structs

from gateway.dispatch.breaker import Circuit
from gateway.dispatch.fanout import Route
from gateway.dispatch.question import Provider
from gateway.dispatch.rehearsal import Rehearsal, Scenario
from gateway.dispatch.strategies import Leg
from gateway.domain import Modality
from gateway.errors import BadContent, Conflict, Forbidden, NotFound
from gateway.suggest import did_you_mean
from gateway.witness import Witness

log = structlog.get_logger("modgate.drills")

LONGEST = 600.0  # seconds; a drill that nobody ends is over then
_VENDOR = 2  # the tier of providers that are asked over a network
_NAME_LENGTH = 64  # characters that a route's name may have in a request


@dataclass(slots=True)
class Drill:
    """One that is on. `routes` are those to send to, by the names of the routes they are like; `ends` is loop time."""

    id: str
    provider: str
    scenario: Scenario
    live: bool
    routes: Mapping[str, str]
    rehearsal: Rehearsal
    ends: float = 0.0
    timer: asyncio.TimerHandle | None = None

    def as_dict(self) -> dict[str, Any]:
        """For those who ask how it stands."""
        return {
            "id": self.id,
            "provider": self.provider,
            "scenario": self.scenario.value,
            "mode": "live" if self.live else "shadow",
            "share": self.rehearsal.share,
            "ends_in_s": round(max(0.0, self.ends - asyncio.get_running_loop().time()), 3),
            "calls": self.rehearsal.calls,
            "spoiled": self.rehearsal.spoiled,
            "routes": self.routes,
        }


class Drills:
    """At most one for each provider. `routes` are those of the spine, which a drill in shadow adds its own to.

    `allowed` is `server.drills`.
    """

    def __init__(
        self, allowed: bool, providers: Mapping[str, Provider], routes: dict[str, Route], witness: Witness
    ) -> None:
        self._allowed = allowed
        self._providers = providers
        self._routes = routes
        self._witness = witness
        self._on: dict[str, Drill] = {}

    def of(self, provider: str) -> Drill | None:
        """The drill of this provider, if one is on."""
        return self._on.get(provider)

    def set(self, provider: str, scenario: Scenario, live: bool, share: float, seconds: float) -> Drill:
        """Begin one, or give the one that is on another share and so many more seconds.

        Raises Forbidden where the gateway does not allow it, NotFound, Conflict where another is on, and BadContent.
        """
        drill = self._on.get(provider)
        if drill is None:
            drill = self._begun(self._fit(provider), scenario, live, share)
        elif (drill.scenario, drill.live) != (scenario, live):
            detail = f"'{provider}' has a drill: {drill.scenario} in {'live' if drill.live else 'shadow'}."
            raise Conflict("drill_under_way", detail, hint="End it with DELETE, or wait.")
        drill.rehearsal.share = share
        self._end_after(drill, seconds)
        log.warning("drill", **drill.as_dict())
        return drill

    def end(self, provider: str) -> Drill:
        """As if nothing had been. Raises NotFound."""
        drill = self._on.pop(provider, None)
        if drill is None:
            raise NotFound(
                "no_drill", f"There is no drill of '{provider[:64]}'.", hint="GET /v1/providers shows those."
            )
        if drill.timer is not None:
            drill.timer.cancel()
        if drill.live:
            self._providers[provider].send = drill.rehearsal.send
        else:
            for name in drill.routes.values():
                del self._routes[name]
        self._witness.drilled(provider, drill.scenario.value, False)
        log.warning("drill_ended", **drill.as_dict())
        return drill

    def close(self) -> None:
        """End all."""
        for provider in list(self._on):
            self.end(provider)

    def _fit(self, name: str) -> Provider:
        """The provider, if it can have a drill."""
        if not self._allowed:
            hint = "Whoever runs this gateway sets server.drills: true."
            raise Forbidden("drills_off", "Drills are not allowed here.", hint=hint)
        provider = self._providers.get(name)
        if provider is None:
            hint = did_you_mean(name, self._providers) or f"Providers are {', '.join(self._providers)}."
            raise NotFound("unknown_provider", f"There is no provider '{name[:64]}'.", hint=hint)
        if provider.adapter.tier != _VENDOR:
            hint = "Take one that is asked over the network."
            raise BadContent("no_drill_possible", f"'{name}' works in this process.", hint=hint)
        return provider

    def _begun(self, provider: Provider, scenario: Scenario, live: bool, share: float) -> Drill:
        if live:
            _check_live(scenario)
        rehearsal = Rehearsal(provider, scenario, share)
        id = f"drill-{secrets.token_hex(6)}"
        asking = {name: route for name, route in self._routes.items() if _asks(route, provider)}
        if not asking:
            raise BadContent("no_drill_possible", f"No route asks '{provider.name}'.", hint="Take one that is asked.")
        if live:
            routes = {name: name for name in asking}
            provider.send = rehearsal
        else:
            routes = {name: f"{id}-{place}.{name}"[:_NAME_LENGTH] for place, name in enumerate(asking)}
            stand_in = replace(provider, send=rehearsal, translate=rehearsal.translate, on_change=_unheard)
            self._routes.update({routes[name]: _with(route, provider, stand_in) for name, route in asking.items()})
        drill = self._on[provider.name] = Drill(id, provider.name, scenario, live, routes, rehearsal)
        self._witness.drilled(provider.name, scenario.value, True)
        return drill

    def _end_after(self, drill: Drill, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if drill.timer is not None:
            drill.timer.cancel()
        drill.ends = loop.time() + seconds
        drill.timer = loop.call_later(seconds, self.end, drill.provider)


def _check_live(scenario: Scenario) -> None:
    if scenario is Scenario.SHIFT:
        detail = "Scores are shifted in shadow only: what is remembered of them would outlive the drill."
        raise BadContent("no_drill_possible", detail, hint="Take mode: shadow.", at="/mode")


def _asks(route: Route, provider: Provider) -> bool:
    return any(provider in leg.providers for leg in route.legs.values())


def _with(route: Route, provider: Provider, stand_in: Provider) -> Route:
    """The same route, and of the same name in the evidence, with another in the provider's place."""

    def swapped(several: tuple[Provider, ...]) -> tuple[Provider, ...]:
        return tuple([stand_in if one is provider else one for one in several])

    def leg_with(leg: Leg) -> Leg:
        return structs.replace(leg, ask=swapped(leg.ask), fallback=swapped(leg.fallback), shadow=swapped(leg.shadow))

    return Route(route.name, {modality: leg_with(leg) for modality, leg in route.legs.items()})


def _unheard(name: str, operation: Modality, circuit: Circuit) -> None:
    """The breaker of a stand-in is no news."""
