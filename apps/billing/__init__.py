"""Plans, invoices and payments."""
