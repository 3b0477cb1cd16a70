"""Federated logistic regression for coronary heart disease."""
