#!/bin/sh
# Prints the path of a Python 3.9: PYTHON39 if that is set, else python3.9 on PATH, pyenv's, or uv's.
# Without one: a sentence on standard error and exit status 2.
works() { # a pyenv shim is on PATH even where the version is not selected, and then fails
  "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != (3, 9))' >/dev/null 2>&1
}

if [ -n "${PYTHON39:-}" ]; then
  works "$PYTHON39" && { command -v "$PYTHON39"; exit 0; }
  echo "error: PYTHON39=$PYTHON39 is not a Python 3.9 with the venv module; name one that is" >&2
  exit 2
fi
for found in "$(command -v python3.9)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.9*/bin/python "$(uv python find 3.9 2>/dev/null)"; do
  if [ -n "$found" ] && works "$found"; then
    echo "$found"
    exit 0
  fi
done
echo "error: no Python 3.9 here (python3.9, pyenv and uv were asked), the last that the Caffe2 wheel serves;" \
  "install one, for example with pyenv install 3.9 or uv python install 3.9, or name one: PYTHON39=/path/to/python3.9" >&2
exit 2
