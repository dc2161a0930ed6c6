#!/bin/sh
# Prints the Debian packages that building ops/ still needs here, on one line; an empty line where nothing is missing.
# With `all` as argument also what only optical flow and images need.
missing=""
has() { command -v "$1" >/dev/null || missing="$missing $2"; }
has cmake cmake
has c++ g++
has pkg-config pkg-config
for library in libavformat libavcodec libavutil libswresample libswscale; do
  pkg-config --exists "$library" 2>/dev/null || missing="$missing $library-dev"
done
pkg-config --exists lmdb 2>/dev/null || missing="$missing liblmdb-dev"
if [ "${1:-}" = all ] && [ ! -e /usr/include/opencv4/opencv2/video/tracking.hpp ]; then
  missing="$missing libopencv-video-dev"
fi
echo "${missing# }"
