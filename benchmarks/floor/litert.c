/* The floor of an inference: LiteRT's own C functions, called from C, with nothing between.
 *
 *     litert libLiteRt.so model.tflite threads
 *
 * The library is the one in the Python package, so both sides run the same kernels. It says
 * "ready" when the model is compiled. Then it answers each line on standard input,
 *
 *     run N      N times: LiteRtRunCompiledModel alone
 *     all N      N times: every input copied in, run, every output copied out
 *
 * with one line, "least median mean p99", in microseconds; it ends with its input.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 32, CPU = 1, READ = 0, WRITE = 1 };

typedef int Status;
typedef void *Handle;
typedef struct { /* LiteRtRankedTensorType: rank and layout are its own business */
  int element;
  struct { unsigned rank : 7, strided : 1; int32_t shape[8]; uint32_t strides[8]; } layout;
} Type;
typedef struct { Handle buffer; char *mine; size_t bytes; } Tensor;

#define CALL(x) do { int s_ = (x); if (s_) { fprintf(stderr, "%s: %d\n", #x, s_); exit(3); } } while (0)
#define FIND(name, ...) \
  Status (*name)(__VA_ARGS__) = (Status (*)(__VA_ARGS__))dlsym(library, "LiteRt" #name); \
  if (!name) { fprintf(stderr, "the library has no LiteRt%s\n", #name); return 2; }

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void tell(double *us, long n) {
  double sum = 0;
  for (long i = 0; i < n; i++) sum += us[i];
  qsort(us, n, sizeof *us, ascending);
  printf("%.3f %.3f %.3f %.3f\n", us[0], us[n / 2], sum / n, us[(long)(n * .99)]);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc != 4) { fprintf(stderr, "usage: litert libLiteRt.so model.tflite threads\n"); return 1; }
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) { fprintf(stderr, "%s\n", dlerror()); return 1; }
  FIND(CreateEnvironment, int, const void *, Handle *)
  FIND(CreateModelFromFile, Handle, const char *, Handle *)
  FIND(CreateOptions, Handle *)
  FIND(SetOptionsHardwareAccelerators, Handle, int)
  FIND(CreateOpaqueOptions, const char *, void *, void (*)(void *), Handle *)
  FIND(AddOpaqueOptions, Handle, Handle)
  FIND(CreateCompiledModel, Handle, Handle, Handle, Handle *)
  FIND(GetModelSubgraph, Handle, size_t, Handle *)
  FIND(GetNumSubgraphInputs, Handle, size_t *)
  FIND(GetNumSubgraphOutputs, Handle, size_t *)
  FIND(GetSubgraphInput, Handle, size_t, Handle *)
  FIND(GetSubgraphOutput, Handle, size_t, Handle *)
  FIND(GetRankedTensorType, Handle, Type *)
  FIND(GetCompiledModelInputBufferRequirements, Handle, size_t, size_t, Handle *)
  FIND(GetCompiledModelOutputBufferRequirements, Handle, size_t, size_t, Handle *)
  FIND(CreateManagedTensorBufferFromRequirements, Handle, const Type *, Handle, Handle *)
  FIND(RunCompiledModel, Handle, size_t, size_t, Handle *, size_t, Handle *)
  FIND(LockTensorBuffer, Handle, void **, int)
  FIND(UnlockTensorBuffer, Handle)
  FIND(GetTensorBufferSize, Handle, size_t *)

  Handle environment, model, options, threads, compiled, graph;
  CALL(CreateEnvironment(0, NULL, &environment));
  CALL(CreateModelFromFile(environment, argv[2], &model));
  CALL(CreateOptions(&options));
  CALL(SetOptionsHardwareAccelerators(options, CPU));
  char toml[64];
  snprintf(toml, sizeof toml, "num_threads = %d\n", atoi(argv[3]));
  CALL(CreateOpaqueOptions("xnnpack", strdup(toml), free, &threads));
  CALL(AddOpaqueOptions(options, threads));
  CALL(CreateCompiledModel(environment, model, options, &compiled));
  CALL(GetModelSubgraph(model, 0, &graph));

  Tensor in[MOST], out[MOST];
  Handle given[MOST], made[MOST];
  size_t ins, outs;
  CALL(GetNumSubgraphInputs(graph, &ins));
  CALL(GetNumSubgraphOutputs(graph, &outs));
  if (ins > MOST || outs > MOST) { fprintf(stderr, "more than %d tensors\n", MOST); return 2; }
  for (size_t i = 0; i < ins + outs; i++) {
    size_t at = i < ins ? i : i - ins;
    Tensor *one = i < ins ? &in[at] : &out[at];
    Handle tensor, needs;
    Type type;
    if (i < ins) {
      CALL(GetSubgraphInput(graph, at, &tensor));
      CALL(GetCompiledModelInputBufferRequirements(compiled, 0, at, &needs));
    } else {
      CALL(GetSubgraphOutput(graph, at, &tensor));
      CALL(GetCompiledModelOutputBufferRequirements(compiled, 0, at, &needs));
    }
    CALL(GetRankedTensorType(tensor, &type));
    CALL(CreateManagedTensorBufferFromRequirements(environment, &type, needs, &one->buffer));
    CALL(GetTensorBufferSize(one->buffer, &one->bytes));
    one->mine = calloc(1, one->bytes);
    *(i < ins ? &given[at] : &made[at]) = one->buffer;
  }
  printf("ready\n");
  fflush(stdout);

  char word[8];
  long n;
  while (scanf("%7s %ld", word, &n) == 2 && n > 0) {
    int all = word[0] == 'a';
    double *us = malloc(n * sizeof *us);
    for (long k = 0; k < n; k++) {
      void *place;
      double start = now_us();
      for (size_t i = 0; all && i < ins; i++) {
        CALL(LockTensorBuffer(in[i].buffer, &place, WRITE));
        memcpy(place, in[i].mine, in[i].bytes);
        CALL(UnlockTensorBuffer(in[i].buffer));
      }
      CALL(RunCompiledModel(compiled, 0, ins, given, outs, made));
      for (size_t i = 0; all && i < outs; i++) {
        CALL(LockTensorBuffer(out[i].buffer, &place, READ));
        memcpy(out[i].mine, place, out[i].bytes);
        CALL(UnlockTensorBuffer(out[i].buffer));
      }
      us[k] = now_us() - start;
    }
    tell(us, n);
    free(us);
  }
  return 0;
}
