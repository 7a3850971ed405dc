#!/bin/sh
# Installs the servers that tests start for themselves, each test its own, on a free port. Needs apt and root.
set -eu
refuse() {
    echo "The tests start a redis-server of their own, and there is none here: $1." >&2
    echo "Install it (Debian, Ubuntu: apt-get install redis-server), then make test again." >&2
    exit 1
}
command -v apt-get >/dev/null || refuse "this machine has no apt-get to install it with"
[ "$(id -u)" = 0 ] || refuse "installing it takes root"
echo "Installing redis-server for the tests …"
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # RUNLEVEL: the package's own service stays down
log=$(mktemp)
if ! { apt-get update && apt-get install --yes --no-install-recommends redis-server; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    refuse "apt-get could not install it, see above"
fi
rm -f "$log"
command -v redis-server >/dev/null || refuse "apt-get installed it, and it is not in PATH"
