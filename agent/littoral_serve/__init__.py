"""The device's data plane: runs models, serves them, tries candidates in a child."""

import os

# NumPy multiplies no matrices here: a thread for each core would only take memory and time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
