"""What TensorBoard shows beside rows: what runs were given and reached, and the figures."""

import json

from board_events import events_in

from dla_jax.training.record import Record, show_figures


def test_tensorboard_has_what_a_run_was_given_and_reached(tmp_path):
    """Read back by the plug-in's own messages."""
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    config = {"experiment": "architectures", "networks": {"cnn": {"model": {"width": 16}}}}
    written = {"config": config, "data": {}, "launches": []}
    (tmp_path / "config.json").write_text(json.dumps(written))
    record = Record(tmp_path)
    last = {"run": "final/cnn/seed3", "step": 5, "done": True, "stage": "final"}
    record.append(last | {"group": "cnn", "seed": 3, "lr": 0.1, "test_accuracy": 0.5})
    record.close()
    values = [v for e in events_in(tmp_path / "tb/final/cnn/seed3") for v in e.summary.value]
    found = {
        value.tag: value.metadata.plugin_data for value in values if value.HasField("metadata")
    }
    told = {tag: HParamsPluginData.FromString(data.content) for tag, data in found.items()}
    given = told["_hparams_/session_start_info"].session_start_info.hparams
    assert {key: given[key].number_value for key in ("seed", "lr", "model.width")} == {
        "seed": 3,
        "lr": 0.1,
        "model.width": 16,
    }
    assert given["group"].string_value == "cnn"
    metrics = told["_hparams_/experiment"].experiment.metric_infos
    assert [metric.name.tag for metric in metrics] == ["test_accuracy"]
    assert "_hparams_/session_end_info" in told
    assert [v.simple_value for v in values if v.tag == "test_accuracy"] == [0.5]


def test_tensorboard_has_the_figures_once(tmp_path):
    from PIL import Image

    path = tmp_path / "figure.png"
    Image.new("RGB", (7, 5), "red").save(path)
    show_figures(tmp_path, {"figure": path})
    assert not (tmp_path / "tb").exists()  # of a study that trains nothing
    (tmp_path / "tb").mkdir()
    for _ in range(2):  # drawn again
        show_figures(tmp_path, {"figure": path})
    [image] = [v for e in events_in(tmp_path / "tb/figures") for v in e.summary.value]
    assert image.tag == "figure" and image.image.encoded_image_string == path.read_bytes()
    assert (image.image.width, image.image.height) == (7, 5)
