"""Lists of known hashes: read, indexed, and the hash of pictures that are nearly the same."""
