# Starts OpenIKED in a guest, with iked.conf of the current folder. It wants a user of its own, and a private key even
# where a pre-shared one is used.
echo '_iked:x:990:990::/run/iked:/usr/sbin/nologin' >>/etc/passwd
echo '_iked:x:990:' >>/etc/group
mkdir -p /run/iked /etc/iked/{ca,certs,crls,ocsp,private,pubkeys/{ipv4,ipv6,fqdn,ufqdn}}
openssl ecparam -name prime256v1 -genkey -noout -out /etc/iked/private/local.key
chmod 600 /etc/iked/private/local.key
openssl ec -in /etc/iked/private/local.key -pubout -out /etc/iked/local.pub 2>/dev/null
cp iked.conf /etc/iked.conf
chmod 600 /etc/iked.conf
setsid iked -dvv -f /etc/iked.conf >log 2>&1 </dev/null &
for _ in $(seq 150); do # an SA that is begun before this line is dropped
  grep -q 'config_getstatic: nattport' log && exit 0
  sleep 0.1
done
exit 1
