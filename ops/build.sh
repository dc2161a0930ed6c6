#!/bin/sh
# Builds the Caffe2 operator library: ops/build.sh [build folder], build/ops unless told otherwise.
#
#   PYTHON  the Python 3.9 whose torch 1.10.2 it is built against (.venv-caffe2/bin/python)
#   JOBS    compilers at a time (2)
#   CUDA    ON: the CUDA operator too (OFF)
#
# Prints the library's path as its last line. What it needs of the system: ops/README.md.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$here/../build/ops}
python=${PYTHON:-$here/../.venv-caffe2/bin/python}

fail() {
  echo "error: $1" >&2
  exit 2
}

# unpack SUBFOLDER WHEEL...: the headers of wheels, from their include folders on.
unpack() {
  target=$headers/$1
  shift
  "$python" - "$target" "$@" <<'PY'
import pathlib, sys, zipfile

target = pathlib.Path(sys.argv[1])
for wheel in sys.argv[2:]:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            folder, include, header = name.partition("/include/")
            if include and header.endswith((".h", ".hpp")):
                (target / header).parent.mkdir(parents=True, exist_ok=True)
                (target / header).write_bytes(archive.read(name))
PY
}

command -v "$python" >/dev/null || fail "no such Python: $python; run make setup-caffe2, or name one with PYTHON="
for tool in cmake pkg-config c++; do
  command -v "$tool" >/dev/null || fail "$tool is missing; install it (see ops/README.md)"
done
torch=$("$python" -c 'import torch; print(torch.__path__[0] if torch.__version__.startswith("1.10.2") else "")') ||
  fail "$python has no torch; install torch==1.10.2 there"
[ -n "$torch" ] || fail "$python has another torch than 1.10.2, the last that carries Caffe2; run make setup-caffe2"

mkdir -p "$build"
build=$(cd "$build" && pwd)
headers=$build/headers
if [ ! -e "$headers/.ready" ]; then
  rm -rf "$headers" "$build/packages"
  mkdir -p "$headers" "$build/packages"
  # Source only for grpcio-tools, and no build of it: pip asks its setup.py for the name and the version, no more.
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --no-binary grpcio-tools --require-hashes -r "$here/requirements.txt" -d "$build/packages" ||
    fail "cannot fetch the headers in ops/requirements.txt; is the package index reachable?"
  tar -xzf "$build/packages/grpcio-tools-1.34.0.tar.gz" -C "$headers" --strip-components=4 \
    grpcio-tools-1.34.0/third_party/protobuf/src/google
  unpack "" "$build"/packages/mkl_include-*.whl
  touch "$headers/.ready"
fi

if [ "${CUDA:-OFF}" = ON ] && [ ! -e "$headers/cuda/.ready" ]; then
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes -r "$here/requirements-cuda.txt" -d "$build/packages" ||
    fail "cannot fetch the headers in ops/requirements-cuda.txt; is the package index reachable?"
  unpack cuda/ "$build"/packages/nvidia_cuda_*.whl
  touch "$headers/cuda/.ready"
fi

cmake -S "$here" -B "$build" -DVMZ_TORCH="$torch" -DVMZ_HEADERS="$headers" -DVMZ_CUDA="${CUDA:-OFF}" \
  >"$build/configure.log" ||
  { cat "$build/configure.log" >&2; fail "CMake found something missing (above); see ops/README.md"; }
if grep -q "^-- Without optical flow" "$build/configure.log"; then
  echo "without optical flow and images; for them: apt-get install libopencv-video-dev, then ops/build.sh again" >&2
fi
cmake --build "$build" -j "${JOBS:-2}" >"$build/build.log" 2>&1 ||
  { cat "$build/build.log" >&2; fail "it does not compile"; }
echo "$build/libvmz_ops.so"
