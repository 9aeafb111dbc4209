"""End-to-end tests: a real cluster, real pods, a real model."""
