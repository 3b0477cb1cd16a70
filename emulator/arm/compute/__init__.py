"""Microsoft.Compute: disks and their encryption, virtual machines and their extensions."""

from emulator.arm.compute import disks, encryption_sets, extensions, machines

TYPES = (*disks.TYPES, *encryption_sets.TYPES, *machines.TYPES, *extensions.TYPES)
