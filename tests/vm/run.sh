#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# run.sh NAME [CASE]: boots a guest, installs this build there as `meson install` would, and runs test-NAME.py, whose TAP comes out here.
# $GANGWAY_BUILD names the build folder. What the guest leaves (console, journal) stays in BUILD/vm/NAME until the next run.
set -euo pipefail
name=${1:?NAME}
here=$(dirname "$(readlink -f "$0")")
build=$(realpath "${GANGWAY_BUILD:-build}")
folder=$build/vm/$name

# The most a boot and its tests may take: a loaded machine without KVM needs five times what an idle one does.
seconds=3000

# What is plugged in. The emulated bus knows no bit rate and no errors; all else about the controllers is real.
devices=
[ "$name" != can ] || devices="-object can-bus,id=cb -device kvaser_pci,id=k0,canbus=cb -device kvaser_pci,id=k1,canbus=cb"

rm -rf "$folder"
mkdir -p "$folder"
meson install -C "$build" --no-rebuild --quiet --strip --destdir "$folder/root" >"$folder/install.log" 2>&1 ||
  { cat "$folder/install.log" >&2; exit 1; }
[ -x "$folder/root/usr/libexec/gangway/gangwayd" ] || {
  echo "run.sh: $build is not configured for /usr; say: meson configure $build --prefix=/usr --sysconfdir=/etc --localstatedir=/var" >&2
  exit 1
}
cp "$here"/../lib/*.py "$here"/../lib/judges/*.py "$here"/*.py "$here/guest.sh" "$build/plugins/example/rack-plugin" \
  "$build/tests/lib/isotp-peer" "$folder"
exec bash "$here/boot.sh" -t "$seconds" ${devices:+-d "$devices"} "$folder" "sh ./guest.sh $name ${2:-}"
