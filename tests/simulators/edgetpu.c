/* A libedgetpu.so.1 for tests: takes over every edgetpu-custom-op, and answers with a hash of its input.
 *
 * What it declares of TensorFlow Lite is what a delegate of the real library's kind needs; the layout is that
 * of TensorFlow 2.14 and later. How it fails is chosen when it is built:
 *
 *   OLD_ABI       as built against TensorFlow 2.5: an operator's registration is three words shorter, and is
 *                 passed by value, so that a newer runtime reads beyond it
 *   CRASHES       and what it reads there ends the process
 *   IDLE          it takes over nothing
 *   NO_DEVICES    no stick is plugged in
 *   CANNOT_OPEN   there is one that cannot be opened: in use, or not ours
 *   NO_PROGRAM    the operator holds no program, as the real library says of the probe
 *   ABORTS        the stick is pulled: the real library ends the process
 *   HANGS         it never answers
 *
 * The rest is chosen while it runs, by files beside the library; where they are not there, all is well.
 *
 *   devices       a line for each TPU that is plugged in, as "usb 2-1"; that one alone where the file is not there.
 *                 One process at a time has one of these open
 *   version       the runtime's; 14
 *   fault         what an inference does: "abort", "error", "hang" or "slow MILLISECONDS"; "2-1 abort": on that TPU
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef struct { int size; int data[]; } IntArray;
typedef struct { float scale; int32_t zero_point; } Params;
typedef struct { int type; void *params; } Quantization;
typedef struct Delegate Delegate;
typedef struct {
    int type; void *data; IntArray *dims; Params params; int allocation_type; size_t bytes;
    const void *allocation; const char *name; Delegate *delegate; int buffer_handle;
    bool data_is_stale, is_variable; Quantization quantization; void *sparsity; const IntArray *dims_signature;
} Tensor;
typedef struct {
    IntArray *inputs, *outputs, *intermediates, *temporaries; void *user_data, *builtin_data;
    const void *custom_initial_data; int custom_initial_data_size; Delegate *delegate; bool side_effect;
} Node;
typedef struct Context Context;
typedef struct {
    void *(*init)(Context *, const char *, size_t);
    void (*free)(Context *, void *);
    int (*prepare)(Context *, Node *);
    int (*invoke)(Context *, Node *);
    const char *(*profiling_string)(const Context *, const Node *);
    int32_t builtin_code; const char *custom_name; int version;
#ifndef OLD_ABI
    void *registration_external, *async_kernel; uint64_t inplace_operator;
#endif
} Registration;
struct Context {
    size_t tensors_size;
    int (*GetExecutionPlan)(Context *, IntArray **);
    Tensor *tensors; void *impl;
    int (*ResizeTensor)(Context *, Tensor *, IntArray *);
    void (*ReportError)(Context *, const char *, ...);
    int (*AddTensors)(Context *, int, int *);
    int (*GetNodeAndRegistration)(Context *, int, Node **, Registration **);
    int (*ReplaceNodeSubsetsWithDelegateKernels)(Context *, Registration, const IntArray *, Delegate *);
};
struct Delegate {
    void *data; int (*Prepare)(Context *, Delegate *);
    void *copy_from, *copy_to, *free_handle; int64_t flags; void *opaque;
};
typedef struct { Delegate *delegate; IntArray *replaced, *inputs, *outputs; } DelegateParams;
typedef struct { char kind[8], port[24], path[48]; } Stick;
typedef struct { Stick stick; int lock, users; } Opened;
typedef struct { int in, out; Opened *on; } Kernel;
enum { MOST = 8 };

/* Return the path of a file beside this library. */
static const char *beside(const char *name) {
    static char path[512];
    Dl_info found;
    if (!dladdr((void *)beside, &found)) abort();
    const char *slash = strrchr(found.dli_fname, '/');
    snprintf(path, sizeof path, "%.*s/%s", slash ? (int)(slash - found.dli_fname) : 1, slash ? found.dli_fname : ".", name);
    return path;
}

/* Read such a file; what it says where it is not there is left in ``text``. */
static void look(const char *name, char *text, size_t size) {
    int file = open(beside(name), O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    ssize_t count = read(file, text, size - 1);
    text[count < 0 ? 0 : count] = 0;
    close(file);
}

static int plugged(Stick *into) {
    int count = 0;
#ifndef NO_DEVICES
    char text[512] = "usb 2-1", *rest;
    look("devices", text, sizeof text);
    for (char *line = strtok_r(text, "\n", &rest); line && count < MOST; line = strtok_r(NULL, "\n", &rest)) {
        Stick *one = &into[count];
        if (sscanf(line, "%7s %23s", one->kind, one->port) != 2) continue;
        snprintf(one->path, sizeof one->path, "/sys/bus/usb/devices/%s", one->port);
        count++;
    }
#endif
    (void)into;
    return count;
}

/* Do what the test says of this TPU now; return whether the inference fails. */
static int trouble(const Opened *on) {
    char text[64] = "", *fault = text;
    size_t port = strlen(on->stick.port);
    int ms;
    look("fault", text, sizeof text);
    if (!strncmp(text, on->stick.port, port) && text[port] == ' ') fault = text + port + 1;
    if (!strcmp(fault, "abort")) {
        fprintf(stderr, "F driver/usb/usb_driver.cc:406] HandleEvent failed. USB transfer error 5 [DequeueEvent]\n");
        abort();
    }
    if (!strcmp(fault, "hang")) for (;;) pause();
    if (sscanf(fault, "slow %d", &ms) == 1) usleep(1000 * ms);
    return !strcmp(fault, "error");
}

static void *kernel_init(Context *context, const char *buffer, size_t length) {
    const DelegateParams *params = (const DelegateParams *)buffer;
    Node *node; Registration *registration; (void)length;
    context->GetNodeAndRegistration(context, params->replaced->data[0], &node, &registration);
    Kernel *kernel = calloc(1, sizeof *kernel);
    kernel->in = node->inputs->data[0];
    kernel->out = node->outputs->data[0];
    kernel->on = params->delegate->data;
    return kernel;
}

static void kernel_free(Context *context, void *kernel) { (void)context; free(kernel); }

static int kernel_prepare(Context *context, Node *node) {
    (void)context; (void)node;
#ifdef NO_PROGRAM
    context->ReportError(context, "Failed to prepare for TPU. Failed precondition: Missing raw model data.");
    return 1;
#endif
    return 0;
}

static int kernel_invoke(Context *context, Node *node) {
    Kernel *kernel = node->user_data;
#ifdef ABORTS
    fprintf(stderr, "F driver/usb/usb_driver.cc:406] HandleEvent failed. USB transfer error 5 [DequeueEvent]\n");
    abort();
#endif
    if (trouble(kernel->on)) {
        context->ReportError(context, "Failed to execute request. USB transfer error");
        return 1;
    }
    Tensor *in = &context->tensors[kernel->in], *out = &context->tensors[kernel->out];
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < in->bytes; i++) hash = (hash ^ ((uint8_t *)in->data)[i]) * 16777619u;
    for (size_t i = 0; i < out->bytes; i++) ((uint8_t *)out->data)[i] = (uint8_t)(hash >> ((i & 3) * 8));
    return 0;
}

static int take_over(Context *context, Delegate *delegate) {
#ifdef IDLE
    (void)context; (void)delegate;
    return 0;
#endif
    IntArray *plan;
    if (context->GetExecutionPlan(context, &plan)) return 1;
    int count = plan->size, nodes[64];
    for (int i = 0; i < count && i < 64; i++) nodes[i] = plan->data[i];
    for (int i = 0; i < count && i < 64; i++) {
        Node *node; Registration *found;
        context->GetNodeAndRegistration(context, nodes[i], &node, &found);
        if (!found->custom_name || strcmp(found->custom_name, "edgetpu-custom-op")) continue;
        Registration ours;
        memset(&ours, 0, sizeof ours);
        ours.init = kernel_init; ours.free = kernel_free;
        ours.prepare = kernel_prepare; ours.invoke = kernel_invoke;
        ours.builtin_code = 51; /* a delegate's */
        ours.custom_name = "EdgeTpuDelegateForCustomOp"; ours.version = 1;
        struct { int size; int data[1]; } one = {1, {nodes[i]}};
#ifdef CRASHES /* what lies beyond it on the stack is an address of nothing */
        volatile uintptr_t beyond[64];
        (void)beyond[0];
        for (int j = 0; j < 64; j++) beyond[j] = (uintptr_t)0x4141414141414141u;
#endif
        context->ReplaceNodeSubsetsWithDelegateKernels(context, ours, (IntArray *)&one, delegate);
    }
    return 0;
}

/* Open a TPU for this process, which shares it with itself; as the real one, by its place in the list. */
static Opened *open_stick(const char *device) {
    static Opened opened[MOST];
    Stick found[MOST];
    int count = plugged(found), places[2] = {0, 0};
#ifdef CANNOT_OPEN
    count = 0;
#endif
    for (int i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s:%d", found[i].kind, places[!strcmp(found[i].kind, "pci")]++);
        if (*device && strcmp(device, name) && strcmp(device, found[i].kind)) continue;
        for (int k = 0; k < MOST; k++)
            if (opened[k].users && !strcmp(opened[k].stick.port, found[i].port)) { opened[k].users++; return &opened[k]; }
        char lock[64];
        snprintf(lock, sizeof lock, "lock-%s", found[i].port);
        int file = open(beside(lock), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
        if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0) {
            for (int k = 0; k < MOST; k++)
                if (!opened[k].users) { opened[k] = (Opened){found[i], file, 1}; return &opened[k]; }
        }
        if (file >= 0) close(file);
    }
    return NULL;
}

EXPORT Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t n, void (*err)(const char *)) {
    const char *device = "";
    (void)err;
    for (size_t i = 0; i < n; i++) if (!strcmp(keys[i], "device")) device = values[i];
    Opened *on = open_stick(device);
    if (!on) return NULL;
    Delegate *delegate = calloc(1, sizeof *delegate);
    delegate->data = on;
    delegate->Prepare = take_over;
    delegate->flags = 1;
    return delegate;
}

EXPORT void tflite_plugin_destroy_delegate(Delegate *delegate) {
    if (!delegate) return; /* LiteRT hands back also what was none */
    Opened *on = delegate->data;
    if (--on->users == 0) close(on->lock);
    free(delegate);
}

EXPORT const char *edgetpu_version(void) {
#ifdef HANGS
    for (;;) pause();
#endif
    static char said[64];
    char number[16] = "14";
    look("version", number, sizeof number);
    snprintf(said, sizeof said, "BuildLabel(N/A), RuntimeVersion(%s)", number);
    return said;
}

struct edgetpu_device { int type; const char *path; };

EXPORT struct edgetpu_device *edgetpu_list_devices(size_t *count) {
    static Stick found[MOST];
    int plugged_in = plugged(found);
    *count = (size_t)plugged_in;
    if (!plugged_in) return NULL;
    struct edgetpu_device *devices = calloc((size_t)plugged_in, sizeof *devices);
    for (int i = 0; i < plugged_in; i++) {
        devices[i].type = strcmp(found[i].kind, "pci") != 0;
        devices[i].path = found[i].path;
    }
    return devices;
}

EXPORT void edgetpu_free_devices(struct edgetpu_device *device) { free(device); }
EXPORT void edgetpu_verbosity(int level) { (void)level; }
