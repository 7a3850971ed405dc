"""A package, so that `tests.gateway` is not taken for the gateway itself."""
