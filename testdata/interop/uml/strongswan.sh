# Starts strongSwan's charon in a guest, with strongswan.conf and swanctl.conf of the current folder.
export STRONGSWAN_CONF=$PWD/strongswan.conf SWANCTL_DIR=$PWD
setsid /usr/lib/ipsec/charon >daemon.out 2>&1 </dev/null &
for _ in $(seq 100); do
  [ -S /run/charon.vici ] && break
  sleep 0.1
done
swanctl --load-all --uri unix:///run/charon.vici
