/* floor ROOT PROGRAM ARGS: the least that any runtime does for runc's default configuration with the old mount
 * calls: one clone3 with its namespaces, its mounts, devices and links, masked and read-only paths, pivot_root,
 * the old root unmounted, exec, wait. No configuration is read, no state kept, no capability dropped. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(long result, const char *step) {
    if (result < 0) {
        fprintf(stderr, "floor: %s: %s\n", step, strerror(errno));
        _exit(125);
    }
}

static const struct {
    const char *source, *target, *type, *data;
    unsigned long flags;
} mounts[] = {
    {"proc", "proc", "proc", NULL, 0},
    {"tmpfs", "dev", "tmpfs", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME},
    {"devpts", "dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC},
    {"shm", "dev/shm", "tmpfs", "mode=1777,size=65536k", MS_NOSUID | MS_NOEXEC | MS_NODEV},
    {"mqueue", "dev/mqueue", "mqueue", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV},
    {"sysfs", "sys", "sysfs", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY},
    {"cgroup", "sys/fs/cgroup", "cgroup2", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RELATIME | MS_RDONLY},
};

static const struct {
    const char *path;
    int major, minor;
} devices[] = {
    {"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7},
    {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
};

static const char *links[][2] = {
    {"/proc/self/fd", "dev/fd"}, {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
    {"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"},
};

static const char *masked[] = {
    "proc/acpi", "proc/asound", "proc/kcore", "proc/keys", "proc/latency_stats", "proc/timer_list",
    "proc/timer_stats", "proc/sched_debug", "sys/firmware", "proc/scsi",
};

static const char *read_only[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};

#define EACH(i, table) for (size_t i = 0; i < sizeof(table) / sizeof *(table); i++)

static void child(char **argv) {
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / private");
    must(mount(argv[1], argv[1], NULL, MS_BIND | MS_REC, NULL), "bind the root");
    must(chdir(argv[1]), "enter the root");
    EACH(i, mounts) {
        /* Those in the fresh /dev; the root has the others. */
        if (strncmp(mounts[i].target, "dev/", 4) == 0)
            must(mkdir(mounts[i].target, 0755), mounts[i].target);
        must(mount(mounts[i].source, mounts[i].target, mounts[i].type, mounts[i].flags, mounts[i].data), mounts[i].target);
    }
    umask(0);
    EACH(i, devices)
        must(mknod(devices[i].path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)), devices[i].path);
    umask(022);
    EACH(i, links) must(symlink(links[i][0], links[i][1]), links[i][1]);
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "unmount the old root");
    must(chdir("/"), "chdir /");
    EACH(i, read_only) {
        const unsigned long remount = MS_BIND | MS_REMOUNT | MS_RDONLY;
        if (mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL) == 0)
            must(mount(NULL, read_only[i], NULL, remount, NULL), read_only[i]);
        else if (errno != ENOENT)
            must(-1, read_only[i]);
    }
    EACH(i, masked) {
        if (mount("/dev/null", masked[i], NULL, MS_BIND, NULL) == 0 || errno == ENOENT)
            continue;
        must(errno == ENOTDIR ? mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, NULL) : -1, masked[i]);
    }
    must(mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), "make / read-only");
    must(sethostname("runc", 4), "sethostname");
    execv(argv[2], argv + 2);
    must(-1, argv[2]);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 125;
    struct clone_args arguments = {
        .flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWCGROUP,
        .exit_signal = SIGCHLD,
    };
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    must(pid, "clone3");
    if (pid == 0)
        child(argv);
    int status = 0;
    must(waitpid((pid_t)pid, &status, 0), "wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
