#!/bin/sh
# Installs a server that the Valkey tests can start, where that needs nobody's leave: as root on Debian and its kin.
# The package would start a service of its own, which the tests neither need nor use: policy-rc.d says no, while it installs.
set -eu
command -v valkey-server >/dev/null && exit 0
command -v redis-server >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo 'Neither valkey-server nor redis-server is installed, and this is not root on Debian. Install one.' >&2
  exit 1
fi
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends redis-server >&2 || {
  apt-get update >&2
  apt-get install -y --no-install-recommends redis-server >&2
}
