// Loaded before libc into a node of the laboratory: flushes wait as long as the file named by QUORATE_STALLED_WHILE exists. What a SIGKILL
// then ends was written at most, never flushed and never reported as durable.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_for_disk(void) {
  const char *path = getenv("QUORATE_STALLED_WHILE");
  const struct timespec pause = {0, 1000000};
  while (path != NULL && access(path, F_OK) == 0) nanosleep(&pause, NULL);
}

int fsync(int fd) {
  wait_for_disk();
  return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
  wait_for_disk();
  return (int)syscall(SYS_fdatasync, fd);
}
