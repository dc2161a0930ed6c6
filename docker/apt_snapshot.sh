#!/bin/sh
# Points apt at snapshot.debian.org as of a time (20250520T000000Z); with no time it leaves apt as it is.
set -eu
[ -n "${1:-}" ] || exit 0
. /etc/os-release
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
for line in "debian $VERSION_CODENAME" "debian $VERSION_CODENAME-updates" "debian-security $VERSION_CODENAME-security"; do
  echo "deb [check-valid-until=no] http://snapshot.debian.org/archive/${line%% *}/$1 ${line#* } main"
done >/etc/apt/sources.list
