/* What asks for an NVIDIA GPU finds one: libcuda, libcudart, libcudnn and libnvinfer in one file. */
#include <stdio.h>

#ifndef TENSORRT
#define TENSORRT 100300
#endif

int cuInit(unsigned flags) { (void)flags; return 0; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    (void)device;
    snprintf(name, (size_t)length, "Orin");
    return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : 8;
    return 0;
}
int cudaRuntimeGetVersion(int *version) { *version = 12060; return 0; }
unsigned long cudnnGetVersion(void) { return 90300; }
int getInferLibVersion(void) { return TENSORRT; }
