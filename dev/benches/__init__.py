"""The benches, one a file, each with a function `main(arguments)`; `dev/bench` runs them by name."""
