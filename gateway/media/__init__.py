"""Pictures and addresses from strangers: fetched past a guard, decoded in a pool that may be killed, made plain."""
