"""The engines that turn token ids into vectors, one a file, and the process that each of them runs in."""
