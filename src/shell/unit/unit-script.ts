// A service without a service manager (`quorate unit … --rc`): one script for init.d or rc.d of a NAS, with a loop that starts the program
// again, after a longer pause each time. POSIX sh; runs in busybox. After three failures in a row an upgrade on probation is rolled back.
import type { Role } from "../upgrade/events.ts";
import { runtimeHooks } from "./runtime-hooks.ts";

export interface ScriptOptions {
  readonly service: Role;
  /** Absolute paths of letters, digits and ._-+@:, (checked by the caller). */
  readonly bin: string;
  readonly root: string;
}

export function plainScript(options: ScriptOptions): string {
  return [head(options), starting(options), supervising(options), stopping].join("\n");
}

function baseOf({ root }: ScriptOptions): string {
  return root === "/" ? "" : root;
}

function rootWords({ root }: ScriptOptions): string {
  return root === "/" ? "" : ` --root ${root}`;
}

function head(options: ScriptOptions): string {
  const { service, bin } = options;
  const base = baseOf(options);
  return `#!/bin/sh
# Made by \`quorate unit ${service} --rc\`: start | stop | restart | status.
# The exit code of status is 0 running, 1 failed (given up, or tried again after a pause), 3 stopped.

name=quorate-${service}
bin=${bin}
state=${base}/var/lib/quorate
pidfile=${base}/var/run/$name.pid
failed=${base}/var/run/$name.failed
log=${base}/var/log/$name.log

unset ${runtimeHooks.join(" ")}
TMPDIR=$state/tmp
export TMPDIR

is_running() {
	[ -s "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null
}

apart() {
	if command -v setsid >/dev/null 2>&1; then
		setsid "$@" </dev/null >>"$log" 2>&1 &
	else
		nohup "$@" </dev/null >>"$log" 2>&1 &
	fi
}
`;
}

function starting(options: ScriptOptions): string {
  return `# The old file watches an upgrade that is on probation. It does nothing when one watches already.
rescue() {
	if [ -e "$state/upgrade.json" ] && [ -x "$bin.prev" ]; then
		apart "$bin.prev" rescue --bin "$bin"${rootWords(options)}
	fi
}

start() {
	if is_running; then
		echo "$name is running"
		return 0
	fi
	mkdir -p "$TMPDIR" "\${pidfile%/*}" "\${log%/*}" || return 1
	rm -f "$failed" "$pidfile"
	apart "$0" supervise
	tries=0
	until is_running; do
		tries=$((tries + 1))
		if [ "$tries" -gt 10 ]; then
			echo "$name did not start; see $log" >&2
			return 1
		fi
		sleep 1
	done
	rescue
}
`;
}

function supervising(options: ScriptOptions): string {
  const { service } = options;
  const unmount = service === "node" ? `umount -l ${baseOf(options)}/etc/pve 2>/dev/null; ` : "";
  return `supervise() {
	echo $$ >"$pidfile"
	child=""
	trap 'trap "" TERM; if [ -n "$child" ]; then kill "$child" 2>/dev/null; wait "$child"; fi; ${unmount}rm -f "$pidfile" "$failed"; exit 0' TERM INT
	failures=0
	while :; do
		begun=$(date +%s)
		rm -f "$failed"
		"$bin" ${service}${rootWords(options)} &
		child=$!
		wait "$child"
		code=$?
		child=""
		# The end of one that ran for a minute is not a start that failed.
		if [ $(($(date +%s) - begun)) -gt 60 ]; then failures=0; fi
		failures=$((failures + 1))
		case $code in
		0) break ;;
		# A wrong command line or configuration does not become right by another start.
		2 | 8)
			echo "$name was given up, exit code $code"
			echo "$code" >"$failed"
			break
			;;
		esac
		if [ "$failures" -ge 3 ]; then
			echo "$name fails again and again, exit code $code"
			echo "$code" >"$failed"
			rescue
		fi
		pause=$((failures < 6 ? failures * failures : 30))
		# As a child: a trap waits for no other.
		sleep "$pause" &
		child=$!
		wait "$child"
		child=""
	done
	rm -f "$pidfile"
	if [ -e "$failed" ]; then rescue; fi
}
`;
}

const stopping = `stop() {
	if is_running; then
		pid=$(cat "$pidfile")
		kill "$pid"
		tries=0
		while kill -0 "$pid" 2>/dev/null; do
			tries=$((tries + 1))
			if [ "$tries" -gt 70 ]; then
				echo "$name does not stop" >&2
				return 1
			fi
			sleep 1
		done
	fi
	rm -f "$failed"
}

case \${1:-} in
start) start ;;
stop) stop ;;
restart) stop && start ;;
status)
	if [ -e "$failed" ]; then
		echo "$name failed; see $log"
		exit 1
	elif is_running; then
		echo "$name is running"
	else
		echo "$name is stopped"
		exit 3
	fi
	;;
supervise) supervise ;;
*)
	echo "usage: $0 start|stop|restart|status" >&2
	exit 2
	;;
esac
`;
