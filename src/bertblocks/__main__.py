"""`python -m bertblocks`, which is also what torchrun starts."""

from bertblocks.cli import main

if __name__ == "__main__":
    main()
