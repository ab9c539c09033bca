"""The door to Ray: training over workers, sweeps, and the connection to a cluster."""
