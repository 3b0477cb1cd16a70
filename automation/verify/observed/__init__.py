"""The running federation: what Resource Manager answers, packets that were sent, probes within the VMs."""
