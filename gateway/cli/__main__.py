"""`python -m gateway.cli`: how `serve --workers` starts its processes."""

from gateway.cli.main import main

main()
