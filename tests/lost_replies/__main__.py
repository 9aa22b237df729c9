"""The whole sweep: `python -m tests.lost_replies`."""

from tests.lost_replies.run import main

if __name__ == "__main__":
    main()
