#!/bin/sh
# castline-job.sh CAST: one scheduled run that tells exit codes apart.
# Put your own notification in tell().
set -u
cast=${1:?usage: castline-job.sh CAST}
tell() { printf '%s\n' "$1" >&2; }

castline run "$cast" --yes --max-cost "${MAX_COST:-5}" --log-file castline.ndjson --quiet
code=$?
case $code in
0) ;;
3) tell "castline: done, but some characters need a person: castline status $cast" ;;
5) tell "castline: the budget is reached; the next run goes on" ;;
6) tell "castline: a paid call has an unknown outcome: castline resolve $cast" ;;
7) tell "castline: the API key was refused, or there are no funds or no quota left" ;;
11) tell "castline: another run still holds the ledger" ;;
130) tell "castline: interrupted; the next run goes on" ;;
*) tell "castline: failed with exit code $code" ;;
esac
exit $code
