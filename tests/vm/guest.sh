#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# guest.sh NAME [CASE]: inside the guest, in the shared folder: what `meson install` would have put here, then the words of
# doc/getting-started.md, then the test.
{
  cp -a root/. / && ldconfig && systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload && systemctl reload dbus
} >guest.log 2>&1 || { echo "Bail out! Gangway could not be installed"; exit 1; }
export PYTHONDONTWRITEBYTECODE=1
/usr/bin/python3 "test-$1.py" ${2:-}
rc=$?
journalctl --no-pager -o short-monotonic >journal.log
exit $rc
