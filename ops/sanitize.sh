#!/bin/sh
# The core of the operator under sanitizers, with its unit tests and damaged files: ops/sanitize.sh [how many of a kind].
#
#   PYTHON  an interpreter with VMZ's packages, which makes the files (.venv/bin/python)
#   SEED    of the files (1)
#   JOBS    compilers at a time (2)
#
# Two builds, build/sanitize/address and build/sanitize/thread: address and undefined behaviour, and data races. Ends
# with status 1 at the first report of a sanitizer.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
count=${1:-200}
python=${PYTHON:-$root/.venv/bin/python}
folder=$root/build/sanitize
mkdir -p "$folder"

rm -rf "$folder/inputs"
(cd "$root" && PYTHONPATH=lib:. "$python" -W ignore -m tests.campaign.inputs "$folder/inputs" \
  --count "$count" --seed "${SEED:-1}")
export ASAN_OPTIONS=max_allocation_size_mb=4096:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1
for kind in address,undefined thread; do
  build=$folder/${kind%%,*}
  echo "== $kind: building in $build"
  if ! { cmake -S "$here" -B "$build" -DVMZ_CAFFE2=OFF -DVMZ_SANITIZE="$kind" >"$build.log" &&
    cmake --build "$build" -j "${JOBS:-2}" >>"$build.log" 2>&1; }; then
    cat "$build.log" >&2
    exit 1
  fi
  "$build/core_test"
  for surface in "$folder"/inputs/*; do
    name=${surface##*/}
    said=$folder/${kind%%,*}.$name.txt
    case $name in
    lmdb) tool=read_lmdb_tool ;;
    records) tool=read_record_tool ;;
    sound) tool=hear_clips_tool ;;
    *) tool=read_clips_tool ;;
    esac
    if ! find "$surface" -type f -print0 | sort -z | xargs -0 "$build/$tool" >"$said" 2>&1; then
      tail -n 60 "$said" >&2
      echo "error: $kind: $tool did not end well on $surface (above)" >&2
      exit 1
    fi
    echo "$kind: $name: $(tail -n 1 "$said")"
  done
done
echo "clean"
