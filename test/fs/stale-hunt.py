"""Hunts stale reads of one name: a writer at one mount, readers at others, and a page of memory that they share.

stale-hunt.py write DIRECTORY BOARD SECONDS: steps 1, 2, 3 …: replaces DIRECTORY/f by a text that begins with the step's number and has a size of its
  own; each fourth step removes it, and now and then a rest follows, in which kernels begin to keep what they read. The board has the step begun
  last, and the last whose call has returned, which acknowledges it.
stale-hunt.py read DIRECTORY BOARD SECONDS: opens and reads, asks for the size, lists. Whatever is found must be the state after a step from the one
  that was acknowledged before the look to the one begun after it. Prints the number of looks, and what was stale.
"""
import errno, mmap, os, sys, time

what, directory, board_path, seconds = sys.argv[1:5]
end = time.monotonic() + float(seconds)
# Numbers of eight bytes that are stored at once: struct.pack_into makes the place zero first, and others see that.
with open(board_path, "r+b") as file:
    board = memoryview(mmap.mmap(file.fileno(), 4096)).cast("q")
path = directory + "/f"
ACKNOWLEDGED, BEGUN = 0, 1


def removes(step):
    return step % 4 == 0


def text_of(step):
    return b"%d " % step + b"x" * (step * 37 % 5000)


def write():
    step = 0
    while time.monotonic() < end:
        step += 1
        board[BEGUN] = step
        if removes(step):
            os.unlink(path)
        else:
            fd = os.open(path + ".tmp", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)
            os.write(fd, text_of(step))
            os.close(fd)
            os.rename(path + ".tmp", path)
        board[ACKNOWLEDGED] = step
        if step % 10 == 5:
            time.sleep(0.5)
    print(step)


def by_read():
    fd = os.open(path, os.O_RDONLY)
    try:
        text = os.read(fd, 10_000)
        # Whole: a mixture of two is no state at all.
        step = int(text.split(b" ")[0])
        return text if text != text_of(step) else step
    finally:
        os.close(fd)


# Each look, and what it finds in the state after a step (None: no such file).
looks = {
    "read": (by_read, lambda step: step),
    "size": (lambda: os.stat(path).st_size, lambda step: len(text_of(step))),
    "list": (lambda: True if "f" in os.listdir(directory) else None, lambda step: True),
}


def read():
    stale, count = [], 0
    while time.monotonic() < end:
        for name, (look, shown_by) in looks.items():
            # A listing brings the kernel new attributes of all that it lists: mostly it has to find out by itself.
            if name == "list" and count % 64 > 1:
                continue
            acknowledged = board[ACKNOWLEDGED]
            try:
                found = look()
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ESTALE):
                    raise
                found = None
            begun = board[BEGUN]
            count += 1
            steps = range(acknowledged, begun + 1)
            right = [None if removes(step) else shown_by(step) for step in steps]
            if acknowledged > 0 and found not in right:
                stale.append("%s: %r, acknowledged %d, begun %d" % (name, found, acknowledged, begun))
    print(count, len(stale))
    for line in stale[:3]:
        print(line)


write() if what == "write" else read()
