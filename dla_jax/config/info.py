"""What a network has to know of its data."""

from typing import NamedTuple


class DataInfo(NamedTuple):
    """What of a data set shapes a network, and outlives the data in a finished workdir.

    Texts have no shape, and neither mean nor standard deviation.
    """

    class_names: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()  # of one image: height, width, channels
    mean: tuple[float, ...] = ()  # of the training images, per channel, in [0, 1]
    std: tuple[float, ...] = ()


def data_info(data: dict) -> DataInfo:
    """Return the DataInfo of a finished workdir, from the "data" of its `config.json`."""
    fields = {name: tuple(data[name]) for name in DataInfo._fields if name in data}
    return DataInfo(**fields)
