#!/bin/bash
# The first process of a guest in User-Mode Linux. The guest's root is the host's, read-only; what it writes stays in
# its memory, but for one folder that it shares with the host. There it takes commands: N.do is run, then N.out and N.code are there.
# On the kernel's command line: guest.dir=FOLDER [guest.tree=FOLDER, laid over /]
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec/ipsec LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
for word in $(cat /proc/cmdline); do
  case $word in
    guest.dir=*) dir=${word#*=} ;;
    guest.tree=*) tree=${word#*=} ;;
  esac
done
off() { echo o >/proc/sysrq-trigger; sleep 5; }

# The host's /lib/modules are of another kernel: whoever asks for a module gets it from the package's own place.
mkdir -p /run/modules/lib
ln -s /usr/lib/uml/modules /run/modules/lib/modules
printf '#!/bin/sh\nexec /sbin/modprobe -d /run/modules "$@"\n' >/run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
# Ciphers that are loaded on demand would delay the first IKE_AUTH.
/run/modprobe -a ipv6 esp4 esp6 xfrm_user af_key overlay gcm ctr cbc hmac authenc echainiv seqiv sha512_generic chacha20poly1305
# The host sees soon what the guest writes.
echo 20 >/proc/sys/vm/dirty_writeback_centisecs
echo 20 >/proc/sys/vm/dirty_expire_centisecs
ip link set lo up

# A root to write to. A tree needs its own mount: overlayfs refuses a layer that lies in another.
mkdir -p /run/over
mount -t tmpfs tmpfs /run/over
mkdir -p /run/over/{upper,work,root,tree}
lower=/
if [ -n "$tree" ]; then
  mount -t hostfs -o "$tree" hostfs /run/over/tree || off
  lower=/run/over/tree:/
fi
root=/run/over/root
mount -t overlay overlay -o "lowerdir=$lower,upperdir=/run/over/upper,workdir=/run/over/work" $root || off
mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount --bind /dev $root/dev
mkdir -p "$root/dev/pts" "$root/run" "$root/tmp"
mount -t devpts devpts $root/dev/pts
mount -t tmpfs tmpfs $root/run
mount -t tmpfs tmpfs $root/tmp
: >$root/etc/resolv.conf # no name server answers here, and waiting for one takes seconds
mkdir -p "$root/$dir"
mount -t hostfs -o "$dir" hostfs "$root/$dir" || off

cd "$root/$dir" || off
mkfifo /run/tick
exec 9<>/run/tick
: >ready
# A read that times out waits without a fork, which is dear here. The host ends the guest; if it cannot, the guest
# ends itself half an hour after the last command.
n=1
idle=0
while [ $idle -lt 36000 ]; do
  if [ ! -e $n.do ]; then
    read -r -t 0.05 -u 9
    idle=$((idle + 1))
    continue
  fi
  idle=0
  chroot $root /bin/bash -c "cd $dir && . ./$n.do" >$n.out 2>&1 </dev/null 9>&-
  echo $? >$n.ret
  mv $n.ret $n.code
  n=$((n + 1))
done
off
