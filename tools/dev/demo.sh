#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The demonstration behind ./dev demo: starts a server, copies a file to its volume and to its bucket
# and back, compares, measures, says on one screen what happened, and leaves nothing behind.
#
# usage: demo.sh [--netstord PROGRAM] [--tool PROGRAM] [--seconds N] [FILE]
#
# Exit status: 0 the file came back the same, 1 something failed, 2 the command line, 128+N ended by signal N.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
netstord=$root/build/release/server/netstord
tool=$root/build/release/tools/netstor/netstor
seconds=2
file=

fail() {
  printf 'demo: %s\n' "$2" >&2
  exit "$1"
}

while [[ $# -gt 0 ]]; do
  case $1 in
    --netstord) netstord=${2:?--netstord needs a program} && shift ;;
    --tool) tool=${2:?--tool needs a program} && shift ;;
    --seconds) seconds=${2:?--seconds needs a number} && shift ;;
    -*) fail 2 "no such option: $1; usage: ./dev demo [FILE]" ;;
    *)
      [[ -z $file ]] || fail 2 "one file at a time; usage: ./dev demo [FILE]"
      file=$1
      ;;
  esac
  shift
done

if [[ -z $file ]]; then
  # Something real and large that is on every machine that could build this.
  file=$(g++ -print-prog-name=cc1plus 2>/dev/null || true)
  [[ -f $file ]] || file=$tool
fi
[[ -e $file ]] || fail 2 "$file: no such file"
[[ -f $file && -r $file ]] || fail 2 "$file: not a file that can be read"
[[ -s $file ]] || fail 2 "$file: empty, there is nothing to show"
for program in "$netstord" "$tool"; do
  [[ -x $program ]] || fail 1 "$program is missing; ./dev demo builds it"
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/netstor-demo-XXXXXX")
server_pid=
step_pid=

# clean_up: whatever happens, the server ends and the files go. SIGTERM lets it end in order; after a while it
# is not asked any more.
clean_up() {
  local pid i
  for pid in $step_pid $server_pid; do kill "$pid" 2>/dev/null || true; done
  for pid in $step_pid $server_pid; do
    for ((i = 0; i < 100; ++i)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# step COMMAND...: in the background and waited for, because bash hears signals while it waits and not while
# a command runs.
step() {
  local status=0
  "$@" &
  step_pid=$!
  wait "$step_pid" || status=$?
  step_pid=
  return "$status"
}

start_server() {
  local bytes options=() i
  # The default volume is 1 GiB; what is larger gets one that fits.
  bytes=$(stat -L -c %s "$file")
  if ((bytes > 1 << 30)); then options=(--volume "default=$(((bytes + 1048575) / 1048576 * 1048576))"); fi
  "$netstord" --state "$scratch/state" --listen 127.0.0.1:0 --s3-listen 127.0.0.1:0 --bucket demo \
    --port-file "$scratch/port" --log-level warning "${options[@]}" </dev/null >"$scratch/server.log" 2>&1 &
  server_pid=$!
  for ((i = 0; i < 600; ++i)); do
    [[ -s $scratch/port ]] && return 0
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.05
  done
  cat "$scratch/server.log" >&2
  fail 1 "netstord did not start"
}

# fact FILE EXPRESSION: a value out of a JSON document that the tool printed; `d` is the document.
fact() {
  python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"
}

# moved FILE: "35,464,168 bytes in 0.13 s, 262 MiB/s; 0 bytes were copied in user space".
moved() {
  fact "$1" '"{:,} bytes in {:.2f} s, {:.0f} MiB/s; {} bytes were copied in user space".format(
    d["bytes"], d["seconds"], d["bytes_per_second"] / 2**20, d["metrics"]["copied_bytes"])'
}

# there_and_back URI NAME MORE...: copies the file there and back, compares, keeps what was said in NAME.*;
# MORE goes to the second copy.
there_and_back() {
  local uri=$1 name=$2 after
  step "$tool" cp "$file" "$uri" --json >"$scratch/$name.there" || fail 1 "copying to the $name failed"
  step "$tool" cp "$uri" "$scratch/$name.copy" "${@:3}" --json >"$scratch/$name.back" ||
    fail 1 "copying back from the $name failed"
  after=$(sha256sum <"$scratch/$name.copy")
  [[ $before == "$after" ]] ||
    fail 1 "what came back from the $name differs: SHA-256 ${before%% *} became ${after%% *}"
  rm "$scratch/$name.copy"
}

# latency FILE: "p50 21.9 µs, p99 40.1 µs" out of a measurement.
latency() {
  fact "$1" '"p50 {:.0f} µs, p99 {:.0f} µs".format(*(d["latency"][k] / 1e3 for k in ("p50_ns", "p99_ns")))'
}

start_server
{ read -r nvme_port && read -r s3_port; } <"$scratch/port"
server=nvme+tcp://127.0.0.1:$nvme_port
export AWS_ENDPOINT_URL=http://127.0.0.1:$s3_port AWS_SHARED_CREDENTIALS_FILE=$scratch/state/s3-keys
export AWS_PROFILE=default AWS_REGION=us-east-1 AWS_CONFIG_FILE=/dev/null
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_ENDPOINT_URL_S3
bucket=s3://demo
object=$bucket/file
"$tool" discover "$server" --json >"$scratch/discovered.json"
volume=$(fact "$scratch/discovered.json" 'next(s["uri"] for s in d["subsystems"] if not s["discovery"])')
before=$(sha256sum <"$file")
there_and_back "$volume" volume --length "$(stat -L -c %s "$file")"
there_and_back "$object" bucket
"$tool" info "$volume" --json >"$scratch/info.json"
driver=$(fact "$scratch/info.json" 'd["io_driver"]')
step "$tool" bench "$volume" --seconds "$seconds" >"$scratch/bench" ||
  fail 1 "the measurement of the volume failed"
for rw in get put; do
  step "$tool" bench "$bucket" --rw "$rw" --seconds "$seconds" --json >"$scratch/$rw" ||
    fail 1 "the measurement of the bucket failed"
done

cat <<SCREEN
A server was started; a file went over the network's protocols to its volume and to its bucket, and came back:

  file      $file
  server    netstord, one process with a volume and a bucket of its own in a scratch folder

  volume    $volume
  there     $(moved "$scratch/volume.there"), flushed
  back      $(moved "$scratch/volume.back")
  bucket    $object at $AWS_ENDPOINT_URL
  there     $(moved "$scratch/bucket.there"), stored for good
  back      $(moved "$scratch/bucket.back")
  same      yes, both: SHA-256 ${before%% *}

The way of the bytes, all in user space but for the kernel's TCP; no mount, no kernel module, no root:

  file -> [netstor cp: NVMe/TCP initiator, $driver] -> TCP -> [netstord: NVMe/TCP target] -> disk
  file -> [netstor cp: S3 client, $driver] -> HTTP -> [netstord: S3 endpoint] -> disk

How long does one request take? Of an object of 4 KiB: get $(latency "$scratch/get"),
put $(latency "$scratch/put"); of the volume:

SCREEN
sed 's/^\(.\)/  \1/' "$scratch/bench"
cat <<'SCREEN'

Everything was stopped and removed again. To look around yourself:
  build/release/server/netstord --bucket demo &
  build/release/tools/netstor/netstor discover nvme+tcp://127.0.0.1
SCREEN
