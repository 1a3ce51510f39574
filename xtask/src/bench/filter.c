// filter PID: takes the newest seccomp filter of a process (ptrace(2), PTRACE_SECCOMP_GET_FILTER) and prints how many
// instructions it runs for common system calls: a line with the name, the number of instructions, and the length.
// filter loop COUNT: prints the picoseconds that one getppid(2) takes here.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __x86_64__
#define OWN_ARCHITECTURE 0xc000003eu
#else
#define OWN_ARCHITECTURE 0xc00000b7u
#endif

static const struct { const char *name; int number; } calls[] = {
    {"read", SYS_read},       {"write", SYS_write},   {"openat", SYS_openat}, {"close", SYS_close},
    {"mmap", SYS_mmap},       {"futex", SYS_futex},   {"getppid", SYS_getppid}, {"recvfrom", SYS_recvfrom},
    {"sendto", SYS_sendto},   {"epoll_pwait", SYS_epoll_pwait}, {"clock_nanosleep", SYS_clock_nanosleep},
    {"socket", SYS_socket},   {"statx", SYS_statx},   {"execve", SYS_execve},
};

static int steps(const struct sock_filter *program, int number) {
    struct seccomp_data data = {.nr = number, .arch = OWN_ARCHITECTURE};
    unsigned accumulator = 0;
    int at = 0, count = 0, index = 0;
    unsigned memory[16] = {0};
    for (;;) {
        struct sock_filter i = program[at++];
        count++;
        switch (i.code) {
        case BPF_LD | BPF_W | BPF_ABS: memcpy(&accumulator, (char *)&data + i.k, 4); break;
        case BPF_LD | BPF_IMM: accumulator = i.k; break;
        case BPF_LD | BPF_MEM: accumulator = memory[i.k]; break;
        case BPF_ST: memory[i.k] = accumulator; break;
        case BPF_MISC | BPF_TAX: index = accumulator; break;
        case BPF_MISC | BPF_TXA: accumulator = index; break;
        case BPF_ALU | BPF_AND | BPF_K: accumulator &= i.k; break;
        case BPF_JMP | BPF_JA: at += i.k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: at += accumulator == i.k ? i.jt : i.jf; break;
        case BPF_JMP | BPF_JGT | BPF_K: at += accumulator > i.k ? i.jt : i.jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: at += accumulator >= i.k ? i.jt : i.jf; break;
        case BPF_JMP | BPF_JSET | BPF_K: at += accumulator & i.k ? i.jt : i.jf; break;
        case BPF_RET | BPF_K: return count;
        default: fprintf(stderr, "an unknown instruction: %#x\n", i.code); exit(1);
        }
    }
}

static int die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return 1;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "loop") == 0) {
        long count = atol(argv[2]);
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (long i = 0; i < count; i++) syscall(SYS_getppid);
        clock_gettime(CLOCK_MONOTONIC, &end);
        double ns = (end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec);
        printf("%.0f\n", ns * 1000 / count);
        return 0;
    }
    if (argc != 2) return die("filter PID, or filter loop COUNT");
    int pid = atoi(argv[1]);
    if (ptrace(PTRACE_ATTACH, pid, 0, 0) || waitpid(pid, NULL, __WALL) != pid) return die("attach");
    static struct sock_filter program[4096];
    long length = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, program);
    if (length < 0) return die("get the filter");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        printf("%s %d %ld\n", calls[i].name, steps(program, calls[i].number), length);
    return ptrace(PTRACE_DETACH, pid, 0, 0) ? die("detach") : 0;
}
