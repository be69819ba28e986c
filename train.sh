#!/bin/sh
# The published command line: sh train.sh s4 config/s4/pvt2.yaml
root=$(dirname "$0")
[ -f "$root/dist/src/cli/main.js" ] || (cd "$root" && npm run --silent build) || exit
exec node "$root/dist/src/cli/main.js" train "$@"
