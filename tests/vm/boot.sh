#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# boot.sh [-t SECONDS] [-m MIB] [-d DEVICES] FOLDER [COMMAND]
#
# Boots a throw-away Debian 12 machine with systemd as PID 1 and runs COMMAND (default: sh ./run.sh) as root inside FOLDER, which
# the guest sees, read-write, as /share. DEVICES are more options of qemu. The guest's output goes to stdout, its console to
# FOLDER/console.log. Exit code: COMMAND's own; 124 = timed out; 125 = the guest died. The guest has no network.
#
# The image is built once (by root, 40 s) and kept in $GANGWAY_VM_CACHE (~/.cache/gangway-vm) under the hash of what it is made of
# here: newer Debian packages come when that changes or the folder is removed. Every run starts from the pristine image.
set -euo pipefail

GUEST=systemd-sysv,dbus,udev,polkitd,kmod,procps,e2fsprogs,linux-image-amd64,busybox-static
# What the agent, its plugins and the simulator are linked with.
GUEST+=,libglib2.0-0,libgnutls30,libmosquitto1,libsqlite3-0,libjansson4,libcbor0.8,libseccomp2,libpolkit-gobject-1-0
GUEST+=,libmbedtls14,libmbedx509-1,libmbedcrypto7
# What the tests use.
GUEST+=,mosquitto,mosquitto-clients,openssl,python3-gi,libglib2.0-bin,can-utils,iproute2
# Kernel drivers beyond the core: grows with what the tests plug in.
DRIVERS="usb virtio block/virtio_blk block/loop char/hw_random tty/serial net/can"

build_root() { # -> $1
  local root=$1 options=() x
  for x in '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*' '/lib/modules/*/kernel/drivers/*' \
    '/lib/modules/*/kernel/sound/*'; do options+=(--dpkgopt="path-exclude=$x"); done
  for x in $DRIVERS; do options+=(--dpkgopt="path-include=/lib/modules/*/kernel/drivers/$x*"); done
  INITRD=No mmdebstrap --quiet --mode=root --variant=minbase --include="$GUEST" --aptopt='Apt::Install-Recommends "false"' \
    "${options[@]}" --dpkgopt=force-unsafe-io bookworm "$root"
  # What a test guest can do without; each costs 0.3 to 2 s of emulated CPU. The tests start their own broker.
  for x in getty.target e2scrub_reap.service e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    fstrim.timer systemd-timesyncd.service systemd-update-utmp.service systemd-update-utmp-runlevel.service modprobe@drm.service \
    modprobe@efi_pstore.service modprobe@dm_mod.service modprobe@loop.service systemd-pstore.service \
    systemd-journal-flush.service mosquitto.service; do ln -sf /dev/null "$root/etc/systemd/system/$x"; done
  cat >"$root/etc/systemd/system/vmtest.service" <<'T'
[Unit]
After=multi-user.target
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate
[Service]
ExecStart=/vmtest
Environment=HOME=/root LANG=C.UTF-8
T
  cat >"$root/vmtest" <<'T'
#!/bin/sh
exec </dev/null >/dev/ttyS1 2>&1; stty -opost -F /dev/ttyS1
mkdir -p /share; mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none share /share && cd /share || exit 1
sh ./.command; echo $? >/share/.rc
T
  chmod 755 "$root/vmtest"
  mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
  ln -s ../vmtest.service "$root/etc/systemd/system/multi-user.target.wants/"
  echo vm >"$root/etc/hostname"
  echo "127.0.0.1 localhost vm" >"$root/etc/hosts"
  : >"$root/etc/machine-id"
}

# The kernel unpacked here: under emulation the guest's own unpacking costs seconds.
build_kernel() { # ROOT -> $2
  local kernel at
  kernel=$(echo "$1"/boot/vmlinuz-*)
  at=$(LC_ALL=C grep -obUaP '\xfd7zXZ\x00' "$kernel" | head -n1 | cut -d: -f1)
  tail -c +$((at + 1)) "$kernel" | xz -dc >"$2" 2>/dev/null || [ -s "$2" ]
}

# busybox and the modules that reach the root disk.
build_initrd() { # ROOT -> $2
  local root=$1 dir=$2.d kernel module n=100
  kernel=$(echo "$root"/boot/vmlinuz-*)
  mkdir -p "$dir"/{bin,m,dev,proc,sys,root}
  cp "$root/bin/busybox" "$dir/bin/"
  ln -s busybox "$dir/bin/sh"
  for module in $(modprobe -d "$root" -S "${kernel##*/vmlinuz-}" -aD virtio_pci virtio_blk ext4 |
    awk '$1 == "insmod" && !seen[$2]++ { print $2 }'); do
    n=$((n + 1))
    cp "$module" "$dir/m/$n.ko"
  done
  cat >"$dir/init" <<'T'
#!/bin/sh
/bin/busybox --install -s /bin; export PATH=/bin
mount -t devtmpfs dev /dev
for m in /m/*.ko; do insmod $m 2>/dev/null; done
while ! [ -b /dev/vda ]; do sleep 0.05; done
mount -t ext4 -o noatime /dev/vda /root && mount --move /dev /root/dev && exec switch_root /root /sbin/init
T
  chmod 755 "$dir/init"
  (cd "$dir" && find . | cpio -o -H newc --quiet -R 0:0) >"$2"
  rm -rf "$dir"
}

build() { # -> $1/{vmlinux,initrd,root.img}
  [ "$(id -u)" = 0 ] || { echo "boot.sh: the guest's image is built by root: run this once as root" >&2; exit 1; }
  mkdir -p "$1"
  build_root "$1/root"
  build_kernel "$1/root" "$1/vmlinux"
  build_initrd "$1/root" "$1/initrd"
  rm -rf "$1/root/boot"
  mke2fs -qq -t ext4 -O ^has_journal -m 0 -d "$1/root" "$1/root.img" 1500M >/dev/null
  rm -rf "$1/root"
}

seconds=600 mib=512 devices=
while getopts t:m:d: o; do case $o in t) seconds=$OPTARG ;; m) mib=$OPTARG ;; d) devices=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
folder=$(realpath "${1:?FOLDER}")
command=${2:-sh ./run.sh}

cache=${GANGWAY_VM_CACHE:-$HOME/.cache/gangway-vm}
image=$cache/$( (echo "$GUEST $DRIVERS" && declare -f build build_root build_kernel build_initrd) | sha256sum | cut -c1-12)
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if ! [ -e "$image/root.img" ]; then
  echo "boot.sh: building the guest's image in $image" >&2
  rm -rf "$image" "$image.new"
  build "$image.new" >&2 9>&-
  find "$cache" -mindepth 1 -maxdepth 1 -type d ! -name "*.new" -mmin +1440 -exec rm -rf {} +
  mv -T "$image.new" "$image"
fi
exec 9>&-

# Emulation unless the processor's own extensions are to be seen: /dev/kvm alone may open and yet not run a stock kernel.
accel="tcg,thread=multi -smp 2 -cpu qemu64,-svm"
if grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ]; then accel="kvm -smp 2 -cpu host"; fi
rm -f "$folder/.rc"
printf '%s\n' "$command" >"$folder/.command"
rc=0
# shellcheck disable=SC2086
timeout -k 5 "$seconds" qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -M pc -accel $accel -m "$mib" \
  -kernel "$image/vmlinux" -initrd "$image/initrd" \
  -append "console=ttyS0 quiet panic=-1 mitigations=off systemd.unit=multi-user.target" \
  -drive file="$image/root.img",format=raw,if=virtio,snapshot=on -device virtio-rng-pci \
  -virtfs local,path="$folder",mount_tag=share,security_model=none,multidevs=remap $devices \
  -serial file:"$folder/console.log" -chardev file,id=out,path=/dev/stdout,append=on -serial chardev:out </dev/null &
machine=$!
# Who ends this ends the guest too.
trap 'kill $machine 2>/dev/null || true' EXIT
trap 'exit 143' TERM INT HUP
wait "$machine" || rc=$?
[ $rc = 124 ] || [ $rc = 137 ] && { echo "boot.sh: timed out after $seconds s; see $folder/console.log" >&2; exit 124; }
[ -s "$folder/.rc" ] || { echo "boot.sh: the guest died; see $folder/console.log" >&2; exit 125; }
exit "$(cat "$folder/.rc")"
