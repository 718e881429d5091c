#!/bin/sh
# The RESP door beside redis-server: requests per second by redis-benchmark, one request at a time and
# 32, in several rounds in which the two take turns: shown is the middle of each column, so that the
# ratio is the middle of the rounds' ratios; before that what 5,000 idle connections cost.
# `make bench-listen` runs it. Needs two processors that nobody else uses.
set -eu
MOONKV=${MOONKV:-target/release/moonkv}
REQUESTS=${REQUESTS:-100000}
ROUNDS=${ROUNDS:-5}
DEPTHS=${DEPTHS:-1 32}
TESTS=${TESTS:-get set incr lpush hset zadd evalsha}
OURS=${OURS_PORT:-16411}
THEIRS=${THEIRS_PORT:-16412}

command -v "$MOONKV" redis-server redis-benchmark >/dev/null
"$MOONKV" serve --port "$OURS" >/dev/null &
OURS_PID=$!
FOLDER=$(mktemp -d)
redis-server --port "$THEIRS" --save '' --dir "$FOLDER" >/dev/null &
THEIRS_PID=$!
trap 'kill $OURS_PID $THEIRS_PID; rm -r "$FOLDER"' EXIT
for port in "$OURS" "$THEIRS"; do
  until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done
done

memory() { awk '/VmRSS/ { print $2 }' "/proc/$1/status"; }
idle() { # process, port: kB that 5,000 idle connections take
  before=$(memory "$1")
  python3 - "$2" "$1" <<'PYTHON'
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (6000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
sockets = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(5000)]
for s in sockets:
    s.sendall(b"PING\r\n")
    assert s.recv(7) == b"+PONG\r\n"
status = open(f"/proc/{sys.argv[2]}/status").read()
print(status.split("VmRSS:")[1].split()[0])
PYTHON
  echo "$before"
}
echo "== 5,000 idle connections: kB they take, kB of the process"
for server in "moonkv $OURS_PID $OURS" "redis-server $THEIRS_PID $THEIRS"; do
  set -- $server
  idle "$2" "$3" | awk -v name="$1" 'NR == 1 { all = $1 } NR == 2 { base = $1 }
    END { printf "%-14s %10d %10d\n", name, all - base, all }'
done

SHA=$(for port in "$OURS" "$THEIRS"; do
  redis-cli -p "$port" script load "return redis.call('INCR', KEYS[1])"; done | tail -1)

rate() { # port, depth, test: requests per second
  case $3 in
    evalsha) set -- "$1" "$2" evalsha "$SHA" 1 counter ;;
    # What redis-benchmark asks where random numbers are asked for.
    zadd) set -- "$1" "$2" zadd myzset 0 element:__rand_int__ ;;
    hset) set -- "$1" "$2" hset myhash element:__rand_int__ xxx ;;
    *) set -- "$1" "$2" -t "$3" ;;
  esac
  port=$1 depth=$2; shift 2
  redis-benchmark -p "$port" -P "$depth" -n $((REQUESTS * (depth > 1 ? 10 : 1))) -r 100000 --csv \
    "$@" 2>/dev/null | awk -F'","' 'END { print $2 }'
}

middle() { sort -g | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

for depth in $DEPTHS; do
  echo "== pipeline of $depth: requests per second, moonkv, redis-server, ratio"
  for name in $TESTS; do
    rounds=$(for round in $(seq "$ROUNDS"); do
      echo "$(rate "$OURS" "$depth" "$name") $(rate "$THEIRS" "$depth" "$name")"
    done | awk '{ print $1, $2, $1 / $2 }')
    column() { echo "$rounds" | cut -d ' ' -f "$1" | middle; }
    printf '%-10s %12.0f %12.0f %6.2f\n' "$name" "$(column 1)" "$(column 2)" "$(column 3)"
    for port in "$OURS" "$THEIRS"; do redis-cli -p "$port" flushall >/dev/null; done
  done
done
