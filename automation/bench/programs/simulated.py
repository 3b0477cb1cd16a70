"""`heart` in NVFlare's own simulator, with NVFlare's own federated averaging: what a round costs without us.

Usage: python simulated.py WORKLOADS ROUNDS SCRATCH SITE=FOLDER...

The job's training script runs unmodified at each site, on the table in the site's folder. No box, no airlock,
no consent, no network, no certificate.
"""

import json
import sys
from pathlib import Path

import numpy as np
from nvflare.app_common.np.recipes.fedavg import NumpyFedAvgRecipe
from nvflare.client.config import TransferType
from nvflare.recipe import SimEnv

AT_A_SITE = '''"""heart_job/train.py at one site of the simulator: where its table is, and its settings."""

import json
import os
import sys

rounds, steps, data, scaling, code = sys.argv[1:]
os.environ["FED_DATA"] = data
sys.path.insert(0, code)

from heart_job import model, train

pairs = json.loads(open(scaling).read())
train.shared_scaling = lambda: model.Scaling(
    mean={name: pair[0] for name, pair in pairs.items()}, std={name: pair[1] for name, pair in pairs.items()}
)
train.main(int(rounds), int(steps))
'''


def main(workloads: Path, rounds: int, scratch: Path, sites: dict[str, str]) -> None:
    """Run the job once and print where the simulator left its results."""
    import yaml  # noqa: PLC0415

    folder = workloads / "jobs" / "heart"
    job = yaml.safe_load((folder / "job.yaml").read_text())
    scaling = scratch / "scaling.json"
    scaling.write_text(json.dumps(job["needs"]["scaling"]["otherwise"]))
    script = scratch / "at_a_site.py"
    script.write_text(AT_A_SITE)
    steps = job["parameters"]["steps"]["default"]
    recipe = NumpyFedAvgRecipe(
        name="heart",
        model=np.zeros(job["model"]["arrays"]["numpy_key"]).tolist(),
        min_clients=len(sites),
        num_rounds=rounds + 1,  # one more in which the model is only measured, as in job.yaml
        train_script=str(script),
        params_transfer_type=TransferType.DIFF,
        per_site_config={
            site: {"train_args": f"{rounds} {steps} {data} {scaling} {folder}"}
            for site, data in sites.items()
        },
    )
    environment = SimEnv(
        clients=list(sites), num_threads=len(sites), workspace_root=str(scratch / "workspace")
    )
    run = recipe.execute(environment)
    print(run.get_result())


if __name__ == "__main__":
    given = dict(word.split("=", 1) for word in sys.argv[4:])
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), Path(sys.argv[3]), given)
