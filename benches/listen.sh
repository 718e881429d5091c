#!/bin/sh
# The RESP door beside redis-server in one run: requests per second by redis-benchmark, one request at
# a time and 32, and what 5,000 idle connections cost. `make bench-listen` runs it.
set -eu
MOONKV=${MOONKV:-target/release/moonkv}
REQUESTS=${REQUESTS:-200000}
OURS=${OURS_PORT:-16411}
THEIRS=${THEIRS_PORT:-16412}

"$MOONKV" serve --port "$OURS" >/dev/null &
OURS_PID=$!
redis-server --port "$THEIRS" --save '' >/dev/null &
THEIRS_PID=$!
trap 'kill $OURS_PID $THEIRS_PID' EXIT
for port in "$OURS" "$THEIRS"; do
  until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done
done

rate() { # port, depth, then what redis-benchmark is asked for
  port=$1 depth=$2; shift 2
  redis-benchmark -p "$port" -P "$depth" -n "$REQUESTS" -r 100000 --csv "$@" 2>/dev/null |
    tail -n +2 | awk -F'","' '{ gsub(/"/, "", $1); print $1 "\t" $2 }'
}

SHA=$(for port in "$OURS" "$THEIRS"; do
  redis-cli -p "$port" script load "return redis.call('INCR', KEYS[1])"; done | tail -1)

for depth in 1 32; do
  echo "== pipeline of $depth: requests per second, moonkv, redis-server, ratio"
  { for tests in set get incr lpush hset zadd; do
      ours=$(rate "$OURS" "$depth" -t "$tests"); theirs=$(rate "$THEIRS" "$depth" -t "$tests")
      printf '%s\t%s\n' "$ours" "$(echo "$theirs" | cut -f2)"
    done
    ours=$(rate "$OURS" "$depth" evalsha "$SHA" 1 counter | cut -f2)
    theirs=$(rate "$THEIRS" "$depth" evalsha "$SHA" 1 counter | cut -f2)
    printf 'EVALSHA\t%s\t%s\n' "$ours" "$theirs"
  } | awk -F'\t' '{ printf "%-10s %12.0f %12.0f %6.2f\n", $1, $2, $3, $2 / $3 }'
done

memory() { awk '/VmRSS/ { print $2 }' "/proc/$1/status"; }
before=$(memory $OURS_PID)
python3 - "$OURS" <<'PYTHON' &
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (6000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
sockets = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(5000)]
for s in sockets:
    s.sendall(b"PING\r\n")
    assert s.recv(7) == b"+PONG\r\n"
time.sleep(3)
PYTHON
sleep 2.5
echo "== 5,000 idle connections: $(( ($(memory $OURS_PID) - before) / 1024 )) MB"
wait %3 2>/dev/null || true
