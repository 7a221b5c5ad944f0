"""The doubles of clouds.

A cloud is a file here whose class Cloud says all that the rig has to know of it (double.py), its facts in ../api, and
its name below. The first is the cloud of a world that is told nothing else.
"""

import importlib

NAMES = ("digitalocean", "sample")


def named(name):
    """The class Cloud of the double of this name."""
    return importlib.import_module("clouds." + name).Cloud
