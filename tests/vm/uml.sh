#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# uml.sh [-t SECONDS] [-m MIB] [-u USER] FOLDER COMMAND
#
# Runs COMMAND under a kernel of its own: user-mode-linux, a process, up in a second. What the host's kernel may lack is there:
# CAN (AF_CAN, vcan0 classic, vcan1 FD, slcan), with the host's own programs and files.
#
# COMMAND is run by bash as root (or USER), in FOLDER, with this environment. It sees all that is on the host, at its place, and
# may write everywhere; but only what it writes into FOLDER is real, all else is in the guest's memory (an overlay: the host's
# root is mounted read-only) and gone with it. /proc, /sys, /run, /dev/shm and the network (lo alone) are the guest's own. One
# processor, no systemd.
#
# Output goes to stdout, the kernel's words to FOLDER/console.log. Exit code: COMMAND's own; 124 = timed out; 125 = the guest died.
# $GANGWAY_BUILD names the build folder.
set -euo pipefail

usage() { sed -n 's/^# \(uml.sh .*\)/usage: \1/p' "$0" >&2; exit 2; }
seconds=300 mib=512 user=
while getopts t:m:u: o; do case $o in t) seconds=$OPTARG ;; m) mib=$OPTARG ;; u) user=$OPTARG ;; *) usage ;; esac; done
shift $((OPTIND - 1))
[ $# = 2 ] || usage
folder=$(realpath "$1") command=$2
build=$(realpath "${GANGWAY_BUILD:-$(dirname "$(readlink -f "$0")")/../../build}")
case $folder in *[\ ,\']*) echo "uml.sh: no space, comma or quote may be in '$folder'" >&2; exit 2 ;; esac
modules=$(echo /usr/lib/uml/modules/*/kernel)
[ -d "$modules" ] || { echo "uml.sh: the package user-mode-linux is missing" >&2; exit 1; }

# Its memory is a file: on a disk it would be written back all the time, in a small /dev/shm it would end in a bus error.
room=$(df --output=avail -B1M /dev/shm 2>/dev/null | tail -n1)
memory=$folder
[ "${room:-0}" -gt $((2 * mib)) ] && memory=/dev/shm

as=
[ -z "$user" ] || as="setpriv --reuid '$user' --regid '$(id -g "$user")' --init-groups --"
rm -f "$folder/.rc"
{ export -p; echo "cd '$folder'"; printf '%s\n' "$command"; } >"$folder/.command"
cat >"$folder/.init" <<T
#!/bin/sh
# Process 1, in two lives: before and after the overlay is its root.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
end() { echo o >/proc/sysrq-trigger; sleep 60; }
load() { for m; do insmod $modules/\$m.ko || end; done; }
if [ "\${1:-}" != again ]; then
  exec </dev/null >/dev/tty1 2>&1
  stty -opost </dev/tty1
  mount -t proc proc /proc
  load fs/overlayfs/overlay
  # Any folder will do as the first mount point.
  mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root
  mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root || end
  mount -t hostfs -o '$folder' hostfs '/mnt/root$folder' || end
  mount -n --move /dev /mnt/root/dev
  mount -n --move /proc /mnt/root/proc
  cd /mnt/root && exec chroot . '$folder/.init' again
fi
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
ln -s /proc/self/fd /dev/fd
hostname uml
load drivers/net/can/dev/can-dev drivers/net/can/vcan net/can/can net/can/can-raw net/sched/sch_tbf
ip link set lo up
ip link add vcan0 type vcan && ip link set vcan0 mtu 16 up
ip link add vcan1 type vcan && ip link set vcan1 mtu 72 up
$as bash '$folder/.command'
echo \$? >'$folder/.rc'
end
T
chmod 755 "$folder/.init"

# A pipe in between: the guest sets its descriptors non-blocking, which must not hit the caller's.
exec 3> >(exec cat)
printer=$!
rc=0
LD_PRELOAD=$build/tests/vm/uml-ptrace.so TMPDIR=$memory setpriv --pdeathsig TERM timeout -k 5 "$seconds" \
  linux.uml rootfstype=hostfs rootflags=/ ro "mem=${mib}M" con=null con0=null,fd:2 con1=null,fd:1 quiet panic=-1 noreboot \
  "uml_dir=$folder/.uml/" "init=$folder/.init" </dev/null >&3 2>"$folder/console.log" 3>&- &
machine=$!
exec 3>&-
# Who ends this ends the guest too.
trap 'kill $machine 2>/dev/null || true' EXIT
trap 'exit 143' TERM INT HUP
wait "$machine" || rc=$?
# One that was killed leaves helpers behind, which wait for ever and hold its output.
pkill -KILL -f "init=$folder/.init" || true
wait "$printer" || true
[ $rc = 124 ] || { [ $rc = 137 ] && [ $SECONDS -ge "$seconds" ]; } && { echo "uml.sh: timed out after $seconds s; see $folder/console.log" >&2; exit 124; }
[ -s "$folder/.rc" ] || { echo "uml.sh: the guest died; see $folder/console.log" >&2; exit 125; }
exit "$(cat "$folder/.rc")"
