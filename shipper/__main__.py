"""`python -m shipper` is the `audit-shipper` command."""

from shipper.cli import main

if __name__ == "__main__":
    main()
