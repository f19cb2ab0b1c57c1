# SPDX-License-Identifier: Apache-2.0
#
# The guest's second stage, on the host's root: runs the command, with its output on the first virtual port
# and its errors on the second, says its exit status on the third and ends the machine.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
echo /sbin/modprobe >/proc/sys/kernel/modprobe
read -r uptime _ </proc/uptime
echo "started $uptime" >/dev/vport0p3
/run/vm/busybox setsid /bin/bash /run/vm/command </dev/null >/dev/vport0p1 2>/dev/vport0p2
status=$?
# What is shared with the host is written out; nothing else outlives the machine.
/run/vm/busybox timeout 20 /run/vm/busybox sync
echo "exit $status" >/dev/vport0p3
/run/vm/busybox poweroff -f
