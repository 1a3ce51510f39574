/* zombies COUNT: run by an init that is PID 1 of its PID namespace, with /proc of that namespace. Prints what the
 * idle init has resident, then how much processor time it takes to reap COUNT orphans that become its own at once:
 *
 *     resident_kb dirty_kb reap_ns
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static long field(const char *name) {
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/1/smaps_rollup", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = atol(line + strlen(name));
    if (file)
        fclose(file);
    return value;
}

/* Nanoseconds that PID 1 has run: exact, where /proc/PID/stat counts ticks of 10 ms. */
static long long run_time(void) {
    long long value = -1;
    FILE *file = fopen("/proc/1/schedstat", "r");
    if (file && fscanf(file, "%lld", &value) != 1)
        value = -1;
    if (file)
        fclose(file);
    return value;
}

static int processes(void) {
    int count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));)
        count += entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
    if (proc)
        closedir(proc);
    return count;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 10000;
    usleep(100000); /* the init finds its rest */
    long resident = field("Rss:"), dirty = field("Private_Dirty:");
    long long before = run_time();
    pid_t parent = fork();
    if (parent == 0) {
        int ends[2];
        char none;
        if (pipe(ends) != 0)
            _exit(1);
        for (int i = 0; i < count; i++) {
            pid_t child = fork();
            if (child < 0)
                _exit(1);
            if (child == 0)
                _exit(0);
        }
        /* End of file: every child has ended, and none is reaped. */
        close(ends[1]);
        _exit(read(ends[0], &none, 1) == 0 ? 0 : 1);
    }
    int status = 0;
    if (parent < 0 || waitpid(parent, &status, 0) < 0 || status != 0) {
        fprintf(stderr, "zombies: could not make %d of them\n", count);
        return 1;
    }
    for (int tries = 0; processes() > 2; tries++) {
        if (tries > 20000) {
            fprintf(stderr, "zombies: the init does not reap\n");
            return 1;
        }
        usleep(1000);
    }
    long long after = run_time();
    if (resident < 0 || dirty < 0 || before < 0 || after < 0) {
        fprintf(stderr, "zombies: /proc/1 does not tell (smaps_rollup, schedstat)\n");
        return 1;
    }
    printf("%ld %ld %lld\n", resident, dirty, after - before);
    return 0;
}
