"""How much a tenant has in stock."""
