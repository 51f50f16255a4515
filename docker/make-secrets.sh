#!/bin/sh
# Make the secrets that compose.yaml reads; existing ones are kept.
set -eu
cd "$(dirname "$0")/secrets"
umask 077
for name in postgres_password ray_token; do
  [ -s "$name" ] || python3 -c "import secrets; print(secrets.token_hex(32), end='')" > "$name"
  # containers read them as another user
  chmod 0444 "$name"
done
echo "secrets are in $(pwd)"
