"""The server's configuration of a job whose hospitals answer with differences, whatever the job sends."""

import json
from pathlib import Path


def expect_differences(config: Path) -> None:
    """Have aggregators of NVFlare's that a job told to expect whole weights expect their difference.

    Hospitals turn whole weights into the difference to what was sent. NVFlare 2.9's aggregators drop an
    answer of another kind than `expected_data_kind`; its model generator and FedAvg take both.
    """
    content = json.loads(config.read_text())
    for component in content["components"]:
        if component.get("args", {}).get("expected_data_kind") == "WEIGHTS":
            component["args"]["expected_data_kind"] = "WEIGHT_DIFF"
    config.write_text(json.dumps(content, indent=2))
