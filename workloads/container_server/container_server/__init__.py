"""The container server: the one container of a VM that speaks to storage and to the container engine.

At a hospital it enrols, verifies the startup kit, stages the data, runs the client and reports. At the
centre it keeps the federation's root, answers enrolments, runs the server and hands jobs and results on.
What the parties say to each other is a handful of blobs in the hospital's own container, described in
schemas/ and docs/adr/0062.
"""
