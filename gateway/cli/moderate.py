"""`modgate moderate`: one submission through the whole path, without a server."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from gateway.cli.common import ConfigOption, JsonOption, configuration, print_json, stderr, stdout
from gateway.config import Config
from gateway.domain import Action
from gateway.errors import BadContent
from gateway.intake import Picture
from gateway.logs import set_up_logs
from gateway.moderation import Submission
from gateway.record import Record, answer, share
from gateway.service import open_service

_EXIT = {Action.ALLOW: 0, Action.REVIEW: 3, Action.BLOCK: 4}
_COLOUR = {Action.ALLOW: "green", Action.REVIEW: "yellow", Action.BLOCK: "red"}


def moderate(
    images: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE|URL]...", help="Images, judged together.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="The text; - reads it from standard input.")] = None,
    policy: Annotated[str | None, typer.Option(help="Instead of the default policy.")] = None,
    route: Annotated[str | None, typer.Option(help="Instead of the route default.")] = None,
    context: Annotated[list[str] | None, typer.Option(metavar="K=V", help="A fact for the policy; repeatable.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Moderate one submission. Exit 0 allow, 3 review, 4 block.

    Example: modgate moderate --text "A walk on the beach" photo.jpg
    """
    set_up_logs(level=logging.ERROR)  # no more: this is a person's terminal, or a program's pipe
    settings = configuration(config)
    written = sys.stdin.read() if text == "-" else text
    asked = (written, images or [], _facts(context or []), policy, route)
    if stderr.is_terminal:
        with stderr.status("Loading models and asking …"):
            record = asyncio.run(_moderate(settings, *asked))
    else:
        record = asyncio.run(_moderate(settings, *asked))
    if as_json:
        print_json(answer(record))
    else:
        _show(record)
    raise typer.Exit(_EXIT[record.action])


async def _moderate(
    config: Config, text: str | None, images: list[str], context: dict[str, Any], policy: str | None, route: str | None
) -> Record:
    async with open_service(config) as service:
        pictures = [_picture(given, config.limits.image_bytes) for given in images]
        content = await service.intake.content(text, pictures, context)
        locale = context.get("locale")
        return await service.moderator.moderate(
            Submission(content, policy, route, locale=locale if isinstance(locale, str) else None)
        )


def _picture(given: str, cap: int) -> Picture:
    if given.startswith(("http://", "https://")):
        return Picture(given, url=given)
    try:
        with Path(given).open("rb") as file:
            return Picture(given, data=file.read(cap + 1))
    except OSError as error:
        raise BadContent(
            "unreadable_file", f"{given}: {error.strerror}.", hint="Name an image file or a URL."
        ) from None


def _facts(pairs: list[str]) -> dict[str, Any]:
    """`k=v`; a value that is JSON (3, true, [1]) is taken as such, anything else as text."""
    facts: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{pair!r} is not of the form k=v, like country=DE", param_hint="--context")
        try:
            facts[key] = orjson.loads(value)
        except orjson.JSONDecodeError:
            facts[key] = value
    return facts


def _show(record: Record) -> None:
    colour = _COLOUR[record.action]
    headline = Text.assemble(
        (f" {record.action.value.upper()} ", f"bold white on {colour}"), f"  policy {record.policy.name}"
    )
    if record.degraded:
        headline.append("  degraded: somebody who was asked gave no usable answer", "yellow")
    stdout.print(headline)
    for reason in record.decision.reasons:
        score = f"  {share(reason.score):g} from {share(reason.threshold):g}" if reason.score is not None else ""
        stdout.print(
            Text.assemble(("  • ", _COLOUR[reason.action]), f"{reason.code}{score}  ", (reason.message, "dim"))
        )
    stdout.print(_categories(record))
    stdout.print(_providers(record))
    stdout.print(f"[dim]{record.id}  {record.timings.total:.0f} ms[/]", highlight=False)


def _categories(record: Record) -> Table:
    table = Table("category", "score", "", "action", "said by", box=None, padding=(0, 2, 0, 0), header_style="dim")
    scored = [(slug, verdict) for slug, verdict in record.decision.categories.items() if verdict.score is not None]
    for slug, verdict in sorted(scored, key=lambda pair: -(pair[1].score or 0)):
        bar = "█" * round((verdict.score or 0) / 500)
        said_by = ", ".join(f"{name} {share(score):g}" for name, score in verdict.providers.items())
        colour = _COLOUR[verdict.action]
        table.add_row(
            slug, f"{share(verdict.score):.3f}", f"[{colour}]{bar}[/]", f"[{colour}]{verdict.action.value}[/]", said_by
        )
    unseen = [slug for slug, verdict in record.decision.categories.items() if verdict.score is None]
    if unseen:
        shown = ", ".join(unseen[:6]) + (f" and {len(unseen) - 6} more" if len(unseen) > 6 else "")
        table.caption = f"nobody looked for: {shown}"
    return table


def _providers(record: Record) -> Table:
    table = Table("provider", "input", "status", "ms", "model", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for reply in answer(record)["providers"]:
        detail = reply["model"] or reply["error"] or ""
        table.add_row(reply["name"], str(reply["input"]), reply["status"], f"{reply['latency_ms']:.0f}", detail)
    return table
