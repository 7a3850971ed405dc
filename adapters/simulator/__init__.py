"""Every vendor in one process, for rehearsals and for tests: see docs/simulator.md.

    server.py     one port: finds the vendor, lets it answer, lets faults have their way, sends
    control.py    /_simulator: faults, calls and pictures, while it runs · journal.py  what was asked, without keys
    script.py     the file that says what is true and what goes wrong
    truth.py      what is true of a content, in our categories · words.py  the same in a vendor's labels
    faults.py     which call is hit by what · spoiling.py  answers made wrong · limit.py  requests a second
    wire.py       what a vendor is told in: Heard, Answer, Trouble, Vendor · images.py  pictures
    <vendor>.py   one vendor's wire each: paths, keys, limits, errors, labels

A vendor here knows its wire from the vendor's own pages and shares no code with the adapter that reads it, but for the
signature of SigV4 and the tables in config/vendors.
"""

from adapters.simulator.script import read
from adapters.simulator.server import running

__all__ = ["read", "running"]
