#!/bin/sh
# Makes the secrets of an installation on its first start, a folder for whoever reads them; what is there stays as it is. Compose runs
# it before everything else: no password stands in a file of this repository, and none is the same twice.
#
#   secrets.sh <secrets> [<data>]
#
# <secrets> has the folders app, postgres, redis, minio and grafana. <data> has app, backups, postgres, redis and minio, which are
# given to their accounts: the containers run without the right to do so themselves.
set -eu
umask 077

root=$1
data=${2:-}

# Characters that may stand in a URL.
password() {
  head -c 32 /dev/urandom | base64 | tr -d '=\n' | tr '+/' '-_'
}

# keep <file> <account> <value>: a file that is already there wins. Written beside and renamed: a start that is cut off leaves no half secret.
keep() {
  if [ ! -s "$root/$1" ]; then
    printf '%s\n' "$3" >"$root/$1.new"
    mv "$root/$1.new" "$root/$1"
  fi
  own "$2" "$root/$1"
}

# Only root can give files away; a trial run by somebody else keeps them.
own() {
  if [ "$(id -u)" -eq 0 ]; then chown "$1" "$2"; fi
}

# The accounts of the images.
app=10001:10001
postgres=999:999
redis=999:999
minio=10002:10002
grafana=472:0

keep postgres/password "$postgres" "$(password)"
keep redis/password "$redis" "$(password)"
keep redis/password.conf "$redis" "requirepass $(cat "$root/redis/password")"
keep minio/user "$minio" healthvision
keep minio/password "$minio" "$(password)"
keep grafana/admin-password "$grafana" "$(password)"

# 32 bytes: whoever has this key can read every patient's data. Keep a copy elsewhere.
keep app/master-key "$app" "$(head -c 32 /dev/urandom | base64)"
keep app/bootstrap-admin-password "$app" "$(password)"
keep app/database-url "$app" "postgresql://healthvision:$(cat "$root/postgres/password")@postgres:5432/healthvision"
keep app/redis-url "$app" "redis://:$(cat "$root/redis/password")@redis:6379"
keep app/s3-access-key-id "$app" "$(cat "$root/minio/user")"
keep app/s3-secret-access-key "$app" "$(cat "$root/minio/password")"

# Each folder is the root of a volume: whoever it is for may look into it.
own "$app" "$root/app"
own "$postgres" "$root/postgres"
own "$redis" "$root/redis"
own "$minio" "$root/minio"
own "$grafana" "$root/grafana"
if [ -n "$data" ]; then
  own "$app" "$data/app"
  own "$app" "$data/backups"
  own "$postgres" "$data/postgres"
  own "$redis" "$data/redis"
  own "$minio" "$data/minio"
fi
echo 'The secrets are in place.'
