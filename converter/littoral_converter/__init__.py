"""The host: load, calibrate, quantize, evaluate, report, bundle. Never installed on a device."""
