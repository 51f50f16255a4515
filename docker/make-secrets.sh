#!/bin/sh
# Make the secrets that compose.yaml reads, each for the one user that reads it; existing ones are kept.
set -eu
cd "$(dirname "$0")/secrets"
umask 077
random() { python3 -c "import secrets; print(secrets.token_hex(32), end='')"; }
[ -s postgres_password ] || random > postgres_password
[ -s ray_token ] || random > ray_token
# the server's container has a user of its own, and so a copy of its own
[ -s postgres_server_password ] || cat postgres_password > postgres_server_password
chmod 0400 postgres_password postgres_server_password ray_token
if [ "$(id -u)" = 0 ]; then
  chown 10001:10001 postgres_password ray_token
  chown 999:999 postgres_server_password
else
  echo "run this once more as root: the containers' users 10001 and 999 cannot read the files yet" >&2
fi
echo "secrets are in $(pwd)"
