#!/bin/sh
# Puts quorate on this machine: one file and the names it answers to. Nothing else is changed: no service is started, no
# firewall opened, no configuration touched. Run it with --help for the options.
#
# The whole body is functions; the last line starts them, so a download that was cut off does nothing.
# Exit codes: 0 done, 1 usage, 2 unsupported machine, 3 download, 4 verification, 5 service.

set -eu

names="pvecm corosync-quorumtool corosync-cfgtool corosync-cmapctl corosync-keygen
corosync-qnetd corosync-qnetd-tool corosync-qnetd-certutil corosync-qdevice-tool"

work=""

usage() {
  cat <<'END'
usage: install.sh [--from DIR | --url URL] [options]

  --from DIR      take the files from this directory; uses no network
  --url URL       take them from below this https address (default: $QUORATE_MIRROR)
  --bin-dir DIR   where to install (default: /usr/local/bin, or ~/.local/bin without root)
  --root DIR      install into the system image below DIR instead of this system
  --no-links      install quorate alone, without pvecm, corosync-quorumtool and the other names
  --help          show this

The directory or address must hold SHA256SUMS and the quorate-* files that `npm run build` makes.
END
}

main() {
  from="" url="${QUORATE_MIRROR:-}" bin_dir="" root="" links=yes
  while [ $# -gt 0 ]; do
    case $1 in
      --from) need_value "$@" && from=$2 && shift ;;
      --url) need_value "$@" && url=$2 && shift ;;
      --bin-dir) need_value "$@" && bin_dir=$2 && shift ;;
      --root) need_value "$@" && root=$2 && shift ;;
      --no-links) links=no ;;
      --help | -h) usage && exit 0 ;;
      *) fail 1 "unknown argument: $1 (see --help)" ;;
    esac
    shift
  done
  check_source
  find_machine
  choose_bin_dir

  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  # Beside the target, on its file system: the last step is then a rename.
  work=$(mktemp -d "$bin_dir/.quorate-install.XXXXXX" 2>/dev/null) ||
    fail 1 "cannot write to $bin_dir: run as root, or name another place with --bin-dir"

  fetch SHA256SUMS
  file=quorate-$target
  wanted=$(awk -v name="$file" '$2 == name || $2 == "*" name { print $1 }' "$work/SHA256SUMS")
  [ -n "$wanted" ] || fail 2 "there is no $file at $source: it holds no build for this machine"
  is_hash "$wanted" || fail 4 "SHA256SUMS at $source is damaged: it names \"$wanted\" for $file"

  if [ -f "$bin_dir/quorate" ] && [ "$(sha256 "$bin_dir/quorate")" = "$wanted" ]; then
    say "nothing to do: $bin_dir/quorate is this version already"
  else
    fetch "$file"
    install_file
  fi
  [ "$links" = no ] || make_links
  finish
}

need_value() {
  if [ $# -lt 2 ] || [ -z "$2" ]; then fail 1 "$1 needs a value (see --help)"; fi
}

check_source() {
  if [ -n "$from" ]; then
    [ -f "$from/SHA256SUMS" ] || fail 3 "there is no SHA256SUMS in $from; \`npm run build\` makes it"
    source=$from
    return
  fi
  url=${url%/}
  case $url in
    https://?*) ;;
    http://127.0.0.1[:/]* | http://localhost[:/]* | http://\[::1\]*) ;;
    http://*) fail 1 "$url is not https: what comes over plain http could be anybody's" ;;
    "") usage >&2 && exit 1 ;;
    *) fail 1 "$url is no https address (see --help)" ;;
  esac
  source=$url
}

# Sets target, as in the file's name: processor, then whether it lacks AVX2, then the C library.
find_machine() {
  system=$(uname -s)
  [ "$system" = Linux ] || fail 2 "quorate runs on Linux; this is $system"
  machine=$(uname -m)
  case $machine in
    x86_64 | amd64) arch=x64 loader=ld-linux-x86-64.so.2 musl=ld-musl-x86_64.so.1 ;;
    aarch64 | arm64) arch=arm64 loader=ld-linux-aarch64.so.1 musl=ld-musl-aarch64.so.1 ;;
    *) fail 2 "quorate runs on x86_64 and aarch64 processors; this is $machine" ;;
  esac
  # A 64-bit kernel may carry a 32-bit system. The fifth byte of an executable is its class: 2 is 64 bit.
  class=$(od -An -tu1 -j4 -N1 /proc/self/exe 2>/dev/null | tr -d ' ') || class=""
  [ "$class" != 1 ] || fail 2 "the kernel is 64 bit but the programs here are 32 bit; quorate needs a 64-bit system"

  if [ -e "$root/lib64/$loader" ] || [ -e "$root/lib/$loader" ]; then
    check_glibc
    target=linux-$arch
    if [ $arch = x64 ] && ! has_avx2; then target=$target-baseline; fi
  elif [ -e "$root/lib/$musl" ]; then
    [ -e "$root/usr/lib/libstdc++.so.6" ] || [ -e "$root/lib/libstdc++.so.6" ] ||
      fail 2 "quorate needs the C++ library here; install it and try again: apk add libstdc++"
    target=linux-$arch-musl
  else
    fail 2 "found neither glibc (${loader}) nor musl (${musl}) below $root/lib"
  fi
}

# Of an image below --root nothing can be asked, and its processor is not this one.
check_glibc() {
  [ -z "$root" ] || return 0
  version=$(getconf GNU_LIBC_VERSION 2>/dev/null) || return 0
  version=${version#glibc }
  major=${version%%.*} minor=${version#*.} minor=${minor%%.*}
  if [ "$major" -lt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -lt 17 ]; }; then
    fail 2 "quorate needs glibc 2.17 or later; this is $version"
  fi
}

has_avx2() {
  grep -qw avx2 "$root/proc/cpuinfo" 2>/dev/null
}

choose_bin_dir() {
  if [ -z "$bin_dir" ]; then
    if [ -n "$root" ] || [ "$(id -u)" = 0 ]; then bin_dir=/usr/local/bin; else bin_dir=$HOME/.local/bin; fi
  fi
  bin_dir=$root$bin_dir
  mkdir -p "$bin_dir" 2>/dev/null || fail 1 "cannot make $bin_dir: run as root, or name another place with --bin-dir"
}

# Brings one file of the source into the work directory, whole or not at all.
fetch() {
  if [ -n "$from" ]; then
    [ -f "$from/$1" ] || fail 3 "there is no $1 in $from"
    cp "$from/$1" "$work/$1" || fail 3 "cannot copy $from/$1; is there space in $bin_dir?"
    return
  fi
  for try in 1 2 3; do
    if download "$url/$1" "$work/$1"; then return; fi
    rm -f "$work/$1"
    [ $try = 3 ] || sleep 1
  done
  fail 3 "cannot download $url/$1 (3 tries); see the message above"
}

download() {
  case $1 in https://*) secure=yes ;; *) secure=no ;; esac
  if command -v curl >/dev/null 2>&1; then
    if [ $secure = yes ]; then set -- "$@" --proto "=https" --tlsv1.2; fi
    address=$1 output=$2
    shift 2
    curl -fsSL --connect-timeout 15 "$@" -o "$output" "$address"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -O "$2" "$1" || {
      say "wget could not load $1" >&2
      return 1
    }
  else
    fail 3 "needs curl or wget; or fetch the files by hand and use --from DIR"
  fi
}

is_hash() {
  case $1 in *[!0-9a-f]*) return 1 ;; esac
  [ ${#1} = 64 ]
}

sha256() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum <"$1" | cut -d ' ' -f 1
  elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 <"$1" | cut -d ' ' -f 1
  elif command -v busybox >/dev/null 2>&1; then
    busybox sha256sum <"$1" | cut -d ' ' -f 1
  elif command -v openssl >/dev/null 2>&1; then
    openssl dgst -sha256 -r <"$1" | cut -d ' ' -f 1
  else
    fail 4 "cannot check the file: needs sha256sum, shasum, busybox or openssl"
  fi
}

install_file() {
  got=$(sha256 "$work/$file")
  [ "$got" = "$wanted" ] || fail 4 "$file from $source is not what SHA256SUMS says and was not installed
  expected $wanted
  got      $got"
  chmod 0755 "$work/$file"
  # An image's program may be for another processor; here it must start before it replaces anything.
  if [ -z "$root" ]; then
    "$work/$file" --version >/dev/null 2>"$work/words" ||
      fail 2 "$file does not start on this machine and was not installed: $(head -n 3 "$work/words")"
  fi
  sync "$work/$file" 2>/dev/null || sync
  if [ -f "$bin_dir/quorate" ]; then ln -f "$bin_dir/quorate" "$bin_dir/quorate.prev"; fi
  mv -f "$work/$file" "$bin_dir/quorate"
}

# A name that belongs to another program, here or further along the path, is left alone and said.
make_links() {
  kept=""
  for name in $names; do
    link=$bin_dir/$name
    if [ "$(readlink "$link" 2>/dev/null)" = quorate ]; then continue; fi
    if [ -e "$link" ] || [ -L "$link" ] || is_elsewhere "$name"; then
      kept="$kept $name"
      continue
    fi
    ln -s quorate "$link"
  done
  if [ -n "$kept" ]; then say "left alone, as another program has the name:$kept (quorate has them as verbs)"; fi
}

is_elsewhere() {
  for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
    if [ "$root$folder" != "$bin_dir" ] && [ -e "$root$folder/$1" ]; then return 0; fi
  done
  return 1
}

finish() {
  if [ -n "$root" ]; then
    say "$file is in the image as $bin_dir/quorate"
    return
  fi
  say "$("$bin_dir/quorate" --version)"
  say "installed as $bin_dir/quorate; nothing was started"
  case :$PATH: in
    *":$bin_dir:"*) say "next: quorate --help" ;;
    *) say "next: $bin_dir/quorate --help ($bin_dir is not in your PATH)" ;;
  esac
}

clean_up() {
  if [ -n "$work" ]; then rm -rf "$work"; fi
}

say() {
  printf 'quorate: %s\n' "$1"
}

fail() {
  printf 'quorate: %s\n' "$2" >&2
  exit "$1"
}

{ main "$@"; }
