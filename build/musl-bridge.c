/* For the build's checks only, never shipped: the few symbols that Debian's C++ library expects of glibc and that musl
 * lacks, so that a musl executable can be run on a machine whose distribution has musl but no libstdc++ for it.
 * On a real musl system (Alpine) nothing of this is needed. */
#include <locale.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/random.h>
#include <time.h>

char __libc_single_threaded = 0;
unsigned __cpu_model[4];

int __cpu_indicator_init(void) { return 0; }

/* Answers "not found": C++ exceptions would end the program, and none is thrown on the way of the checks. */
int _dl_find_object(void *address, void *result) {
  (void)address;
  (void)result;
  return -1;
}

uint32_t arc4random(void) {
  uint32_t value;
  while (getrandom(&value, sizeof value, 0) != sizeof value) {
  }
  return value;
}

size_t __strftime_l(char *text, size_t size, const char *format, const struct tm *time, locale_t locale) {
  return strftime_l(text, size, format, time, locale);
}

/* Destructors of thread-local objects do not run; the process is about to end anyway. */
int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *library) {
  (void)destructor;
  (void)object;
  (void)library;
  return 0;
}
