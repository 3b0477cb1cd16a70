"""What the Pulumi engine starts: the providers azure-native, random and docker, served by the daemon.

bin/ holds the launchers, listener.py gives each its own gRPC server, service.py speaks the provider protocol
for any of the packages, and a package only translates: inputs to requests, answers to outputs.
"""
