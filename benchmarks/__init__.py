"""Each figure that the README or the docs quote: `make benchmark NAME=<module>`; the last line is RESULT {json}."""
