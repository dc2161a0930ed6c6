#!/bin/sh
# Points apt at snapshot.debian.org as of a time: apt_snapshot.sh 20260831T000000Z. An empty time leaves apt as it is.
# What Debian signed stays checked; only the dates on its lists, which have passed by then, are not.
set -eu
[ -n "${1:-}" ] || exit 0
if ! echo "$1" | grep -Eq '^[0-9]{8}T[0-9]{6}Z$'; then
  echo "error: SNAPSHOT=$1 is not a time of snapshot.debian.org; give one such as 20260831T000000Z, or none" >&2
  exit 2
fi
root=${2:-} # a folder that stands for /, in tests
# shellcheck source=/dev/null
. "$root/etc/os-release"
rm -rf "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d"
mkdir -p "$root/etc/apt/sources.list.d" "$root/etc/apt/apt.conf.d"
# http, for a slim base has no certificates; apt checks the archive's signatures.
for line in "debian $VERSION_CODENAME" "debian $VERSION_CODENAME-updates" "debian-security $VERSION_CODENAME-security"; do
  echo "deb [check-valid-until=no] http://snapshot.debian.org/archive/${line%% *}/$1 ${line#* } main"
done >"$root/etc/apt/sources.list"
# That host is slow and turns away those who ask too often.
printf 'Acquire::Check-Valid-Until "false";\nAcquire::Retries "5";\nAcquire::http::Timeout "60";\n' \
  >"$root/etc/apt/apt.conf.d/99snapshot"
