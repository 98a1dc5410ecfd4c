#!/bin/sh
# castline-job.sh CAST [OPTIONS]: one scheduled run that distinguishes exit codes.
# ENV_FILE names a file of NAME=VALUE lines with the secrets, as systemd reads them: nothing in it is run.
# The budget is that of castline.toml or CASTLINE_API_MAX_COST_USD; MAX_COST, in dollars, goes before it.
# Put your own notification in notify(), or set notify.url.
set -u
cast=${1:?usage: castline-job.sh CAST [OPTIONS]}
shift
notify() { printf '%s\n' "$1" >&2; }

if [ -n "${ENV_FILE:-}" ]; then
  if [ ! -r "$ENV_FILE" ]; then
    notify "castline: $ENV_FILE can't be read"
    exit 2
  fi
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
    [A-Za-z_]*=*) ;;
    *) continue ;; # a comment, or nothing
    esac
    value=${line#*=}
    case $value in
    \'*\' | \"*\")
      value=${value#?}
      value=${value%?}
      ;;
    esac
    export "${line%%=*}=$value"
  done <"$ENV_FILE"
fi

castline run "$cast" --yes ${MAX_COST:+--max-cost "$MAX_COST"} --log-file castline.ndjson --quiet "$@"
code=$?
case $code in
0) ;;
3)
  # The run is done; some characters need a person. Not a failure of the job, as in the other samples.
  notify "castline: done, but some characters need a person: castline status $cast"
  exit 0
  ;;
5) notify "castline: the budget is reached; the next run continues" ;;
6) notify "castline: a paid call has an unknown outcome, and is not repeated: castline status $cast" ;;
7) notify "castline: the API key was refused, or there are no funds or no quota left" ;;
11) notify "castline: another run still holds the ledger" ;;
130) notify "castline: interrupted; the next run continues" ;;
*) notify "castline: failed with exit code $code" ;;
esac
exit $code
