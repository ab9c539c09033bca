"""What people read: pages, text files and figures made from a result document; no torch, no ray."""

from cifar_dist.report.files import write_run, write_sweep

__all__ = ["write_run", "write_sweep"]
