"""How the centre runs MLflow."""
