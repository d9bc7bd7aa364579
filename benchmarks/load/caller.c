/* Asks a server the same thing again and again, and says how long each answer took.
 *
 *     caller http|frame ADDRESS REQUEST
 *
 * ADDRESS is 127.0.0.1:PORT or unix:/path, REQUEST a file with all bytes of one request. It answers
 * each line on standard input,
 *
 *     CONNECTIONS MILLISECONDS COUNT
 *
 * with one line, "answers errors least median mean p99", times in microseconds: so many threads, each
 * with a connection that it keeps where the server does, until the time is over or each had COUNT
 * answers. It ends with its input.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 8 << 20, MOST_ERRORS = 20, PATIENCE_S = 30, DONE = 129 };

static const char *address;
static char *request;
static size_t request_bytes;
static int frames;
static double until;
static long most;

typedef struct { double *us; long answers, errors, room; } Work;

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

static int opened(void) {
  int s;
  struct timeval patience = {PATIENCE_S, 0};
  if (!strncmp(address, "unix:", 5)) {
    struct sockaddr_un u = {.sun_family = AF_UNIX};
    strncpy(u.sun_path, address + 5, sizeof u.sun_path - 1);
    s = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(s, (void *)&u, sizeof u)) { close(s); return -1; }
  } else {
    char host[64];
    strncpy(host, address, sizeof host - 1);
    host[sizeof host - 1] = 0;
    char *colon = strchr(host, ':');
    if (!colon) return -1;
    *colon = 0;
    struct sockaddr_in i = {.sin_family = AF_INET, .sin_port = htons(atoi(colon + 1))};
    inet_pton(AF_INET, host, &i.sin_addr);
    int one = 1;
    s = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(s, (void *)&i, sizeof i)) { close(s); return -1; }
  }
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return s;
}

static int sent(int s) {
  for (size_t at = 0; at < request_bytes;) {
    ssize_t n = send(s, request + at, request_bytes - at, MSG_NOSIGNAL);
    if (n <= 0) return 0;
    at += n;
  }
  return 1;
}

static int filled(int s, char *buffer, size_t have, size_t need) {
  while (have < need) {
    ssize_t n = read(s, buffer + have, need - have);
    if (n <= 0) return 0;
    have += n;
  }
  return 1;
}

static int frame(int s, char *buffer) {
  unsigned sizes[2];
  size_t have = 0;
  while (have < 16) {
    ssize_t n = read(s, buffer + have, ROOM - have);
    if (n <= 0) return 0;
    have += n;
  }
  memcpy(sizes, buffer + 4, sizeof sizes);
  if ((size_t)sizes[0] + sizes[1] + 16 > ROOM) return 0;
  return filled(s, buffer, have, 16 + (size_t)sizes[0] + sizes[1]) && (unsigned char)buffer[3] == DONE;
}

/* Tells in *over whether the server wants another connection for the next request. */
static int response(int s, char *buffer, int *over) {
  size_t have = 0;
  char *end = NULL;
  *over = 0;
  while (!end) {
    ssize_t n = read(s, buffer + have, ROOM - 1 - have);
    if (n <= 0) return 0;
    have += n;
    buffer[have] = 0;
    end = strstr(buffer, "\r\n\r\n");
  }
  long length = -1;
  int chunked = 0;
  for (char *line = buffer; line < end; line = strstr(line, "\r\n") + 2) {
    if (!strncasecmp(line, "content-length:", 15)) length = atol(line + 15);
    if (!strncasecmp(line, "transfer-encoding:", 18)) chunked = 1;
    if (!strncasecmp(line, "connection: close", 17)) *over = 1;
  }
  size_t body = end + 4 - buffer;
  if (length >= 0) {
    if (body + length >= ROOM || !filled(s, buffer, have, body + length)) return 0;
  } else if (chunked) {
    while (have < body + 5 || memcmp(buffer + have - 5, "0\r\n\r\n", 5)) {
      ssize_t n = read(s, buffer + have, ROOM - 1 - have);
      if (n <= 0) return 0;
      have += n;
    }
  } else {
    *over = 1;
    while (have < ROOM - 1) {
      ssize_t n = read(s, buffer + have, ROOM - 1 - have);
      if (n <= 0) break;
      have += n;
    }
  }
  return atoi(buffer + 9) == 200;
}

static void *work(void *given) {
  Work *w = given;
  char *buffer = malloc(ROOM);
  int s = -1;
  while (now_us() < until && w->answers < most && w->errors < MOST_ERRORS) {
    double start = now_us();
    int over = 0, good = 0;
    if (s < 0) s = opened();
    if (s >= 0 && sent(s)) good = frames ? frame(s, buffer) : response(s, buffer, &over);
    double took = now_us() - start;
    if (good) {
      if (w->answers == w->room) w->us = realloc(w->us, (w->room = w->room * 2 + 4096) * sizeof *w->us);
      w->us[w->answers++] = took;
    } else {
      w->errors++;
    }
    if (s >= 0 && (over || !good)) { close(s); s = -1; }
  }
  if (s >= 0) close(s);
  free(buffer);
  return NULL;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
  if (argc != 4) { fprintf(stderr, "usage: caller http|frame ADDRESS REQUEST\n"); return 1; }
  frames = !strcmp(argv[1], "frame");
  address = argv[2];
  FILE *f = fopen(argv[3], "rb");
  if (!f) { perror(argv[3]); return 1; }
  fseek(f, 0, SEEK_END);
  request_bytes = ftell(f);
  rewind(f);
  request = malloc(request_bytes);
  if (fread(request, 1, request_bytes, f) != request_bytes) return 1;
  fclose(f);

  int connections;
  double milliseconds;
  while (scanf("%d %lf %ld", &connections, &milliseconds, &most) == 3 && connections > 0) {
    Work *all = calloc(connections, sizeof *all);
    pthread_t *threads = calloc(connections, sizeof *threads);
    until = now_us() + milliseconds * 1e3;
    for (int i = 0; i < connections; i++) pthread_create(&threads[i], NULL, work, &all[i]);
    long answers = 0, errors = 0, at = 0;
    for (int i = 0; i < connections; i++) {
      pthread_join(threads[i], NULL);
      answers += all[i].answers;
      errors += all[i].errors;
    }
    double *us = malloc((answers + 1) * sizeof *us), sum = 0;
    for (int i = 0; i < connections; i++) {
      for (long k = 0; k < all[i].answers; k++) sum += us[at++] = all[i].us[k];
      free(all[i].us);
    }
    qsort(us, answers, sizeof *us, ascending);
    if (answers)
      printf("%ld %ld %.3f %.3f %.3f %.3f\n", answers, errors, us[0], us[answers / 2], sum / answers,
             us[(long)(answers * .99)]);
    else
      printf("0 %ld 0 0 0 0\n", errors);
    fflush(stdout);
    free(us);
    free(all);
    free(threads);
  }
  return 0;
}
