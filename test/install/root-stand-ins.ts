// What stands in on the machines of root-scenarios.ts: shell text that shapes a root ($R), the scripts that are its service manager, a
// node's configuration.

export const systemd = `
mkdir -p "$R/run/systemd/system" "$R/run/stand-in"
cp "${import.meta.dir}/systemctl" "$R/usr/local/sbin/systemctl"
`;
export const openrc = `
mkdir -p "$R/run/openrc" "$R/etc/init.d" "$R/etc/runlevels/default"; echo default >"$R/run/openrc/softlevel"
`;

export const corosyncConf = `totem {
  version: 2
  cluster_name: lone
  transport: knet
  crypto_cipher: none
  crypto_hash: none
  interface {
    linknumber: 0
  }
}
nodelist {
  node {
    name: alone
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 127.0.0.1
  }
}
quorum {
  provider: corosync_votequorum
}
`;

/** As much of OpenRC as an installation calls: the script's own functions in a shell. */
export const rcService = `#!/bin/sh
echo "$*" >>/run/stand-in-calls
. /etc/init.d/$1
checkpath() { while [ $# -gt 1 ]; do case $1 in -o) o=$2 ;; -m) m=$2 ;; esac; shift; done; [ -e $1 ] || case $1 in *.log) : >$1 ;; *) mkdir -p $1 ;; esac; chown $o $1; chmod $m $1; }
pid=/run/$1.pid
case $2 in
status) [ -s $pid ] && kill -0 $(cat $pid) 2>/dev/null || exit 3 ;;
start) start_pre; setsid setpriv --reuid=\${command_user%:*} --regid=\${command_user#*:} --clear-groups $command $command_args </dev/null >>$output_log 2>&1 & echo $! >$pid ;;
stop) kill $(cat $pid); while kill -0 $(cat $pid) 2>/dev/null; do sleep 0.1; done; rm -f $pid ;;
restart) $0 $1 stop; $0 $1 start ;;
esac
`;
export const rcUpdate = `#!/bin/sh
echo "$*" >>/run/stand-in-calls
case $1 in add) ln -s /etc/init.d/$2 /etc/runlevels/$3/$2 ;; del) rm /etc/runlevels/$3/$2 ;; esac
`;

/**
 * Debian's OpenRC as after its boot, with a network that is up. It switches users by PAM.
 */
export const realOpenrc = `
cp -a /etc/pam.d /etc/pam.conf /etc/security "$R/etc/"
touch "$R/etc/insserv.conf"
for name in started starting stopping exclusive failed hotplugged inactive options scheduled tmp daemons wasinactive; do
  mkdir -p "$R/run/openrc/$name"
done
echo default >"$R/run/openrc/softlevel"
mkdir -p "$R/etc/init.d" "$R/etc/runlevels/default" "$R/etc/conf.d"
printf '#!/sbin/openrc-run\\ndepend() { provide net; }\\nstart() { :; }\\n' >"$R/etc/init.d/net.lo"
chmod 755 "$R/etc/init.d/net.lo"
`;
