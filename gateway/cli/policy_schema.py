"""`modgate policy schema`: what an editor needs to complete a policy file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from gateway.cli.common import ConfigOption, JsonOption, print_json, stdout
from gateway.cli.policy_files import taxonomy
from gateway.errors import ConfigError
from gateway.policytools.editor import schema as schema_of


def schema(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write it; else it is printed.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the JSON Schema of policy files, with the categories of the taxonomy in it.

    Example: modgate policy schema --out config/policies/policy.schema.json
    """
    made = schema_of(taxonomy())
    if out is None:
        print_json(made)
        return
    try:
        out.write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=str(out)) from None
    if as_json:
        print_json({"file": str(out)})
    else:
        stdout.print(f"Begin your policies with  # yaml-language-server: $schema={out.name}", highlight=False)
