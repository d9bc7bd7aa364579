"""Edge TPUs: what one would run of a model, what it does run, and the compiler that decides."""
