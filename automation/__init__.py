"""The `fed` command: deploys, looks at and takes down the federation, on Azure or on the emulator."""
