# Runs "$@" and ends it when this shell's input closes, which the kernel does when the parent dies, however it dies.
# Its output is two lines: the pid of the program, then its exit code (128 + the signal, if one ended it).
exec 3<&0 4>&1 </dev/null >&2
"$@" 3<&- 4>&- &
program=$!
echo "$program" >&4
{
    read -r _ <&3
    kill -TERM "$program"
    tries=0
    while kill -0 "$program" && [ "$tries" -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -KILL 0
} 2>/dev/null 4>&- &
wait "$program"
echo "$?" >&4
# The whole process group: the watcher above, and whatever the program left behind.
kill -KILL 0
