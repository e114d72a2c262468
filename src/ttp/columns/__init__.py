"""Events as columns: the schema of a row class, and NumPy or Arrow columns as the buffers of a frame."""
