"""The environment that loads one or more of this folder's preload libraries into a tallyd."""

import os

from daemon import BUILD, sanitizer


def preload(*names, **settings):
    """LD_PRELOAD for the named libraries (a sanitizer's runtime goes first) and their settings."""
    paths = [os.path.abspath(os.path.join(BUILD, "tests/%s.so" % name)) for name in names]
    return dict({"LD_PRELOAD": " ".join([sanitizer(), *paths])},
                **{name: str(value) for name, value in settings.items()})
