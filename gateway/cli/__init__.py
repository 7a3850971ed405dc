"""`modgate`, the command line: `modgate --help`."""
