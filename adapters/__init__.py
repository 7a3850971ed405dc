"""One file per vendor. README.md here takes a new one from nothing to tested in fifteen minutes."""
