"""Train, tune and keep CIFAR-10 classifiers; importing this loads neither torch nor ray."""

__version__ = "0.1.0"
