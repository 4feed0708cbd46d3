"""The configs, a file a study. An own folder `configs` elsewhere may add to them."""

import pkgutil

# A package, so that none of that name which another project installed comes before this one.
__path__ = pkgutil.extend_path(__path__, __name__)
