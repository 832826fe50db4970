"""What a tenant's customers bought."""
