"""`modgate policy`: the tools of those who write policies, one file a command."""

from __future__ import annotations

import typer

from gateway.cli.policy_backtest import backtest
from gateway.cli.policy_bench import bench
from gateway.cli.policy_check import check
from gateway.cli.policy_compile import compile_
from gateway.cli.policy_diff import diff
from gateway.cli.policy_explain import explain
from gateway.cli.policy_schema import schema
from gateway.cli.policy_test import test

policy = typer.Typer(
    help="Check, test and compare policies.\n\nExample: modgate policy check policies/social.yaml",
    no_args_is_help=True,
)
policy.command("check")(check)
policy.command("schema")(schema)
policy.command("test")(test)
policy.command("diff")(diff)
policy.command("explain")(explain)
policy.command("backtest")(backtest)
policy.command("bench")(bench)
policy.command("compile")(compile_)
