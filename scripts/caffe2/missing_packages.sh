#!/bin/sh
# Prints the Debian packages that building ops/ still needs here, on one line; an empty line where nothing is missing.
missing=""
has() { command -v "$1" >/dev/null || missing="$missing $2"; }
has cmake cmake
has c++ g++
has pkg-config pkg-config
for library in libavformat libavcodec libavutil libswscale; do
  pkg-config --exists "$library" 2>/dev/null || missing="$missing $library-dev"
done
pkg-config --exists lmdb 2>/dev/null || missing="$missing liblmdb-dev"
echo "${missing# }"
