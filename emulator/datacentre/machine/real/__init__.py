"""Machines that are real: a kernel, systemd, cloud-init and Docker in QEMU, in the emulated networks."""
