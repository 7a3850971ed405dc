"""What the command loads before it knows what it is to do: every process of a gateway keeps that in memory."""

import subprocess
import sys

HEAVY = {"alembic", "boto3", "jinja2", "mako", "numpy", "onnxruntime", "openai", "PIL", "polars", "pyarrow", "redis"}
HEAVY |= {"sqlalchemy.ext.asyncio", "sqlalchemy.orm"}


def test_nothing_heavy_is_loaded_that_only_some_need():
    program = "import sys, gateway.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "sqlalchemy" in loaded
    assert HEAVY & loaded == set()
