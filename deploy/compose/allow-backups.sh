#!/usr/bin/env bash
# Run once by the image of Postgres, when it has made the database: the owner may copy the server (pg_basebackup) from the networks that
# it is in. The image lets clients of the database in by itself, but not those of the log.
set -euo pipefail
echo 'host replication bellhop samenet scram-sha-256' >>"$PGDATA/pg_hba.conf"
