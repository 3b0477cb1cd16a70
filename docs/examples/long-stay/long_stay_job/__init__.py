"""Who stays in hospital for more than a week: a logistic regression of scikit-learn's."""
