"""Models of customers and orders (a schema for each tenant), one module for each."""
