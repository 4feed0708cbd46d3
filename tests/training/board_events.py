"""Reads TensorBoard's files back."""


def events_in(folder):
    """Return the events of TensorBoard's files in a folder, without those of their versions."""
    from tensorboardX.proto import event_pb2

    events = []
    for path in folder.iterdir():
        data, at = path.read_bytes(), 0
        while at < len(data):  # TFRecord: length (8), its crc (4), payload, crc (4)
            length = int.from_bytes(data[at : at + 8], "little")
            events.append(event_pb2.Event.FromString(data[at + 12 : at + 12 + length]))
            at += 16 + length
    return [event for event in events if not event.file_version]
