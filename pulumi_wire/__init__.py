"""How Pulumi's engine and what it starts (providers, policy packs) write to each other."""
