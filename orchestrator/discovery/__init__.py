"""App packages -> a MetaData set for each bind."""
