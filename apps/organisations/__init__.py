"""Organisations, the customers that pay; each is a tenant of the shop."""
