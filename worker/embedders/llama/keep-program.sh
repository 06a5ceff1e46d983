#!/bin/sh
# keep-program.sh FOLDER SECONDS PROGRAM [ARGUMENT…]: runs a program that ends when whoever started us has gone.
# Descriptor 0 is the leash: it closes when the other side lets go of it or dies, however it dies. Then the program
# gets SIGTERM, and SIGKILL after SECONDS. Descriptor 3 is told `pid N` and `ended STATUS`. FOLDER ('' for none) is
# removed when the program is gone.
# Expects to lead a process group: signals go to all of it, for the program may be a script around the real one.
folder=$1 grace=$2
shift 2
exec 4<&0 </dev/null

(
  exec 3>&- 4<&- 1>&2
  # When memory runs out, the program is to die and not the worker.
  { echo 500 >/proc/self/oom_score_adj; } 2>/dev/null
  exec "$@"
) &
program=$!
trap '' TERM HUP INT
echo "pid $program" >&3

(
  exec 3>&-
  # Nothing is ever written to the leash: this waits for its end.
  read -r _ <&4
  kill -TERM 0
  tenths=0
  while [ "$tenths" -lt $((grace * 10)) ] && kill -0 "$program" 2>/dev/null; do
    sleep 0.1 2>/dev/null || sleep 1
    tenths=$((tenths + 1))
  done
  [ -z "$folder" ] || rm -rf "$folder"
  kill -KILL 0
) &
exec 4<&-

wait "$program"
echo "ended $?" >&3
[ -z "$folder" ] || rm -rf "$folder"
# What a script has left behind, and the waiting shell.
kill -KILL 0
