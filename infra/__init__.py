"""What an organisation needs once, before the first deployment: who may deploy, where state is kept."""
