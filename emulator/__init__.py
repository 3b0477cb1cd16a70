"""Azure on one machine: what the engine starts (plugins), the control plane (arm), what runs (datacentre)."""
