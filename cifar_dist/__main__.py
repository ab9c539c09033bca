"""`python -m cifar_dist` is the console script."""

from cifar_dist.cli import main

if __name__ == "__main__":
    main()
