"""Runs on a Kubernetes cluster: the chart's values, rendered, checked, created and followed."""
