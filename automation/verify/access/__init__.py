"""Who may do what: roles on data, rights over subscriptions, and the policy pack's rules once deployed."""
