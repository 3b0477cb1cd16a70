"""Microsoft.Compute: disks and their encryption, virtual machines, their extensions, sizes and quotas."""

from emulator.arm.compute import capacity, disks, encryption_sets, extensions, images, machines

TYPES = (
    *disks.TYPES,
    *encryption_sets.TYPES,
    *machines.TYPES,
    *extensions.TYPES,
    *capacity.TYPES,
    *images.TYPES,
)
