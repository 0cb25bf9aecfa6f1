#!/usr/bin/env bash
# Sends each row of a CSV file to a model with one FP32 input. It can add a number to
# one column:
#
#   scripts/replay.sh diabetes testdata/drift/diabetes.csv          # without changes
#   scripts/replay.sh diabetes testdata/drift/diabetes.csv bmi 4    # bmi + 4
#
# SLUICE_DATA is the gateway's address (default 127.0.0.1:8000), INPUT the name of
# the input (default "input").
set -euo pipefail
if [ $# -ne 2 ] && [ $# -ne 4 ]; then
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
url=http://${SLUICE_DATA:-127.0.0.1:8000}/v2/models/$1/infer
awk -F, -v input="${INPUT:-input}" -v column="${3:-}" -v shift="${4:-0}" '
  NR == 1 {
    for (i = 1; i <= NF; i++) if ($i == column) moved = i
    if (column != "" && !moved) { print "the file has no column " column > "/dev/stderr"; exit 1 }
    next
  }
  {
    if (moved) $moved += shift
    data = $1
    for (i = 2; i <= NF; i++) data = data "," $i
    printf "{\"inputs\":[{\"name\":\"%s\",\"shape\":[1,%d],\"datatype\":\"FP32\",\"data\":[%s]}]}\n", input, NF, data
  }' "$2" | {
  sent=0
  while read -r body; do
    curl -sSf -o /dev/null "$url" -d "$body"
    sent=$((sent + 1))
  done
  echo "$sent rows sent to $1"
}
