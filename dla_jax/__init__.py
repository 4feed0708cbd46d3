"""The labs of a deep-learning-applications course in JAX and Flax, every claim re-tested."""
