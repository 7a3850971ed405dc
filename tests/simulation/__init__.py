"""The real dispatcher, cache, policy and spine against simulated vendors, in virtual time, from one seed."""
