/* Sends back what comes in at port 7, for any number of connections: a process each. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in place = { .sin_family = AF_INET, .sin_port = htons(7) };
    signal(SIGCHLD, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&place, sizeof place) || listen(listener, 128))
        return 1;
    for (;;) {
        int client = accept(listener, 0, 0);
        if (client >= 0 && fork() == 0) {
            char bytes[4096];
            long length;
            setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            while ((length = read(client, bytes, sizeof bytes)) > 0)
                if (write(client, bytes, length) != length)
                    break;
            _exit(0);
        }
        close(client);
    }
}
