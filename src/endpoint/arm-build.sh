#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Compiles the endpoint library and the codecs for a Cortex-M33 into one relocatable object, says how large it is and how deep
# its deepest stack frame, and fails where it needs more than mbedTLS, libcbor and a few functions of <string.h>.
# usage: arm-build.sh SOURCE_ROOT WORK_DIR      (TAP on stdout)
set -euo pipefail
src=$1 work=$2
cc=arm-none-eabi-gcc
flags=(-mcpu=cortex-m33 -mthumb -mfloat-abi=soft -Os -std=gnu17 -ffunction-sections -fdata-sections -fstack-usage
  -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Werror)

# The crypto library's and libcbor's headers do not depend on the machine; nothing else of the host's may be seen.
rm -rf "$work"
mkdir -p "$work/include"
for header in mbedtls psa cbor cbor.h; do
  ln -s "/usr/include/$header" "$work/include/$header"
done

objects=()
for source in "$src"/src/common/*.c "$src"/src/endpoint/*.c; do
  object=$work/$(basename "${source%.c}").o
  "$cc" "${flags[@]}" -I"$src/src/common" -I"$src/src/endpoint" -isystem "$work/include" -c "$source" -o "$object"
  objects+=("$object")
done
"$cc" -mcpu=cortex-m33 -mthumb -nostdlib -r "${objects[@]}" -o "$work/gw-endpoint.o"

echo 1..2
echo "# $("$cc" -dumpversion), -mcpu=cortex-m33 -Os: ${#objects[@]} objects"
arm-none-eabi-size "$work/gw-endpoint.o" | awk 'NR == 2 { print "# text " $1 ", data " $2 ", bss " $3 " octets" }'
sort -t "$(printf '\t')" -k 2 -n -r "$work"/*.su | awk -F '\t' 'NR <= 5 {
  sub (/^.*\//, "", $1); if (NR == 1) print "# deepest stack frame " $2 " octets"; print "#   " $2 "\t" $1 }'

# Dynamic frames have no bound.
if grep -h 'dynamic' "$work"/*.su | grep -v bounded | sed 's/^/# /' | grep .; then
  echo "not ok 1 - every stack frame is bounded"
else
  echo "ok 1 - every stack frame is bounded"
fi

# Compiler support (__aeabi_*: the run-time ABI of the Arm architecture) and freestanding string functions are the target's own.
foreign=$(arm-none-eabi-nm -u "$work/gw-endpoint.o" | awk '{ print $2 }' \
  | grep -vE '^(mbedtls_|cbor_|__aeabi_)' \
  | grep -vxE 'mem(cpy|move|set|cmp|chr)|str(len|cmp|ncmp)' || true)
if [ -n "$foreign" ]; then
  echo "not ok 2 - nothing but mbedTLS, libcbor and <string.h> is needed"
  printf '# needs: %s\n' $foreign
  exit 1
fi
echo "ok 2 - nothing but mbedTLS, libcbor and <string.h> is needed"
