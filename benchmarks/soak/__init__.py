"""Real signals at chosen points of a study; afterwards everything must be as if none had come."""
