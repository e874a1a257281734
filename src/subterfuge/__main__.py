"""``python -m subterfuge``."""

from subterfuge.cli import main

if __name__ == "__main__":
    main()
