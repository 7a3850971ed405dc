"""What the image's HEALTHCHECK runs: exit 0 where the gateway answers at the address that it wrote down.

`modgate serve` writes it to $MODGATE_ADDRESS_FILE once it listens, whatever --config, --port or ${…} said. Nothing but
the standard library, since it runs every ten seconds: 0.05 s of CPU, where reading the configuration takes 0.4.
"""

import http.client
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

PATIENCE = 2.0  # seconds


def problem() -> str:
    """What is wrong; empty where nothing is. No proxy of the environment is asked: it is this container's own."""
    try:
        address = urlsplit(Path(os.environ["MODGATE_ADDRESS_FILE"]).read_text(encoding="utf-8").strip())
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (KeyError, ValueError, OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    return "" if status == 200 else f"/healthz answers {status}"


if __name__ == "__main__":
    sys.exit(problem() or 0)
