"""`python -m tests.chaos`: see run.py."""

from tests.chaos.run import main

if __name__ == "__main__":
    main()
