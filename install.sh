#!/bin/sh
# quorate's installer: finds out what this machine is, brings the file for it, checks it and puts it in place; the service is
# then set up by `quorate install`. It touches no existing configuration, key or certificate, opens no firewall and reports
# nothing to anybody. The whole body is functions and the last line starts them: a download that was cut off does nothing.
# Exit codes: 0 done, 1 not on this machine, 2 wrong command line, 3 download, 4 verification, 5 service.

set -eu

# BEGIN PINNED
# Filled in by the release; empty in the source tree. base: its address; keys: minisign public keys in base64, a space
# between two; pinned: lines "NAME BYTES SHA256".
version="" development="" base="" keys="" manifest_sha256="" pinned=""
# END PINNED

usage() {
  cat <<'END'
usage: install.sh node|qnetd [options]      (piped: curl … | sh -s -- qnetd)

  node, qnetd     a cluster node (needs root), or a vote server (without root for this user alone)
  --from DIR      take the release from this directory or tar file; uses no network
  --url URL       take it from below this https address (default: $QUORATE_MIRROR, else where the release lives)
  --bin-dir DIR   where to install (default: /usr/local/bin; /opt/bin where /usr is read-only; ~/.local/bin without root)
  --no-service    install the program alone; no role is needed
  --no-links      without pvecm, corosync-qnetd-tool and the other names
  --root DIR      put the program alone into the system image below DIR
  --dry-run       load and check everything, change nothing, show each step      --yes   ask nothing
  --uninstall     remove what was installed; with --purge also keys, certificates and the tree; --force: whatever it costs

QUORATE_VERSION=x takes release x, from vx/ below the address. https_proxy and no_proxy are respected.
END
}

main() {
  umask 022
  role="" from="" root="" bin_dir="" dry="" yes="" no_service="" no_links="" removal="" flags=""
  work="" deferred="" made="" replaced=""
  url=${QUORATE_MIRROR:-$base}
  while [ $# -gt 0 ]; do
    case $1 in
      node | qnetd) role=$1 ;;
      --from) need_value "$@" && from=$2 && shift ;;
      --url) need_value "$@" && url=$2 && shift ;;
      --bin-dir) need_value "$@" && bin_dir=$2 && shift ;;
      --root) need_value "$@" && root=${2%/} && shift ;;
      --no-service) no_service=yes ;; --no-links) no_links=yes ;;
      --dry-run) dry=yes ;; --yes) yes=yes ;; --uninstall) removal=yes ;;
      --purge | --force) flags="$flags $1" ;;
      --help | -h) usage && exit 0 ;;
      *) fail 2 "unknown argument: $1 (see --help)" ;;
    esac
    shift
  done
  find_places
  [ -z "$removal" ] || uninstall
  choose_role
  check_source
  check_manager
  find_machine
  make_work
  read_manifest
  if [ -f "$program" ] && [ "$(sha256 "$program")" = "$wanted" ]; then
    candidate=$program && say "$program is this version already"
  else
    load_program
  fi
  if [ -n "$root" ]; then
    replace_program
    say "$name is in the image as $program; there, \`quorate install node|qnetd\` makes it a service"
  else
    # Before anything is changed: is there somebody to start it, would it fight with another?
    set_up --check || exit $?
    replace_program
    set_up ${dry:+--dry-run} || exit $?
    # For `quorate upgrade` without words.
    if [ -z "$from$dry" ] && [ -d "$state" ]; then printf '%s\n' "${url%/}" >"$state/release-url"; fi
  fi
}

# The program itself makes the names, the manual and the service, and ends with three lines: version, what runs, what is next.
set_up() {
  set -- "$@" ${no_service:+--no-service} ${no_links:+--no-links} ${replaced:+--replaced} ${made:+--made "$made"}
  "$candidate" install ${role:+"$role"} --bin "$program" "$@"
}

replace_program() {
  if [ "$candidate" = "$program" ]; then return; fi
  if [ -n "$dry" ]; then say "would make $name $program, and keep the one before as $program.prev" && return; fi
  sync "$candidate" 2>/dev/null || sync
  if [ -f "$program" ]; then ln -f "$program" "$program.prev" && replaced=yes; fi
  mv -f "$candidate" "$program"
  sync "$bin_dir" 2>/dev/null || sync
  candidate=$program
}

need_value() { if [ -z "${2:-}" ]; then fail 2 "$1 needs a value (see --help)"; fi; }

# Where the program goes, and where is written down what was installed.
find_places() {
  user=$(id -u) state=$root/var/lib/quorate default=/usr/local/bin
  if [ -z "$root" ] && [ "$user" != 0 ]; then
    [ -n "${HOME:-}" ] || fail 1 "HOME is not set: it says where to install without root"
    default=$HOME/.local/bin state=$HOME/.local/share/quorate/var/lib/quorate
  fi
  if [ -z "$bin_dir" ]; then
    bin_dir=$(sed -n 's|^\(/.*\)/quorate$|\1|p' "$state/installed" 2>/dev/null | head -n 1)
    if [ -z "$bin_dir" ]; then
      bin_dir=$default
      if [ "$default" = /usr/local/bin ] && ! probe "$root$bin_dir"; then bin_dir=/opt/bin; fi
    fi
  fi
  case $bin_dir in /*) ;; *) bin_dir=$PWD/$bin_dir ;; esac
  bin_dir=$root${bin_dir%/} program=$bin_dir/quorate
}

# Can files be made, and with "exec" programs be run, below $1 or its nearest parent that exists? Leaves nothing behind.
probe() {
  place=$1 verdict=1
  while [ -n "$place" ] && [ ! -d "$place" ]; do place=${place%/*}; done
  spot=$(mktemp -d "$place/.quorate-probe.XXXXXX" 2>/dev/null) || return 1
  if printf '#!/bin/sh\nexit 0\n' >"$spot/try" && chmod 700 "$spot/try"; then
    if [ "${2:-}" != exec ] || "$spot/try" 2>/dev/null; then verdict=0; fi
  fi
  rm -rf "$spot" && return $verdict
}

uninstall() {
  [ -z "$root" ] || fail 2 "an image is not cleaned from outside: remove $program"
  [ -x "$program" ] || fail 5 "there is no $program; what was installed, if anything, is listed in $state/installed"
  # shellcheck disable=SC2086 # flags are words
  "$program" uninstall $flags ${yes:+--yes} ${dry:+--dry-run} || { [ $? != 2 ] || exit 2 && exit 5; }
  exit 0
}

choose_role() {
  if [ -n "$root$no_service" ]; then no_service=yes && return; fi
  if [ -z "$role" ]; then
    if [ -n "$yes" ] || ! (: </dev/tty) 2>/dev/null; then usage >&2 && exit 2; fi
    printf 'Shall this machine be  1) a vote server (qnetd)  or  2) a cluster node (node)?  1/2: ' >/dev/tty
    read -r answer </dev/tty || answer=""
    case $answer in 1 | qnetd) role=qnetd ;; 2 | node) role=node ;; *) fail 2 "neither 1 nor 2: nothing was done" ;; esac
  fi
  [ "$role" = qnetd ] || [ "$user" = 0 ] || fail 1 "a node needs root: it mounts /etc/pve and writes below /etc and /var.
  Run this as root; a vote server (qnetd) does without"
}

check_source() {
  if [ -n "$from" ]; then
    [ -f "$from" ] || [ -f "$from/manifest.json" ] || [ -f "$from/SHA256SUMS" ] ||
      fail 3 "there is no manifest.json in $from; \`npm run release\` makes it"
    source=$from && return
  fi
  [ -n "$version" ] || fail 2 "this install.sh is from the source tree and knows no release: use --from DIR, or the release's own"
  source=${url%/}
  case ${QUORATE_VERSION:-} in *[!0-9A-Za-z.+-]*) fail 2 "QUORATE_VERSION is no version: $QUORATE_VERSION" ;; esac
  source=$source${QUORATE_VERSION:+/v$QUORATE_VERSION}
  # A host and its port, nothing else: what stands before an "@" would look like the host.
  host=${source#*://} host=${host%%/*} secure=""
  case $source in *[[:space:]?#]*) host="" ;; https://*) secure=yes ;; http://*) ;; *) host="" ;; esac
  case $host in
    "" | *[!][0-9A-Za-z.:_-]*) fail 2 "\"$source\" is no https address of a host: name one with --url or QUORATE_MIRROR (see --help)" ;;
    127.0.0.1 | 127.0.0.1:* | localhost | localhost:* | "[::1]" | "[::1]:"*) ;;
    *) [ -n "$secure" ] || fail 2 "$source is not https: what comes over plain http could be anybody's" ;;
  esac
}

# Before anything is loaded; `quorate install` will look again.
check_manager() {
  if [ -n "$no_service$from" ]; then return; fi
  case $user in
    0) for place in /run/systemd/system /run/openrc/softlevel /usr/local/etc/rc.d; do [ ! -e $place ] || return 0; done ;;
    *) ! systemctl --user show-environment >/dev/null 2>&1 || return 0 ;;
  esac
  fail 5 "found no service manager that could start quorate (systemd, OpenRC, /usr/local/etc/rc.d; without root: systemd of this user).
  Nothing was loaded. Install the file alone with --no-service, and have \`quorate $role\` started by your own means"
}

# Sets target, as in the file's name: processor, whether it lacks AVX2, C library.
find_machine() {
  system=$(uname -s) machine=$(uname -m)
  [ "$system" = Linux ] || fail 1 "quorate runs on Linux; this is $system"
  case $machine in
    x86_64 | amd64) arch=x64 loader=ld-linux-x86-64.so.2 musl=ld-musl-x86_64.so.1 ;;
    aarch64 | arm64) arch=arm64 loader=ld-linux-aarch64.so.1 musl=ld-musl-aarch64.so.1 ;;
    *) fail 1 "quorate runs on x86_64 and aarch64 processors; this is $machine" ;;
  esac
  # A 64-bit kernel may carry a 32-bit system. The fifth byte of an executable is its class: 2 is 64 bit.
  class=$(od -An -tu1 -j4 -N1 /proc/self/exe 2>/dev/null | tr -d ' ') || class=""
  [ "$class" != 1 ] || fail 1 "the kernel is 64 bit but the programs here are 32 bit; quorate needs a 64-bit system"
  if [ -e "$root/lib64/$loader" ] || [ -e "$root/lib/$loader" ]; then
    check_glibc
    target=linux-$arch
    if [ $arch = x64 ] && ! grep -qw avx2 "$root/proc/cpuinfo" 2>/dev/null; then target=$target-baseline; fi
  elif [ -e "$root/lib/$musl" ]; then
    [ -e "$root/usr/lib/libstdc++.so.6" ] || [ -e "$root/lib/libstdc++.so.6" ] ||
      fail 1 "quorate needs the C++ library here; install it and try again: apk add libstdc++"
    target=linux-$arch-musl
  else
    fail 1 "found neither glibc (${loader}) nor musl (${musl}) below $root/lib"
  fi
}

# Of an image below --root nothing can be asked, and its processor is not this one.
check_glibc() {
  libc=$([ -n "$root" ] || getconf GNU_LIBC_VERSION 2>/dev/null) || return 0
  case $libc in "glibc 2."[0-9] | "glibc 2."[0-9].* | "glibc 2.1"[0-6] | "glibc 2.1"[0-6].*) ;; *) return 0 ;; esac
  fail 1 "quorate needs glibc 2.17 or later; this is $libc"
}

# The files of the release come beside the program, on its file system: the last step is then a rename.
make_work() {
  trap clean_up EXIT
  trap 'exit 130' INT && trap 'exit 143' TERM HUP
  if [ -n "$dry" ]; then work=$(mktemp -d) && return; fi
  probe "$bin_dir" || fail 1 "cannot write to $bin_dir: run as root, or name another place with --bin-dir"
  probe "$bin_dir" exec || fail 1 "programs cannot run from $bin_dir (noexec): name another place with --bin-dir"
  make_dir "$bin_dir" || fail 1 "cannot make $bin_dir: run as root, or name another place with --bin-dir"
  if ! mkdir "$bin_dir/.quorate-install" 2>/dev/null; then
    owner=$(cat "$bin_dir/.quorate-install/pid" 2>/dev/null) || owner=""
    [ -z "$owner" ] || ! kill -0 "$owner" 2>/dev/null || fail 1 "another install.sh (process $owner) is at work in $bin_dir"
    rm -rf "$bin_dir/.quorate-install" && mkdir "$bin_dir/.quorate-install"
  fi
  work=$bin_dir/.quorate-install && echo $$ >"$work/pid"
}

# Makes a directory and its parents; made has those that were not there.
make_dir() {
  if [ -z "$1" ] || [ -d "$1" ]; then return 0; fi
  make_dir "${1%/*}" && mkdir "$1" 2>/dev/null || return 1
  made="$made$1/
"
}

# Brings file $1 of the release into the work directory, or ends; $2 is the exit code where the source has none of that name.
need() {
  output=$work/$1 code=0
  if [ -f "$from" ]; then
    member=$(tar -tf "$from" | grep -E "(^|/)$1\$" | head -n 1)
    [ -n "$member" ] || fail "$2" "there is no $1 in $from"
    tar -xOf "$from" "$member" >"$output" || code=3
  elif [ -n "$from" ]; then
    [ -f "$from/$1" ] || fail "$2" "there is no $1 in $from"
    cp "$from/$1" "$output" || code=3
  else
    for try in 1 2 3; do
      # The second try goes on where the first broke off; a server that cannot do that gets a third, from the start.
      resume="" code=0
      if [ $try = 2 ] && [ -s "$output" ]; then resume=yes; else rm -f "$output"; fi
      [ $try = 1 ] || sleep 1
      download "$source/$1" || code=$?
      if [ $code = 0 ]; then return; fi
      [ $code != 4 ] || fail "$2" "there is no $1 at $source"
    done
  fi
  [ $code = 0 ] || fail 3 "could not bring $1 from $source (see above); is there space in ${work%/*}?"
}

# 4: the server says that there is none.
download() {
  if command -v curl >/dev/null 2>&1; then
    if [ -t 2 ]; then set -- "$1" --progress-bar; else set -- "$1" -sS; fi
    set -- "$@" ${secure:+-L --proto =https --tlsv1.2} ${resume:+-C -}
    curl -f --connect-timeout 15 --speed-limit 1 --speed-time 30 -o "$output" "$@" && return
    [ $? != 22 ] || return 4
  elif command -v wget >/dev/null 2>&1; then
    set -- "$1" -q ${resume:+-c}
    if wget --version 2>/dev/null | grep -q 'GNU Wget'; then
      if [ -n "$secure" ]; then set -- "$@" --secure-protocol=TLSv1_2; else set -- "$@" --max-redirect=0; fi
      set -- "$@" -t 1 -T 30
    fi
    wget -O "$output" "$@" && return
    [ $? != 8 ] || return 4
    say "wget could not load $1" >&2
  else
    fail 3 "needs curl or wget; or fetch the files by hand and use --from DIR"
  fi
  return 3
}

sha256() {
  for tool in sha256sum "shasum -a 256" "busybox sha256sum" "openssl dgst -sha256 -r"; do
    if ! command -v "${tool%% *}" >/dev/null 2>&1; then continue; fi
    # shellcheck disable=SC2086 # the words of a command
    $tool <"$1" | cut -d ' ' -f 1
    return
  done
  fail 4 "cannot check the files: needs sha256sum, shasum, busybox or openssl"
}

# Is $work/$1 what it should be, by its SHA-256 $2?
check_hash() {
  case $2 in *[!0-9a-f]* | "") fail 4 "$source is damaged: it has \"$2\" for the SHA-256 of $1" ;; esac
  got=$(sha256 "$work/$1")
  [ "$got" = "$2" ] || fail 4 "$1 from $source is not what it should be and was not installed
  expected $2
  got      $got"
}

# Sets name and wanted (of the program), bytes, packed and packed_wanted (of what is brought), unpack.
read_manifest() {
  name=quorate-$target list=$pinned
  if command -v zstd >/dev/null 2>&1; then packed=$name.zst unpack="zstd -dc"; else packed=$name.gz unpack="gzip -dc"; fi
  if [ -z "$version" ] && [ -f "$from/SHA256SUMS" ] && [ ! -f "$from/manifest.json" ]; then
    need SHA256SUMS 3
    packed=$name unpack=cat list=$(awk '{ print $2, 125000000, $1 }' "$work/SHA256SUMS")
  else
    need manifest.json 3
    check_manifest
    if [ -z "$version" ] || [ -n "${QUORATE_VERSION:-}" ]; then
      number='"bytes":\([0-9]*\),"sha256":"\([^"]*\)"'
      list=$(sed -n "s/.*\"name\":\"\([^\"]*\)\",$number,\"gz\":{$number},\"zst\":{$number}}.*/\1 \2 \3,\1.gz \4 \5,\1.zst \6 \7/p" \
        "$work/manifest.json" | tr , '\n')
    fi
  fi
  bytes=$(entry "$name" 2) wanted=$(entry "$name" 3) packed_wanted=$(entry "$packed" 3)
  [ -n "$wanted" ] || fail 1 "there is no $name at $source: it holds no build for this machine"
}

entry() { printf '%s\n' "$list" | awk -v name="$1" -v column="$2" '$1 == name { print $column }'; }

check_manifest() {
  if [ -z "$version" ]; then
    say "this install.sh is from the source tree and knows no key: $source is checked for damage only"
    return
  fi
  if [ -z "${QUORATE_VERSION:-}" ]; then
    check_hash manifest.json "$manifest_sha256"
  else
    grep -qF "\"version\":\"$QUORATE_VERSION\"" "$work/manifest.json" || fail 4 "what is at $source is not version $QUORATE_VERSION"
  fi
  need manifest.json.minisig 4
  code=0
  check_signature || code=$?
  case $code in
    1) fail 4 "the manifest at $source is not signed by a release key of quorate; nothing was installed" ;;
    # The program can check it itself, if its own hash is beyond doubt: by the hash of the manifest in this script.
    2) [ -z "${QUORATE_VERSION:-}" ] || fail 4 "cannot check the signature of $QUORATE_VERSION: needs openssl 3 or minisign" ;;
  esac
  if [ $code = 2 ]; then deferred=yes; fi
  [ "$development" != yes ] || say "this is a development release, signed by a key made on the spot"
}

# 0 signed, 1 not, 2 nothing here can tell. minisign's second line is base64 of "ED", the key's number and an Ed25519
# signature of the manifest's BLAKE2b hash; a key is "Ed", its number and 32 bytes, which openssl wants as DER.
check_signature() {
  sig=$work/manifest.json.minisig
  case $(openssl version 2>/dev/null) in
    "OpenSSL "[3-9]*)
      openssl dgst -blake2b512 -binary -out "$work/hash" "$work/manifest.json" 2>/dev/null || return 2
      sed -n 2p "$sig" | openssl base64 -d -A >"$work/sig" 2>/dev/null
      if [ "$(head -c 2 "$work/sig")" != ED ] || [ "$(wc -c <"$work/sig")" -ne 74 ]; then return 1; fi
      tail -c 64 "$work/sig" >"$work/sig64"
      for key in $keys; do
        { printf '0*0\005\006\003+ep\003!\000' && printf %s "$key" | openssl base64 -d -A | tail -c 32; } >"$work/key"
        ! openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key" -rawin -in "$work/hash" \
          -sigfile "$work/sig64" >/dev/null 2>&1 || return 0
      done
      return 1
      ;;
  esac
  command -v minisign >/dev/null 2>&1 || return 2
  for key in $keys; do
    ! minisign -Vqm "$work/manifest.json" -x "$sig" -P "$key" >/dev/null 2>&1 || return 0
  done
  return 1
}

# Brings the program, checked, as candidate.
load_program() {
  free=$(df -Pk "$work" | awk 'NR == 2 { print $4 }')
  [ "${free:-0}" -ge $((bytes / 512 + 65536)) ] ||
    fail 1 "there are $((${free:-0} / 1024)) MB free in ${work%/*}; installing needs $((bytes / 524288 + 64)) MB for a moment"
  need "$packed" 3
  check_hash "$packed" "$packed_wanted"
  candidate=$work/program
  $unpack <"$work/$packed" >"$candidate" || fail 3 "cannot unpack $packed; is there space in ${work%/*}?"
  check_hash program "$wanted"
  rm -f "${work:?}/$packed"
  chmod 0755 "$candidate"
  # An image's program may be for another processor; here it must start before it replaces anything.
  if [ -n "$root" ]; then return; fi
  "$candidate" --version >/dev/null 2>"$work/words" ||
    fail 1 "$name does not start on this machine and was not installed: $(head -n 3 "$work/words")"
  [ -z "$deferred" ] ||
    "$candidate" verify --manifest "$work/manifest.json" --signature "$work/manifest.json.minisig" >/dev/null 2>"$work/words" ||
    fail 4 "the manifest is not signed by a release key of quorate: $(head -n 3 "$work/words")"
}

clean_up() {
  if [ -n "$work" ]; then rm -rf "$work"; fi
  # What was made for nothing.
  if [ -d "${bin_dir:-}" ] && [ ! -e "$program" ]; then
    printf %s "$made" | sort -r | while IFS= read -r place; do rmdir "$place" 2>/dev/null || break; done
  fi
}

say() { printf 'quorate: %s\n' "$1"; }

fail() { printf 'quorate: %s\n' "$2" >&2; exit "$1"; }

{ main "$@" </dev/null; }
