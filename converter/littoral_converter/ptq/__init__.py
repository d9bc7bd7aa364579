"""Post-training quantization of a float TFLite file: what can be won beyond plain rounding."""
