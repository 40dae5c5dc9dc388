# Carries out rows of pmxcfs/behaviour.tsv on a mount, as they were recorded on the original's: one system call or a few for each.
# `mount-behaviour.py MOUNT ME OTHER < operations`, one operation a line; prints one JSON string an operation: "OK …" or the errno.
import ctypes, errno, fcntl, json, mmap, os, sys

root, me, other = sys.argv[1:4]
libc = ctypes.CDLL(None, use_errno=True)
guests, foreign, containers = f"nodes/{me}/qemu-server", f"nodes/{other}/qemu-server", f"nodes/{me}/lxc"


def at(path):
    return f"{root}/{path}" if path else root


def name_of(error):
    return "ENOTSUP" if error == errno.EOPNOTSUPP else errno.errorcode[error]


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def opened(path, flags, act=lambda fd: None):
    fd = os.open(at(path), flags, 0o640)
    try:
        return act(fd)
    finally:
        os.close(fd)


def write_all(fd, data):
    # From the beginning of a page: the kernel cuts what it is given at pages of memory, and the last piece is refused whole.
    memory = mmap.mmap(-1, max(1, len(data)))
    memory[: len(data)] = data
    view, sent = memoryview(memory), 0
    while sent < len(data):
        sent += os.write(fd, view[sent : len(data)])
    return sent


def read(path):
    return opened(path, os.O_RDONLY, lambda fd: os.read(fd, 2_000_000))


def put(path, data, flags=os.O_CREAT | os.O_TRUNC):
    return opened(path, os.O_WRONLY | flags, lambda fd: write_all(fd, data))


def pwrite(path, data, offset):
    return opened(path, os.O_WRONLY, lambda fd: os.pwrite(fd, data, offset))


def create(path):
    return opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def quietly(act, *args):
    try:
        act(*args)
    except OSError:
        pass


def rename(source, target):
    os.rename(at(source), at(target))


def mkdir(path):
    os.mkdir(at(path))


def getattr_(path):
    s = os.lstat(at(path))
    return f"{s.st_mode:o} uid={s.st_uid} gid={s.st_gid} nlink={s.st_nlink} size={s.st_size} blocks={s.st_blocks} blksize={s.st_blksize}"


def short(path):
    return getattr_(path).split(" size=")[0]


def times(path):
    s = os.stat(at(path))
    return (int(s.st_atime), int(s.st_mtime), int(s.st_ctime))


def named(name):
    path = root.encode() + b"/t/" + name
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640))
    os.unlink(path)


def statvfs():
    v = os.statvfs(root)
    return f"bsize={v.f_bsize} frsize={v.f_frsize} blocks={v.f_blocks} bfree<blocks={v.f_bfree < v.f_blocks} files={v.f_files} namemax={v.f_namemax}"


def as_user(uid, act):
    """`act` in a process of that user; its errno is ours."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            act()
        except OSError as error:
            code = error.errno
        except BaseException:
            code = 255
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0:
        raise OSError(code, "")


def mapped(flags):
    def act(fd):
        mmap.mmap(fd, 1, flags=flags, prot=mmap.PROT_READ).close()

    opened("t/g", os.O_RDWR, act)


def replace_noreplace():
    check(libc.renameat2(-100, at("t/g").encode(), -100, at("t/x").encode(), 1))


def zero_file():
    create("t/zero")
    os.truncate(at("t/zero"), 10)


def full_to_lock():
    os.unlink(at("t/full/x"))
    rename("t/full", "priv/lock/Z")
    # The rows behind this one read t/full/x again.
    mkdir("t/full")
    put("t/full/x", b"x")


def open_while(act):
    put("t/open", b"held")
    fd = os.open(at("t/open"), os.O_RDONLY)
    act()
    assert os.pread(fd, 9, 0) == b"held", "the open file keeps its content"
    os.close(fd)
    quietly(os.unlink, at("t/open"))


def over_open():
    put("t/over", b"new")
    open_while(lambda: rename("t/over", "t/open"))


def full_onto_empty():
    mkdir("t/there")
    try:
        rename("t/full2", "t/there")
    finally:
        assert os.path.isdir(at("t/there")), "the target is still there"
        os.rmdir(at("t/there"))


def debug_after_write():
    put(".debug", b"1\n", 0)
    seen = read(".debug")
    put(".debug", b"0\n", 0)
    return "fresh" if seen == b"1\n" else "stale"


def fill():
    for n in range(132):
        put(f"t/fill{n}", bytes(1_048_576))
    for n in range(132):
        os.unlink(at(f"t/fill{n}"))


def create_rename():
    create(f"{guests}/100.conf.tmp")
    rename(f"{guests}/100.conf.tmp", f"{guests}/100.conf")


def sub_file():
    mkdir(f"{guests}/sub")
    create(f"{guests}/sub/100.conf")


def lock_sub():
    mkdir("priv/lock/L/sub")
    os.rmdir(at("priv/lock/L/sub"))


def there_and_back():
    rename("t/empty", "t/e2")
    rename("t/e2", "t/empty")


def onto_empty():
    quietly(mkdir, "t/e3")
    rename("t/e3", "t/empty2")


def script_mode():
    create("t/100.mount")
    return f"{os.stat(at('t/100.mount')).st_mode:o}"


def root_names():
    always = ".clusterlog .debug .members .rrd .version .vmlist local lxc openvz qemu-server".split()
    names = os.listdir(root)
    return f"(always contains {' '.join(n for n in always if n in names)} besides stored names)"


def utime(path, *seconds, **how):
    os.utime(at(path), seconds * 2 if seconds else None, **how)


def now():
    return int(os.stat(at("priv/lock/L")).st_mtime)


config = "totem {{\n{}cluster_name: c\n}}\n"
contents = iter([repr, bytes.hex])
before = times("t/g")

rows = {
    "getattr /": lambda: getattr_(""),
    "getattr t (dir)": lambda: getattr_("t"),
    "getattr t/f (file)": lambda: getattr_("t/f"),
    "getattr nodes/ME/priv": lambda: getattr_(f"nodes/{me}/priv"),
    "getattr nodes/ME/priv/k": lambda: getattr_(f"nodes/{me}/priv/k"),
    "getattr nodes/ME/qemu-server/100.conf": lambda: getattr_(f"{guests}/100.conf"),
    "stat through symlink with missing target dir (openvz)": lambda: os.stat(at("openvz")),
    "read file t/f": lambda: repr(read("t/f")),
    "pread past EOF": lambda: opened("t/f", os.O_RDONLY, lambda fd: len(os.pread(fd, 9, 100))),
    "open missing O_RDONLY": lambda: opened("missing", os.O_RDONLY),
    "open dir O_WRONLY": lambda: opened("t", os.O_WRONLY),
    "open t/f O_WRONLY (no write)": lambda: opened("t/f", os.O_WRONLY),
    "open t/f O_RDWR|O_TRUNC": lambda: opened("t/f", os.O_RDWR | os.O_TRUNC),
    "create t/new (O_CREAT|O_EXCL)": lambda: create("t/new"),
    "create t/f O_CREAT|O_EXCL (exists)": lambda: create("t/f"),
    "create in missing dir": lambda: create("t/none/x"),
    "create below a file t/f/x": lambda: create("t/f/x"),
    "write 5 bytes t/f": lambda: put("t/f", b"hello", 0),
    "append 6 bytes (O_APPEND)": lambda: put("t/f", b" world", os.O_APPEND),
    "content after append": lambda: repr(read("t/f")),
    "pwrite at 20 (hole 11..19)": lambda: pwrite("t/f", b"Z", 20),
    "content after hole": lambda: read("t/f").hex(),
    "pwrite at 0, 2 bytes, no truncate": lambda: pwrite("t/f", b"XX", 0),
    "size unchanged": lambda: os.stat(at("t/f")).st_size,
    "truncate shrink 5": lambda: os.truncate(at("t/f"), 5),
    "content": lambda: next(contents)(read("t/f")),
    "truncate grow 9": lambda: os.truncate(at("t/f"), 9),
    "ftruncate 3 on open fd": lambda: opened("t/f", os.O_RDWR, lambda fd: os.ftruncate(fd, 3)),
    "truncate missing": lambda: os.truncate(at("t/missing"), 3),
    "truncate dir": lambda: os.truncate(at("t"), 3),
    "write 1048576 bytes in one file": lambda: put("t/big", bytes(1_048_576)),
    "write 1048577 bytes": lambda: put("t/big", bytes(1_048_577)),
    "size after failing write": lambda: os.stat(at("t/big")).st_size,
    "pwrite 1 byte at 1048576": lambda: pwrite("t/big", b"x", 1_048_576),
    "truncate 1048576": lambda: os.truncate(at("t/f"), 1_048_576),
    "truncate 1048577": lambda: os.truncate(at("t/f"), 1_048_577),
    "truncate 4294967296+3": lambda: os.truncate(at("t/f"), 4_294_967_299),
    "size after": lambda: os.stat(at("t/f")).st_size,
    "truncate back 5": lambda: os.truncate(at("t/f"), 5),
    "mkdir t/d1": lambda: mkdir("t/d1"),
    "mkdir existing": lambda: mkdir("t/full"),
    "mkdir missing parent": lambda: mkdir("t/none/x"),
    "mkdir below file": lambda: mkdir("t/f/x"),
    "rmdir non-empty": lambda: os.rmdir(at("t/full")),
    "rmdir file": lambda: os.rmdir(at("t/f")),
    "unlink dir": lambda: os.unlink(at("t/full")),
    "rmdir t/d1": lambda: os.rmdir(at("t/d1")),
    "rmdir missing": lambda: os.rmdir(at("t/d1")),
    "unlink missing": lambda: os.unlink(at("t/missing")),
    "unlink t/new": lambda: os.unlink(at("t/new")),
    "rename file t/f -> t/f2": lambda: rename("t/f", "t/f2"),
    "rename back over existing: t/f2 -> t/g": lambda: rename("t/f2", "t/g"),
    "rename missing": lambda: rename("t/f2", "t/x"),
    "rename to missing dir": lambda: rename("t/g", "t/none/g"),
    "rename empty dir": there_and_back,
    "rename non-empty dir": lambda: rename("t/full", "t/full3"),
    "rename empty dir onto empty dir": onto_empty,
    "rename empty dir onto non-empty dir": lambda: rename("t/empty2", "t/full2"),
    "rename file onto dir": lambda: rename("t/g", "t/empty"),
    "rename dir onto file": lambda: rename("t/empty", "t/g"),
    "rename dir into itself": lambda: rename("t/empty", "t/empty/x"),
    "RENAME_NOREPLACE": replace_noreplace,
    "rename lock dir priv/lock/held -> priv/lock/h2": lambda: rename("priv/lock/held", "priv/lock/h2"),
    "rename t/g -> .version": lambda: rename("t/g", ".version"),
    "rename t/g -> local": lambda: rename("t/g", "local"),
    "rename .debug -> t/x": lambda: rename(".debug", "t/x"),
    "rename local -> t/x": lambda: rename("local", "t/x"),
    "chmod 0640 file": lambda: os.chmod(at("t/g"), 0o640),
    "chmod 0600 file": lambda: os.chmod(at("t/g"), 0o600),
    "chmod 0644 file": lambda: os.chmod(at("t/g"), 0o644),
    "chmod 0600 priv file": lambda: os.chmod(at("priv/secret"), 0o600),
    "chmod 0640 priv file": lambda: os.chmod(at("priv/secret"), 0o640),
    "chmod 0755 dir": lambda: os.chmod(at("t"), 0o755),
    "chmod 0640 dir": lambda: os.chmod(at("t"), 0o640),
    "chmod 0640 missing": lambda: os.chmod(at("t/missing"), 0o640),
    "chown root:www-data": lambda: os.chown(at("t/g"), 0, 33),
    "chown -1:-1": lambda: os.chown(at("t/g"), -1, -1),
    "chown root:root": lambda: os.chown(at("t/g"), 0, 0),
    "chown 1000:33": lambda: os.chown(at("t/g"), 1000, 33),
    "symlink": lambda: os.symlink("g", at("t/sym")),
    "link": lambda: os.link(at("t/g"), at("t/hard")),
    "mkfifo": lambda: os.mkfifo(at("t/fifo")),
    "mknod regular file": lambda: os.mknod(at("t/nod")),
    "setxattr user.x": lambda: os.setxattr(at("t/g"), "user.x", b"1"),
    "getxattr user.x": lambda: os.getxattr(at("t/g"), "user.x"),
    "listxattr": lambda: os.listxattr(at("t/g")),
    "removexattr": lambda: os.removexattr(at("t/g"), "user.x"),
    "utime file 1000000000": lambda: utime("t/g", 1_000_000_000),
    "stat times": lambda: "unchanged" if times("t/g") == before else str(times("t/g")),
    "utime file 0,0": lambda: utime("t/g", 0),
    "utime now": lambda: utime("t/g"),
    "utime dir t 5": lambda: utime("t", 5),
    "utime root": lambda: utime("", 5),
    "utime .version": lambda: utime(".version", 5),
    "utime symlink local (nofollow)": lambda: utime("local", 5, follow_symlinks=False),
    "utime missing": lambda: utime("t/missing", 5),
    "fsync file": lambda: opened("t/g", os.O_RDWR, os.fsync),
    "fdatasync": lambda: opened("t/g", os.O_RDWR, os.fdatasync),
    "fsync dir": lambda: opened("t", os.O_RDONLY, os.fsync),
    "flock LOCK_EX": lambda: opened("t/g", os.O_RDWR, lambda fd: fcntl.flock(fd, fcntl.LOCK_EX)),
    "fcntl lockf": lambda: opened("t/g", os.O_RDWR, lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX)),
    "fallocate 100": lambda: opened("t/f", os.O_RDWR | os.O_CREAT, lambda fd: os.posix_fallocate(fd, 0, 100)),
    "mmap MAP_SHARED": lambda: mapped(mmap.MAP_SHARED),
    "mmap MAP_PRIVATE": lambda: mapped(mmap.MAP_PRIVATE),
    "open O_DIRECT": lambda: opened("t/g", os.O_RDONLY | os.O_DIRECT),
    "open O_TMPFILE": lambda: opened("t", os.O_RDWR | os.O_TMPFILE),
    "lseek SEEK_END": lambda: opened("t/f", os.O_RDONLY, lambda fd: os.lseek(fd, 0, os.SEEK_END)),
    "statvfs": statvfs,
    "access W_OK root": lambda: os.access(root, os.W_OK),
    "lstat local: owner write bit": lambda: os.lstat(at("local")).st_mode & 0o200 != 0,
    "write .version": lambda: put(".version", b"x", 0),
    "truncate .version": lambda: os.truncate(at(".version"), 0),
    "unlink .version": lambda: os.unlink(at(".version")),
    "unlink local": lambda: os.unlink(at("local")),
    "create .version O_CREAT|O_EXCL": lambda: create(".version"),
    "mkdir local": lambda: mkdir("local"),
    "mkdir .version/x": lambda: mkdir(".version/x"),
    "rmdir local": lambda: os.rmdir(at("local")),
    "create arbitrary dotfile .foo": lambda: create(".foo"),
    "unlink .foo": lambda: os.unlink(at(".foo")),
    'write .debug "1\\n"': lambda: put(".debug", b"1\n", 0),
    "read .debug": lambda: repr(read(".debug")),
    'write .debug "0\\n"': lambda: put(".debug", b"0\n", 0),
    'write .debug "1" (no newline)': lambda: put(".debug", b"1", 0),
    'write .debug "2\\n"': lambda: put(".debug", b"2\n", 0),
    "write .debug at offset 1": lambda: pwrite(".debug", b"1\n", 1),
    "chmod .debug 0640": lambda: os.chmod(at(".debug"), 0o640),
    "rmdir /etc/pve": lambda: os.rmdir(root),
    "rename /etc/pve": lambda: os.rename(root, f"{root}.x"),
    "create VM conf nodes/ME/qemu-server/101.conf": lambda: put(f"{guests}/101.conf", b"vm101"),
    "create same VMID other node": lambda: put(f"{foreign}/101.conf", b"x"),
    "create same VMID as CT": lambda: put(f"{containers}/101.conf", b"x"),
    "write VM conf via symlink qemu-server/101.conf": lambda: put("qemu-server/101.conf", b"vm1o1", os.O_TRUNC),
    "write other node VM 200.conf": lambda: put(f"{foreign}/200.conf", b"vm200"),
    "mv 101.conf to other node (migration)": lambda: rename(f"{guests}/101.conf", f"{foreign}/101.conf"),
    "mv back": lambda: rename(f"{foreign}/101.conf", f"{guests}/101.conf"),
    "mv 101.conf -> ME/lxc/101.conf (type change, same id)": lambda: rename(f"{guests}/101.conf", f"{containers}/101.conf"),
    "mv lxc/101.conf -> qemu-server/101.conf": lambda: rename(f"{containers}/101.conf", f"{guests}/101.conf"),
    "mv 101.conf -> other/200.conf (id of same path)": lambda: rename(f"{guests}/101.conf", f"{foreign}/200.conf"),
    "mv t/g -> ME/qemu-server/300.conf (id used by CT)": lambda: rename("t/g", f"{guests}/300.conf"),
    "create tmp + rename over VM conf": create_rename,
    "create 0100.conf": lambda: put(f"{guests}/0100.conf", b"x"),
    "create 5.conf": lambda: put(f"{guests}/5.conf", b"x"),
    "create 4294967296.conf": lambda: put(f"{guests}/4294967296.conf", b"x"),
    "create 4294967296.conf twice other node": lambda: put(f"{foreign}/4294967296.conf", b"x"),
    "mkdir qemu-server/400.conf (directory)": lambda: mkdir(f"{guests}/400.conf"),
    "create lxc/400.conf": lambda: put(f"{containers}/400.conf", b"x"),
    "create sub dir file qemu-server/sub/100.conf": sub_file,
    "rename 100.conf -> 102.conf": lambda: rename(f"{guests}/100.conf", f"{guests}/102.conf"),
    "unlink 102.conf": lambda: os.unlink(at(f"{guests}/102.conf")),
    "create name with newline, tab, quote": lambda: named(b'a\nb\tc"d'),
    "create name invalid utf-8 (ff fe)": lambda: named(b"\xff\xfe"),
    "create name openvz script 100.mount, mode": script_mode,
    "rmdir nodes/ME/lxc non-empty": lambda: os.rmdir(at(containers)),
    "rmdir nodes (non-empty)": lambda: os.rmdir(at("nodes")),
    "rmdir empty nodes/OTHER/lxc": lambda: os.rmdir(at(f"nodes/{other}/lxc")),
    "mkdir nodes/OTHER/lxc": lambda: mkdir(f"nodes/{other}/lxc"),
    "mkdir nodes/-bad-": lambda: mkdir("nodes/-bad-"),
    "mkdir toplevel dir": lambda: mkdir("toplevel"),
    "mkdir priv/lock/L": lambda: mkdir("priv/lock/L"),
    "mkdir priv/lock/L again": lambda: mkdir("priv/lock/L"),
    "utime priv/lock/L 0,0 (unlock request, not expired)": lambda: utime("priv/lock/L", 0),
    "utime priv/lock/L now (refresh, same writer)": lambda: utime("priv/lock/L", now() + 1),
    "utime priv/lock/L now-10 (older)": lambda: utime("priv/lock/L", now() - 10),
    "mkdir priv/lock/L/sub": lock_sub,
    "create file priv/lock/F": lambda: put("priv/lock/F", b""),
    "rename priv/lock/F -> priv/lock/G (file)": lambda: rename("priv/lock/F", "priv/lock/G"),
    "unlink priv/lock/G": lambda: os.unlink(at("priv/lock/G")),
    "rmdir priv/lock/L": lambda: os.rmdir(at("priv/lock/L")),
    "rename t/full -> priv/lock/Z": full_to_lock,
    "www-data: read t/empty2 dir": lambda: as_user(33, lambda: os.listdir(at("t/empty2"))),
    "www-data: read t/full/x": lambda: as_user(33, lambda: read("t/full/x")),
    "www-data: write t/full/x": lambda: as_user(33, lambda: put("t/full/x", b"w", 0)),
    "www-data: read priv/secret": lambda: as_user(33, lambda: read("priv/secret")),
    "www-data: list priv": lambda: as_user(33, lambda: os.listdir(at("priv"))),
    "www-data: read .members": lambda: as_user(33, lambda: read(".members")),
    "www-data: mkdir t/w": lambda: as_user(33, lambda: mkdir("t/w")),
    "nobody: list /": lambda: as_user(65534, lambda: os.listdir(root)),
    "nobody: read t/full/x": lambda: as_user(65534, lambda: read("t/full/x")),
    "nobody: read .version": lambda: as_user(65534, lambda: read(".version")),
    "nobody: readlink local": lambda: as_user(65534, lambda: os.readlink(at("local"))),
    "readdir / names": root_names,
    "truncate(2) to 10 on an empty file (size 0)": zero_file,
    "read of that file": lambda: read("t/zero").hex(),
    "truncate(2) to 10 on an empty file, then read": lambda: (zero_file(), read("t/zero").hex())[1],
    "rename non-empty dir onto existing empty dir": full_onto_empty,
    "unlink of a file that is open": lambda: open_while(lambda: os.unlink(at("t/open"))),
    "rename over a file that is open": over_open,
    "fallocate(2)": lambda: opened("t/g", os.O_RDWR, lambda fd: check(libc.fallocate(fd, 0, 0, 100))),
    "lstat .debug after write, within 1 s": debug_after_write,
    "fill tree with 132 MiB (132 files of 1 MiB)": fill,
    "write corosync.conf with higher config_version": lambda: put("corosync.conf", config.format("config_version: 7\n").encode()) and None,
    "write corosync.conf with lower config_version": lambda: put("corosync.conf", config.format("config_version: 6\n").encode()) and None,
    "write corosync.conf without config_version": lambda: put("corosync.conf", config.format("").encode()) and None,
    "any modification while corosync is down": lambda: mkdir("t/down"),
}
for path in ("priv", "priv/secret", "missing"):
    rows[f"getattr {path}"] = lambda path=path: getattr_(path)
for path in ("local", "lxc", "qemu-server", "openvz"):
    rows[f"lstat {path} (symlink)"] = lambda path=path: getattr_(path)
    rows[f"readlink {path}"] = lambda path=path: os.readlink(at(path)).replace(me, "ME")
for path in (".version", ".members", ".vmlist", ".rrd", ".clusterlog", ".debug"):
    rows[f"lstat {path}"] = lambda path=path: short(path)
for length in (255, 256, 300, 1023, 1024, 1025):
    rows[f"create name of {length} bytes"] = lambda length=length: named(b"n" * length)


def outcome(operation):
    try:
        value = rows[operation]()
    except OSError as error:
        return name_of(error.errno)
    return "OK" if value is None else f"OK {value}"


for line in sys.stdin:
    print(json.dumps(outcome(line.rstrip("\n"))), flush=True)
