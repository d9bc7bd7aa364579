"""Models on Edge TPUs: a process for each TPU, which may be lost. It knows no protocol."""
