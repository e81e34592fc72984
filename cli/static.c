/*
 * What a program without shared libraries does without. glibc looks users up through libraries that
 * it loads at run time, which such a program should not do; libuv would ask for the home folder of
 * a user who has no HOME, and ireko does not ask libuv for it.
 */
#include <errno.h>
#include <pwd.h>
#include <stddef.h>

int getpwuid_r(uid_t uid, struct passwd *user, char *bytes, size_t size, struct passwd **result)
{
    (void)uid;
    (void)user;
    (void)bytes;
    (void)size;
    *result = NULL;
    return ENOENT;
}
