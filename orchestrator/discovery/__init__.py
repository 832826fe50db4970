"""App packages -> a MetaData set for each bind.

Here are the types alone, which come cheap: `discovery.discover` imports SQLAlchemy's ORM.
"""

from orchestrator.discovery.types import App, MetaDataSet, Models, ModelTable

__all__ = ["App", "MetaDataSet", "ModelTable", "Models"]
