"""Files in, files out: one module per stage, the only floor that knows where things lie."""
