#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# run-uml.sh NAME [CASE]: runs uml-NAME.py under a kernel of its own (uml.sh) with this build, which is not installed; its TAP comes out
# here. $GANGWAY_BUILD names the build folder. What is left (console, logs of labs, recordings) stays in BUILD/vm/uml-NAME until
# the next run.
set -euo pipefail
name=${1:?NAME}
here=$(dirname "$(readlink -f "$0")")
export GANGWAY_BUILD PYTHONPATH=$here/../lib PYTHONDONTWRITEBYTECODE=1 GANGWAY_LAB_LOGS
GANGWAY_BUILD=$(realpath "${GANGWAY_BUILD:-build}")
folder=$GANGWAY_BUILD/vm/uml-$name
GANGWAY_LAB_LOGS=$folder/lab-logs

# The most a boot and its tests may take: a loaded machine needs several times what an idle one does.
seconds=3000

rm -rf "$folder"
mkdir -p "$folder"
exec bash "$here/uml.sh" -t "$seconds" "$folder" "exec /usr/bin/python3 '$here/uml-$name.py' ${2:-}"
