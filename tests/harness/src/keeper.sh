# Runs a server, and ends it when its owner ends: sh -c KEEPER keeper LOG FOLDER SERVER ARGUMENT...
# The owner holds the other end of stdin, and the system closes it in whatever way the owner ends.
# Until then each line of stdin names a signal to send, acknowledged by a line on stdout.
# FOLDER, where not empty, is removed once the server has ended. The exit status is the server's.
log=$1 folder=$2
shift 2
exec 3<&0
exec "$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
# An owner that died reads nothing more; its server must end all the same.
trap '' PIPE
exec 2>/dev/null
echo "$server"
{
    while read -r signal <&3; do
        kill -s "$signal" "$server"
        echo "$signal"
    done
    kill -s KILL "$server"
} &
watcher=$!
exec >&-
wait "$server"
status=$?
kill -s KILL "$watcher"
wait "$watcher"
[ -z "$folder" ] || rm -rf "$folder"
exit "$status"
