#!/bin/sh
# Builds the Caffe2 operator library: ops/build.sh [build folder], build/ops unless told otherwise.
#
#   PYTHON  the Python 3.9 whose torch 1.10.2 it is built against (.venv-caffe2/bin/python)
#   JOBS    compilers at a time (2)
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
  "$python" - "$build/packages" "$headers" <<'PY'
import pathlib, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("mkl_include-*.whl"))
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.endswith(".h") and "/include/" in name:
            (pathlib.Path(sys.argv[2]) / pathlib.PurePath(name).name).write_bytes(archive.read(name))
PY
  touch "$headers/.ready"
fi

cmake -S "$here" -B "$build" -DVMZ_TORCH="$torch" -DVMZ_HEADERS="$headers" -DVMZ_CUDA="${CUDA:-OFF}" >"$build/configure.log" ||
  { cat "$build/configure.log" >&2; fail "CMake found something missing (above); see ops/README.md"; }
cmake --build "$build" -j "${JOBS:-2}" >"$build/build.log" 2>&1 || { cat "$build/build.log" >&2; fail "it does not compile"; }
echo "$build/libvmz_ops.so"
