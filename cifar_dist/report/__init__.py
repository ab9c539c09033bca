"""What people read: pages, text files and figures made from a result document; no torch, no ray."""
