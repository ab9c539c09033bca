"""Where in an image a model saw a class: exact class activation maps, and Grad-CAM for any net."""

from cifar_dist.explain.explainer import Explainer, activation_maps

__all__ = ["Explainer", "activation_maps"]
