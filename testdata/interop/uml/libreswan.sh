# Starts Libreswan in a guest, with ipsec.conf and ipsec.secrets of the current folder.
cp ipsec.conf ipsec.secrets /etc/
chmod 600 /etc/ipsec.secrets
mkdir -p /var/lib/ipsec/nss /run/pluto
ipsec initnss >/dev/null || exit
setsid pluto --config /etc/ipsec.conf --nofork --logfile "$PWD/log" >daemon.out 2>&1 </dev/null &
for _ in $(seq 100); do
  [ -S /run/pluto/pluto.ctl ] && break
  sleep 0.1
done
addconn net
