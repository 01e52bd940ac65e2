#!/bin/sh
# Measures the ledger on both engines and prints a Markdown table.
# Usage: bench/ledger.sh [-leaves N] [-time 5s] ...   (go run ./bench/ledger -h)
# PostgreSQL takes part when HOLDFAST_TEST_POSTGRES is set.
set -eu
cd "$(dirname "$0")/.."
exec go run ./bench/ledger "$@"
