#!/bin/sh
# castline-job.sh CAST: one scheduled run that distinguishes exit codes.
# Put your own notification in notify().
set -u
cast=${1:?usage: castline-job.sh CAST}
notify() { printf '%s\n' "$1" >&2; }

castline run "$cast" --yes --max-cost "${MAX_COST:-5}" --log-file castline.ndjson --quiet
code=$?
case $code in
0) ;;
3) notify "castline: done, but some characters need a person: castline status $cast" ;;
5) notify "castline: the budget is reached; the next run continues" ;;
6) notify "castline: a paid call has an unknown outcome, and is not repeated: castline status $cast" ;;
7) notify "castline: the API key was refused, or there are no funds or no quota left" ;;
11) notify "castline: another run still holds the ledger" ;;
130) notify "castline: interrupted; the next run continues" ;;
*) notify "castline: failed with exit code $code" ;;
esac
exit $code
