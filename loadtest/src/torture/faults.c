/* A disk that fails at the n-th call: what is asked of files below TORTURE_FOLDER is counted, and call TORTURE_NTH fails
 * as TORTURE_KIND says.
 *
 *   eio      the call fails with EIO
 *   enospc   the call fails with ENOSPC
 *   emfile   an open fails with EMFILE; nothing else is counted
 *   short    a write takes half; nothing else is counted
 *   sync     a sync fails with EIO, and a segment loses what the sync should have saved, as on Linux once the page
 *            cache lets go of it; nothing else is counted
 *   sticky   this call and all after it fail with EIO
 *
 * Counted: open, write, pwrite, writev, fsync, fdatasync, sync_file_range, rename, unlink, ftruncate. The shared file
 * (TORTURE_PAGE) holds two numbers: calls counted, and how many of them failed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES_MAX 4096
enum { OPEN, WRITE, SYNC, NAME, CUT };

static const char *folder, *kind;
static size_t folder_length;
static int64_t nth, spare[2], *page = spare;
static char ours[FILES_MAX], segment[FILES_MAX];
static off_t synced[FILES_MAX];

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("TORTURE_PAGE"), *number = getenv("TORTURE_NTH");
    kind = getenv("TORTURE_KIND");
    nth = number ? atoll(number) : 0;
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(0, 16, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) page = mapped;
    folder = getenv("TORTURE_FOLDER");
    folder_length = folder ? strlen(folder) : 0;
}

static int is(const char *name) { return kind && strcmp(kind, name) == 0; }

/* Counts a call, and says with which errno it fails: 0, not at all; -1, by halves. */
static int verdict(int call) {
    if (!kind || (is("sync") && call != SYNC) || (is("short") && call != WRITE) || (is("emfile") && call != OPEN)) return 0;
    int64_t number = __atomic_add_fetch(&page[0], 1, __ATOMIC_SEQ_CST);
    if (number != nth && !(is("sticky") && number > nth)) return 0;
    __atomic_add_fetch(&page[1], 1, __ATOMIC_SEQ_CST);
    if (is("short")) return -1;
    return is("enospc") ? ENOSPC : is("emfile") ? EMFILE : EIO;
}

static int below(const char *path) { return folder && path && strncmp(path, folder, folder_length) == 0; }
static int is_ours(int file) { return file >= 0 && file < FILES_MAX && ours[file]; }

static int opened(int file, const char *path) {
    if (file < 0 || file >= FILES_MAX) return file;
    ours[file] = below(path);
    size_t length = strlen(path);
    segment[file] = ours[file] && length > 4 && strcmp(path + length - 4, ".seg") == 0;
    struct stat found;
    synced[file] = fstat(file, &found) == 0 ? found.st_size : 0;
    return file;
}

#define FAIL_IF(condition, call, result) do { \
    int why = (condition) ? verdict(call) : 0; \
    if (why > 0) { errno = why; return result; } \
} while (0)

#define OPENER(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        FAIL_IF(below(path), OPEN, -1); \
        return opened(real(path, flags, mode), path); \
    }
OPENER(open)
OPENER(open64)

#define WRITER(name, ...) \
        REAL(name); \
        int why = is_ours(file) ? verdict(WRITE) : 0; \
        if (why > 0) { errno = why; return -1; } \
        if (why < 0 && length > 1) length /= 2; \
        return real(file, bytes, length, ##__VA_ARGS__);
ssize_t write(int file, const void *bytes, size_t length) { WRITER(write) }
ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) { WRITER(pwrite, at) }
ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) { WRITER(pwrite64, at) }

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(writev);
    FAIL_IF(is_ours(file), WRITE, -1);
    return real(file, parts, count);
}

#define SYNCER(name) \
    int name(int file) { \
        REAL(name); \
        int why = is_ours(file) ? verdict(SYNC) : 0; \
        if (why > 0) { \
            if (is("sync") && segment[file]) { REAL_CUT(file, synced[file]); } \
            errno = why; \
            return -1; \
        } \
        int result = real(file); \
        struct stat found; \
        if (result == 0 && is_ours(file) && fstat(file, &found) == 0) synced[file] = found.st_size; \
        return result; \
    }
static void REAL_CUT(int file, off_t length) {
    REAL(ftruncate);
    if (real(file, length) != 0) _exit(99);
}
SYNCER(fsync)
SYNCER(fdatasync)

int sync_file_range(int file, off64_t at, off64_t length, unsigned int flags) {
    REAL(sync_file_range);
    FAIL_IF(is_ours(file), SYNC, -1);
    return real(file, at, length, flags);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    FAIL_IF(below(from), NAME, -1);
    return real(from, to);
}

int unlink(const char *path) {
    REAL(unlink);
    FAIL_IF(below(path), NAME, -1);
    return real(path);
}

#define CUTTER(name, type) \
    int name(int file, type length) { \
        REAL(name); \
        FAIL_IF(is_ours(file), CUT, -1); \
        return real(file, length); \
    }
CUTTER(ftruncate, off_t)
CUTTER(ftruncate64, off64_t)

int close(int file) {
    REAL(close);
    if (file >= 0 && file < FILES_MAX) ours[file] = segment[file] = 0;
    return real(file);
}
