#!/busybox sh
# SPDX-License-Identifier: Apache-2.0
#
# The guest's first process: it loads what is needed to see the host's files, lays a writable layer over
# them, loads the modules asked for, and changes over to guest_main.sh. What goes wrong here ends the machine
# with a reason, told to the host on the third virtual port.
#
# /settings, made by machine.py, has kernel_release, modules, shares ("TAG PATH" lines) and upper_percent.
export PATH=/bin
/busybox mkdir -p /bin /sbin /dev /proc /sys /host /upper /new
/busybox --install -s /bin
ln -s /busybox /sbin/modprobe
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
. /settings

early=
while read -r module; do insmod "/boot_modules/$module" || early="$early $module"; done </boot_modules/order

# Without virtio_console there is no such port, and a redirection would make a file of its name.
tell() {
  if [ -c /dev/vport0p3 ]; then
    echo "$*" >/dev/vport0p3
  else
    echo "netstor-vm: $*" >/dev/console
  fi
}
fail() {
  tell "fail $*"
  poweroff -f
  sleep 1000
}
[ -z "$early" ] || fail "could not insert$early"

plan9=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o "ro,cache=loose,$plan9" root /host || fail "could not mount the host's root over 9p"
mount -t tmpfs -o "size=$upper_percent%" upper /upper && mkdir /upper/files /upper/work || fail "no tmpfs"
mount -t overlay -o lowerdir=/host,upperdir=/upper/files,workdir=/upper/work root /new ||
  fail "could not lay a writable layer over the host's root"

cd /new || fail "no root"
mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev
mkdir -p dev/pts dev/shm "usr/lib/modules/$kernel_release" "lib/modules/$kernel_release"
ln -sf /proc/self/fd dev/fd
ln -sf fd/0 dev/stdin
ln -sf fd/1 dev/stdout
ln -sf fd/2 dev/stderr
mount -t devpts pts dev/pts
mount -t tmpfs shm dev/shm
mount -t tmpfs run run
chmod 1777 dev/shm
mkdir -p run/lock run/vm
mount -t 9p -o "ro,cache=loose,$plan9" modules "lib/modules/$kernel_release" || fail "could not mount modules"

echo "$shares" | while read -r tag path; do
  [ -n "$tag" ] || continue
  mkdir -p "./$path" && mount -t 9p -o "cache=none,$plan9" "$tag" "./$path" || echo "$path"
done >/unshared
[ ! -s /unshared ] || fail "could not mount the shared folder $(cat /unshared)"

# The kernel's own requests for modules have to find them where modprobe of the initramfs looks.
mkdir -p /lib
ln -s "/new/lib/modules" /lib/modules
for module in configfs virtio_net $modules; do
  said=$(modprobe "$module" 2>&1) || fail "no module $module in Linux $kernel_release: $said"
done
mount -t configfs config sys/kernel/config 2>/dev/null
mount -t debugfs debug sys/kernel/debug 2>/dev/null

hostname netstor-vm
ifconfig lo 127.0.0.1 up
if [ -e /sys/class/net/eth0 ]; then
  ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
  route add default gw 10.0.2.2
fi
cp /busybox /guest_main.sh /command run/vm/
exec switch_root /new /run/vm/busybox sh /run/vm/guest_main.sh
